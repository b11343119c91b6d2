#!/usr/bin/env bash
# Train on several processes of this machine: tools/dist_train.sh CONFIG PROCESSES [arguments of tools/train.py]
# On several machines set NNODES, NODE_RANK, MASTER_ADDR and MASTER_PORT on each; see docs/distributed.md.
set -euo pipefail

if [[ $# -lt 2 ]]; then
    echo "usage: $0 CONFIG PROCESSES [arguments of tools/train.py]" >&2
    exit 2
fi
config=$1
processes=$2
shift 2

if [[ ${NNODES:-1} -eq 1 ]]; then
    rendezvous=(--standalone)
else
    rendezvous=(--nnodes "$NNODES" --node_rank "${NODE_RANK:?set NODE_RANK}" --master_addr "${MASTER_ADDR:?set MASTER_ADDR}" --master_port "${MASTER_PORT:-29500}")
fi
exec "${PYTHON:-python}" -m torch.distributed.run "${rendezvous[@]}" --nproc_per_node "$processes" "$(dirname "$0")/train.py" "$config" "$@"
