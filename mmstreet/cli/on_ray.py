"""``--launcher ray``: a command in several processes on a Ray cluster, or on this machine.

``predict``, ``refine``, ``verify``, ``convert`` and ``pseudo-masks`` run as tasks that take chunks by lease from a disk that all see: a
process that is killed loses one chunk, and Ray starts another in its place. ``train`` and ``test`` run as actors that stand together, with
the environment that torchrun gives.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence

from mmstreet.cli.arguments import CommandParser
from mmstreet.deps import require
from mmstreet.files.sharing import JOB, RAY_JOB

SHARED = ("predict", "refine", "verify", "convert", "pseudo-masks")
"""Commands that share files out."""
TOGETHER = ("train", "test")
"""Commands whose processes work in step."""
_STARTS = 4
"""How often a process is started in all, if it is killed."""
_WAIT_S = 120
_PASSED_ON = ("PYTHONPATH", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "HF_HOME", "TORCH_HOME")
_DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of Linux."""


def asks_for_ray(argv: Sequence[str]) -> bool:
    """Tell whether a command line has ``--launcher ray``."""
    return "--launcher=ray" in argv or any(pair == ("--launcher", "ray") for pair in itertools.pairwise(argv))


def run_on_ray(command: str, argv: Sequence[str], prog: str) -> int:
    """Run a command on Ray and return the worst exit code of its processes.

    ``RAY_ADDRESS`` names a cluster that is there; without it, Ray is started on this machine and ended afterwards.

    Args:
        command: Name of the command.
        argv: Its arguments.
        prog: How it is called, for messages.

    Raises:
        ImportError: If Ray is not installed.
        ValueError: If the cluster has not room for so many processes.
    """
    parser = CommandParser(prog=prog, add_help=False)
    add_ray(parser)
    args, rest = parser.parse_known_args(list(argv))
    if command not in (*SHARED, *TOGETHER):
        parser.error(f"--launcher ray goes with {', '.join((*SHARED, *TOGETHER))}; '{command}' works in one process")
    rest = [*rest, "--launcher", "pytorch"] if command in TOGETHER else rest
    importlib.import_module(f"mmstreet.cli.{command.replace('-', '_')}").parse_args(rest, prog)  # mistakes show before anything is started
    ray = require("ray", extra="ray")
    started_here = not ray.is_initialized()
    if started_here:
        ray.init(log_to_driver=True, include_dashboard=False, logging_level="ERROR")
    try:
        count = args.ray_workers or _room(ray.cluster_resources(), args.ray_cpus, args.ray_gpus)
        resources = {"num_cpus": args.ray_cpus, "num_gpus": args.ray_gpus}
        _check_room(ray.cluster_resources(), count if command in TOGETHER else 1, args)
        return (_share if command in SHARED else _in_step)(ray, [command, *rest], count, resources)
    finally:
        if started_here:
            ray.shutdown()


def add_ray(parser: argparse.ArgumentParser) -> None:
    """Add ``--launcher`` with the number and the size of Ray's processes."""
    parser.add_argument("--launcher", choices=("auto", "ray"), default="auto", help="ray: start processes on Ray (RAY_ADDRESS, else here)")
    add_ray_size(parser)


def add_ray_size(parser: argparse.ArgumentParser) -> None:
    """Add the number and the size of Ray's processes."""
    parser.add_argument("--ray-workers", type=int, metavar="N", help="with --launcher ray: processes; default: as many as fit")
    parser.add_argument("--ray-cpus", type=float, default=1, metavar="N", help="with --launcher ray: cores of each (default: 1)")
    parser.add_argument("--ray-gpus", type=float, default=0, metavar="N", help="with --launcher ray: GPUs of each (default: 0)")


