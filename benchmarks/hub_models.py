"""Train, test, predict, refine and export a model of every family of transformers: ``python benchmarks/hub_models.py [FAMILY ...]``.

Each is tiny and random, saved as a published folder is, and goes through the daily commands on generated scenes: two iterations of
``mmstreet train``, then ``test``, ``predict``, ``predict --refine superpixel`` and ``export --size`` with its check against PyTorch. What
ran is one row of the table; a step that fails says why. Weights of a folder or of the hub go the same way: ``--model NAME`` in place of
the tiny ones.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.tiny_transformers import FAMILIES, SIDE, UNIVERSAL, write_tiny
from mmstreet.cli.commands import main as mmstreet
from mmstreet.files.config_files import shipped_folder

CONFIG = """
_base_ = ["{configs}/_base_/data/loaders.py", "{configs}/_base_/runtime/iterations.py"]
model = dict(type="mmstreet.TransformersSegmentor", model="{model}", classes="bdd100k_sem19", data_preprocessor=dict(size=({side}, {side})))
_files = dict(type="mmstreet.BDD100KSemSeg", data_root="{data}")
_resize = dict(type="Resize", scale=({side}, {side}), keep_ratio=False)
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(_files, pipeline=[
    _base_._load_image, _base_._load_labels, _resize, _base_._flip, _base_._pack]))
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(_files, pipeline=[
    _base_._load_image, _resize, _base_._load_labels, _base_._pack]))
test_dataloader = val_dataloader
train_cfg = dict(type="IterBasedTrainLoop", max_iters=2, val_interval=2)
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=0, by_epoch=False)]
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=1e-4))
default_hooks = dict(checkpoint=dict(interval=2))
find_unused_parameters = True
"""


def main() -> None:
    """Print the table as Markdown; exit code 1 if a step failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=f"default: all: {', '.join(FAMILIES)}")
    parser.add_argument("--model", action="append", default=[], help="a folder or a name on the hub beside or instead of the tiny ones")
    parser.add_argument(
        "--side", type=int, default=SIDE, help="height and width of the input (default: %(default)s, that of the tiny ones)"
    )
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/hub_models"))
    args = parser.parse_args()
    work = args.work_dir.resolve()
    if not (work / "data").exists():
        run(["mini", work / "data", "--train", 4, "--val", 2, "--size", "160x90"])
    families = args.families or ([] if args.model else list(FAMILIES))
    models = [(family, str(write_tiny(work / "models" / family, family))) for family in families] + [(name, name) for name in args.model]
    print("| model | loss | train step | test | predict | refine | export | greatest difference of a logit, equal labels |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    failed = False
    for name, model in models:
        cells = list(try_model(name, model, work, args.side))
        failed |= any("failed" in cell for cell in cells)
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    sys.exit(failed)


def try_model(name: str, model: str, work: Path, side: int) -> Iterator[str]:
    """Give the cells of a model's row."""
    folder = work / re.sub(r"\W", "_", name)
    folder.mkdir(parents=True, exist_ok=True)
    config, image = folder / "config.py", work / "data/images/10k/val"
    config.write_text(CONFIG.format(configs=shipped_folder(), model=model, data=work / "data", side=side))
    yield "own, on queries" if name in UNIVERSAL else "cross-entropy"
    use = ["-c", config, "-k", folder, "--overwrite"]
    yield step(lambda: run(["train", config, "--work-dir", folder]))
    yield step(lambda: run(["test", config, folder, "--work-dir", folder]))
    yield step(lambda: run(["predict", image, *use, "--out", folder / "predicted"]))
    yield step(lambda: run(["predict", image, *use, "--out", folder / "refined", "--refine", "superpixel"]))
    exported, said = folder / "model.onnx", []
    export = ["export", config, folder, "--size", f"{side}x{side}", "--out", exported, "--count", 2]
    yield step(lambda: said.append(run(export)))
    found = re.search(r"at most (\S+) \(.*?\), (\S+ %)", said[0]) if said else None
    yield f"{found[1]}, {found[2]}" if found else "–"


def step(work: Callable[[], str | None]) -> str:
    """Run one step and say how it went."""
    try:
        work()
    except RuntimeError as error:
        return f"failed: {error}"
    return "ran"


def run(words: list) -> str:
    """Run a command of mmstreet; its output.

    Raises:
        RuntimeError: If it fails, with the last line that it said.
    """
    out, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        code = mmstreet([str(word) for word in words])
    if code:
        raise RuntimeError((said.getvalue().strip().splitlines() or ["?"])[-1][:200])
    return out.getvalue()


if __name__ == "__main__":
    main()
