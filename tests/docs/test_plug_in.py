"""``docs/plug_in.md`` works as printed: its configs, trained by the frameworks' own scripts on small sets in the folders of theirs."""

import functools
import json
import os
from pathlib import Path

import mmseg
import numpy as np
import pytest
import torch
from PIL import Image

from mmstreet.labels import STREET6
from tests.helpers.doc_blocks import DOCS, write_blocks
from tests.helpers.ops import needs_ops

ROOT = Path(__file__).parents[2]
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


SMALL_INSTANCES = [
    "train_cfg.max_epochs=1",
    "default_hooks.logger.interval=1",
    "model.backbone.depth=18",
    "model.backbone.base_channels=8",
    "model.backbone.stem_channels=8",
    "model.backbone.init_cfg=None",
    "model.backbone.frozen_stages=-1",
    "model.backbone.norm_cfg.requires_grad=True",
    "model.neck.in_channels=[8,16,32,64]",
    "model.test_cfg.rcnn.score_thr=0.9",
    "train_dataloader.dataset.pipeline.2.scale=(64,64)",
    "val_dataloader.dataset.pipeline.1.scale=(64,64)",
    *(f"{split}_dataloader.{key}" for split in ("train", "val", "test") for key in ("num_workers=0", "persistent_workers=False")),
]


def write_coco(root: Path) -> None:
    """Four pictures of two squares each: a person and a bicycle, COCO's first classes."""
    generator = np.random.default_rng(0)
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "bicycle"}]
    for split in ("train2017", "val2017"):
        coco = {"images": [], "annotations": [], "categories": categories}
        (root / split).mkdir(parents=True)
        (root / "annotations").mkdir(exist_ok=True)
        for i in range(2):
            Image.fromarray(generator.integers(0, 255, (64, 64, 3), np.uint8)).save(root / split / f"{i}.jpg")
            coco["images"].append({"id": i, "file_name": f"{i}.jpg", "height": 64, "width": 64})
            for category, x in ((1, 4), (2, 36)):
                corners = [x, 20, x + 24, 20, x + 24, 44, x, 44]
                box = {"bbox": [x, 20, 24, 24], "area": 576, "iscrowd": 0, "segmentation": [corners]}
                coco["annotations"].append({"id": len(coco["annotations"]) + 1, "image_id": i, "category_id": category, **box})
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(coco))


def write_cityscapes(root: Path) -> None:
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


@pytest.fixture
def train_as_printed(warm_python, tmp_path):
    """Train a config of the document with a framework's own script; returns what was logged."""
    return functools.partial(_train_as_printed, warm_python, tmp_path)


def _train_as_printed(python, folder: Path, script: Path, config: str, options: list[str]) -> list[dict]:
    assert write_blocks("plug_in.md", folder) == ["my_fcn.py", "my_six.py", "my_mask_rcnn.py"]
    (folder / "configs").symlink_to(script.parents[1] / "configs")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = python.run(script, config, "--cfg-options", *options, cwd=folder, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    (log,) = (folder / "work_dirs" / Path(config).stem).glob("*/vis_data/scalars.json")
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_mmsegs_own_script_trains_the_config_of_the_document(tmp_path, train_as_printed):
    write_cityscapes(tmp_path / "data/cityscapes")
    rows = train_as_printed(Path(mmseg.__file__).parent / ".mim/tools/train.py", "my_fcn.py", SMALL)
    assert {"decode.loss_focal_dice", "aux.loss_focal_dice"} <= rows[0].keys()
    assert {"mIoU", "fwIoU"} <= rows[-1].keys()
    assert (tmp_path / "work_dirs/my_fcn/iter_2.pth").exists()


def test_mmsegs_own_script_trains_remapped_classes(tmp_path, train_as_printed):
    write_cityscapes(tmp_path / "data/cityscapes")
    options = [option.replace(".dataset.pipeline", ".dataset.dataset.pipeline") for option in SMALL]
    rows = train_as_printed(Path(mmseg.__file__).parent / ".mim/tools/train.py", "my_six.py", options)
    scored = {name.removeprefix("IoU/") for name in rows[-1] if name.startswith("IoU/")}
    assert scored
    assert scored <= set(STREET6.names)
    checkpoint = torch.load(tmp_path / "work_dirs/my_six/iter_2.pth", weights_only=False)
    assert tuple(checkpoint["meta"]["dataset_meta"]["classes"]) == STREET6.names


@needs_ops
def test_mmdets_own_script_trains_the_config_of_the_document(tmp_path, train_as_printed):
    import mmdet

    write_coco(tmp_path / "data/coco")
    rows = train_as_printed(Path(mmdet.__file__).parent / ".mim/tools/train.py", "my_mask_rcnn.py", SMALL_INSTANCES)
    assert rows[0]["loss_mask"] > 0
    assert {"coco/AP", "coco/AP/bicycle", "bitmask/AP", "bitmask/AP/person"} <= rows[-1].keys()


def test_the_python_of_the_document_runs():
    text = (DOCS / "plug_in.md").read_text(encoding="utf-8")
    block = next(part for part in text.split("```") if "compute_class_weights(" in part)
    scope = {}
    exec(block.removeprefix("python\n"), scope)
    assert sum(scope["weights"]) / 3 <= 10
    assert scope["weights"][2] > scope["weights"][0]
