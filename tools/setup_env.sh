#!/usr/bin/env bash
# Sets up one virtual environment with one family of OpenMMLab distributions.
#   tools/setup_env.sh light|onedl|openmmlab|openmmlab-light VENV
# 'light' is what pip alone installs, mmcv without compiled ops: all that is semantic, in two minutes and without a compiler. 'onedl' and 'openmmlab'
# compile mmcv, which instances need. 'openmmlab-light' is for tests alone: mmseg 1.2 and mmdet 3.3 import every op of mmcv, and get a stand-in.
# PYTHON chooses the interpreter (3.10 to 3.12), TORCH the torch requirement, MMSTREET_WHEELS the folder that keeps the compiled mmcv wheel.
# mmcv is compiled against one torch and breaks with another, so its wheel is kept under the names of both (pip's own cache would not tell them apart).
set -euo pipefail
cd "$(dirname "$0")/.."

usage="usage: tools/setup_env.sh light|onedl|openmmlab|openmmlab-light VENV"
family=${1:?$usage}
venv=${2:?$usage}
case $family in
  light | openmmlab-light) mmcv= ;;
  onedl) mmcv=onedl-mmcv==2.3.6 ;;
  openmmlab) mmcv=mmcv==2.1.0 ;;
  *) echo "setup_env: family must be 'light', 'onedl', 'openmmlab' or 'openmmlab-light', got '$family'" >&2; exit 2 ;;
esac
constraints=constraints/$(case $family in openmmlab*) echo openmmlab ;; *) echo onedl ;; esac).txt
torch=${TORCH:-torch==2.13.0}

supported() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; }
python=${PYTHON:-}
if [ -z "$python" ]; then
  for candidate in python3.11 python3.12 python3.10 python3; do
    if supported "$candidate"; then python=$candidate; break; fi
  done
fi
if [ -z "$python" ] || ! supported "$python"; then
  echo "setup_env: Python 3.10, 3.11 or 3.12 is needed, found ${python:-none of them}; install one or set PYTHON=/path/to/python" >&2
  exit 2
fi
[ -z "$mmcv" ] || command -v c++ >/dev/null || { echo "setup_env: a C++ compiler is needed to build mmcv (Debian: apt-get install g++)" >&2; exit 2; }
"$python" -c 'import ensurepip' 2>/dev/null || { echo "setup_env: $python cannot make virtual environments (Debian: apt-get install python3-venv python3-dev)" >&2; exit 2; }

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }
if [ "$family" = light ]; then
  pip install -q -c "$constraints" setuptools numpy "$torch"
  pip uninstall -q -y mmcv-lite 2>/dev/null || true # of an earlier light environment; it would overwrite mmcv's files
  pip install -q -c "$constraints" -e ".[light,pretrained,superpixel,hub,sam,export]"
  echo "setup_env: $venv is ready (light: no compiled ops, so no instances)"
  exit
fi
if [ "$family" = openmmlab-light ]; then
  pip install -q -c "$constraints" setuptools numpy "$torch"
  pip install -q -c "$constraints" mmcv-lite==2.1.0 mmengine mmsegmentation mmdet ftfy regex
  pip install -q -c "$constraints" -e ".[instances,pretrained,superpixel,hub,sam,export,test]"
  cp tests/helpers/mmcv_ext.py "$("$venv/bin/python" -c 'import importlib.util; print(importlib.util.find_spec("mmcv").submodule_search_locations[0])')/_ext.py"
  echo "setup_env: $venv is ready (openmmlab-light: a stand-in for mmcv's compiled ops, for tests alone)"
  exit
fi
pip install -q -c "$constraints" setuptools wheel ninja packaging numpy "$torch"

key=$("$venv/bin/python" -c 'import sys, torch; print(f"torch-{torch.__version__}-cp{sys.version_info[0]}{sys.version_info[1]}")')
wheels=${MMSTREET_WHEELS:-${XDG_CACHE_HOME:-$HOME/.cache}/mmstreet/wheels}/$key/$family
if ! ls "$wheels"/*mmcv-*.whl >/dev/null 2>&1; then
  echo "setup_env: building $mmcv against $key; this takes 15 to 25 minutes on two cores and is done once"
  mkdir -p "$wheels"
  partial=$(mktemp -d)
  trap 'rm -rf "$partial"' EXIT
  MMCV_WITH_OPS=1 MAX_JOBS=${MAX_JOBS:-$(nproc)} "$venv/bin/python" -m pip --disable-pip-version-check wheel -q --no-cache-dir --no-deps --no-build-isolation -w "$partial" "$mmcv"
  mv "$partial"/*.whl "$wheels"/
fi
pip install -q -c "$constraints" "$wheels"/*mmcv-*.whl
"$venv/bin/python" -c 'import mmcv.ops' || { echo "setup_env: the mmcv wheel in $wheels has no compiled ops or was built against another torch; delete that folder and run again" >&2; exit 1; }
pip install -q -c "$constraints" -e ".[$family,instances,pretrained,crf,superpixel,clip,sam,export,test]"
echo "setup_env: $venv is ready ($family, $key)"
