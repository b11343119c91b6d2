"""What a user waits for besides the network: the start of a command, and all that ``mmstreet test`` does beside its forward passes.

Processor time. The test is of 16 generated scenes with ``deeplabv3_mini_v2`` and first weights, after imports and building: reading, the
metric, pictures and files are in it. With numba, labels are found by the compiled loops from the first image on.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parents[1]
_RUNS = itertools.count()


def run(quick: bool = False) -> list[dict]:
    """Measure the start of three commands and a test."""
    rows = []
    for words, before in (("train --help", 9.0), ("test --help", 9.0), ("train --no-such-option", 9.0)):
        seconds, peak_mib = start_of(words.split())
        rows.append(dict(name=f"mmstreet {words}", value=seconds, unit="s", target="<= 0.3", before=before, note=f"{peak_mib:.0f} MiB"))
    return [*rows, test_row(quick)]


def start_of(words: list[str]) -> tuple[float, float]:
    """Return processor time in seconds and peak memory in MiB of one command; the memory is Linux's count for the new program alone."""
    code = (
        "import atexit, os, re, runpy, sys\n"
        "def say():\n"
        "    peak = re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())\n"
        "    print('measured', sum(os.times()[:2]), int(peak.group(1)) / 1024)\n"
        "atexit.register(say)\n"
        f"sys.argv = {['mmstreet', *words]!r}\n"
        "runpy.run_module('mmstreet', run_name='__main__', alter_sys=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    word, seconds, peak_mib = done.stdout.splitlines()[-1].split()
    if word != "measured":
        raise RuntimeError(f"'mmstreet {' '.join(words)}' did not end as it should: {done.stderr[-500:]}")
    return float(seconds), float(peak_mib)


def test_row(quick: bool) -> dict:
    """Time a whole test of a runner that is built, against the forward passes inside it.

    Weights are random but for the classifier, which is fitted to other scenes: noise in the label maps would make pictures cost more.
    """
    import torch
    from mmseg.models.segmentors import EncoderDecoder

    from benchmarks.bench_predict import fit_classifier
    from mmstreet.cli.commands import main
    from mmstreet.engine.launch import build_runner, load_config
    from mmstreet.evaluation.testing import run_test
    from mmstreet.mini.drive import render_drive
    from mmstreet.models import label_resizing
    from mmstreet.predict import Predictor
    from mmstreet.predict.inference import build_model

    number = 2 if quick else 16
    forward, real = [0.0], EncoderDecoder.encode_decode

    def timed(self, *args: object, **kwargs: object) -> object:
        start = time.process_time()
        result = real(self, *args, **kwargs)
        forward[0] += time.process_time() - start
        return result

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        main(["mini", f"{folder}/data", "--train", "1", "--val", str(number), "--seed", "0"])
        weights = f"{folder}/weights.pth"
        torch.manual_seed(0)
        torch.save({"state_dict": build_model(load_config("deeplabv3_mini_v2", launcher="none")).state_dict()}, weights)
        predictor = Predictor("deeplabv3_mini_v2", weights, device="cpu")
        fit_classifier(predictor, list(render_drive(frames=2 if quick else 12, size_wh=(640, 360))))
        torch.save({"state_dict": predictor.model.model.state_dict()}, weights)
        cfg = load_config("deeplabv3_mini_v2", load_from=weights, work_dir=f"{folder}/run", data=f"{folder}/data")
        cfg.log_level = "ERROR"
        cfg.experiment_name = cfg.visualizer.name = f"commands{next(_RUNS)}"  # mmengine keeps both by name, with the folder of the first
        runner = build_runner(cfg)
        ratios = []
        with mock.patch.object(EncoderDecoder, "encode_decode", timed), mock.patch.object(label_resizing, "COMPILED_FROM", 0):
            for repeat in range(2 if quick else 4):  # the first one warms up
                forward[0], start = 0.0, time.process_time()
                run_test(runner, out=f"{folder}/test_{repeat}")
                ratios.append((time.process_time() - start) / forward[0])
    note = f"median of {len(ratios) - 1}; mini scenes of 640×360"
    value = sorted(ratios[1:])[(len(ratios) - 1) // 2]
    return dict(name=f"mmstreet test, {number} images / its forward passes", value=value, unit="x", target="<= 1.4", before=3.66, note=note)