def _share(ray: object, command: Sequence[str], count: int, resources: Mapping[str, float]) -> int:
    job = f"{RAY_JOB}{uuid.uuid4().hex[:12]}"
    work = ray.remote(max_retries=_STARTS - 1, **resources)(_run)
    envs = [{JOB: job, "RANK": str(i), "WORLD_SIZE": str(count), "LOCAL_RANK": "0"} for i in range(count)]
    return _worst(ray, [work.remote(list(command), os.getcwd(), _environment(env)) for env in envs], wait_for_all=True)


def _in_step(ray: object, command: Sequence[str], count: int, resources: Mapping[str, float]) -> int:
    from ray.util.placement_group import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    group = placement_group([{"CPU": resources["num_cpus"], **({"GPU": resources["num_gpus"]} if resources["num_gpus"] else {})}] * count)
    try:
        ray.get(group.ready(), timeout=_WAIT_S)
        together = PlacementGroupSchedulingStrategy(group)
        actors = [ray.remote(_Process).options(scheduling_strategy=together, **resources).remote() for _ in range(count)]
        host, port = ray.get(actors[0].address.remote())
        shared = {"WORLD_SIZE": str(count), "LOCAL_RANK": "0", "MASTER_ADDR": host, "MASTER_PORT": str(port)}
        envs = [_environment({**shared, "RANK": str(i)}) for i in range(count)]
        return _worst(ray, [actor.run.remote(list(command), os.getcwd(), env) for actor, env in zip(actors, envs)], wait_for_all=False)
    finally:
        remove_placement_group(group)  # ends actors that still wait for one that failed


class _Process:
    """One process of a training."""

    def address(self) -> tuple[str, int]:
        """Return where the others find this one."""
        import ray

        with socket.socket() as free:
            free.bind(("", 0))
            return ray.util.get_node_ip_address(), free.getsockname()[1]

    def run(self, command: list[str], folder: str, environ: dict[str, str]) -> int:
        """Run the command once; a training goes on from its checkpoint, with ``--resume``."""
        return _run(command, folder, environ, starts=1)


def _run(command: list[str], folder: str, environ: dict[str, str], starts: int = _STARTS) -> int:
    """Run a command in a process of its own and return its exit code; one that is killed is started again."""
    code = 1
    for _ in range(starts):
        code = subprocess.call(
            [sys.executable, "-m", "mmstreet", *command],
            cwd=folder if os.path.isdir(folder) else None,
            env={**os.environ, **environ},
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        if code >= 0:
            break
        print(f"mmstreet {command[0]}: killed by signal {-code}", file=sys.stderr)
    return code if code >= 0 else 128 - code


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def _worst(ray: object, running: list, *, wait_for_all: bool) -> int:
    """Wait for all, or for the first that fails; return the worst exit code so far."""
    worst = 0
    while running:
        done, running = ray.wait(running, num_returns=1)
        try:
            code = ray.get(done[0])
        except ray.exceptions.RayError as error:
            print(f"a process on Ray is lost: {str(error).strip().splitlines()[0]}; run the same command again", file=sys.stderr)
            return 1
        worst = max(worst, code)
        if code and not wait_for_all:
            break
    return worst


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    passed = {name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith("MMSTREET_")}
    return {**passed, **more}


def _room(resources: Mapping[str, float], cpus: float, gpus: float) -> int:
    by_cpu = resources.get("CPU", 1) / cpus if cpus else float("inf")
    by_gpu = resources.get("GPU", 0) / gpus if gpus else float("inf")
    room = min(by_cpu, by_gpu)
    return max(1, int(room)) if room != float("inf") else 1


def _check_room(resources: Mapping[str, float], count: int, args: argparse.Namespace) -> None:
    for name, each in (("CPU", args.ray_cpus), ("GPU", args.ray_gpus)):
        there = resources.get(name, 0)
        if each * count > there:
            raise ValueError(
                f"Ray has {there:g} {name}s, and {count} processes of {each:g} need {each * count:g}; give a smaller --ray-workers or "
                f"--ray-{name.lower()}s"
            )
