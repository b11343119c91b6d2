"""``docs/plug_in.md`` works as printed: its config, trained by MMSegmentation's own script on a small set in Cityscapes' folders."""

import json
import os
import subprocess
import sys
from pathlib import Path

import mmseg
import numpy as np
from PIL import Image

from tests.helpers.doc_blocks import DOCS, write_blocks

ROOT = Path(__file__).parents[2]
SCRIPT = Path(mmseg.__file__).parent / ".mim/tools/train.py"
SMALL = [
    "train_cfg.max_iters=2",
    "train_cfg.val_interval=2",
    "default_hooks.checkpoint.interval=2",
    "default_hooks.logger.interval=1",
    "crop_size=(32,64)",
    "model.data_preprocessor.size=(32,64)",
    "train_dataloader.dataset.pipeline.2.scale=(64,32)",
    "train_dataloader.dataset.pipeline.3.crop_size=(32,64)",
    "val_dataloader.dataset.pipeline.1.scale=(64,32)",
    "test_dataloader.dataset.pipeline.1.scale=(64,32)",
    *(f"{split}_dataloader.{key}" for split in ("train", "val", "test") for key in ("num_workers=0", "persistent_workers=False")),
    "model.backbone.depth=18",
    "model.backbone.base_channels=8",
    "model.backbone.stem_channels=8",
    "model.decode_head.in_channels=64",
    "model.decode_head.channels=8",
    "model.auxiliary_head.in_channels=32",
    "model.auxiliary_head.channels=8",
    "model.backbone.norm_cfg.type=BN",
    "model.decode_head.norm_cfg.type=BN",
    "model.auxiliary_head.norm_cfg.type=BN",
]


def draw_cityscapes(root: Path) -> None:
    generator = np.random.default_rng(0)
    for split in ("train", "val"):
        for i in range(2):
            labels = np.kron(generator.integers(0, 19, (2, 4)), np.ones((32, 32))).astype(np.uint8)
            labels[:3] = 255
            for kind, suffix, array in (
                ("leftImg8bit", "leftImg8bit", np.stack([labels] * 3, -1)),
                ("gtFine", "gtFine_labelTrainIds", labels),
            ):
                path = root / kind / split / f"aachen_{i}_{suffix}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(path)


def test_mmsegs_own_script_trains_the_config_of_the_document(tmp_path):
    draw_cityscapes(tmp_path / "data/cityscapes")
    assert write_blocks("plug_in.md", tmp_path) == ["my_fcn.py"]
    (tmp_path / "configs").symlink_to(SCRIPT.parents[1] / "configs")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, str(SCRIPT), "my_fcn.py", "--cfg-options", *SMALL]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (log,) = (tmp_path / "work_dirs/my_fcn").glob("*/vis_data/scalars.json")
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"decode.loss_focal_dice", "aux.loss_focal_dice"} <= rows[0].keys()
    assert {"mIoU", "IoU_rare"} <= rows[-1].keys()
    assert (tmp_path / "work_dirs/my_fcn/iter_2.pth").exists()


def test_the_python_of_the_document_runs():
    text = (DOCS / "plug_in.md").read_text(encoding="utf-8")
    block = next(part for part in text.split("```") if "compute_class_weights(" in part)
    scope = {}
    exec(block.removeprefix("python\n"), scope)
    assert sum(scope["weights"]) / 3 <= 10
    assert scope["weights"][2] > scope["weights"][0]
