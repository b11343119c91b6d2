"""``docs/own_data.md`` works as printed: its config, on a small set in its folders."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmstreet.cli.commands import main
from tests.helpers.doc_blocks import write_blocks

ROOT = Path(__file__).parents[2]
IDS = (7, 11, 23, 24, 31)
SMALL = [
    "load_from=None",
    "train_cfg.max_epochs=1",
    "train_dataloader.batch_size=2",
    *(f"{split}_dataloader.num_workers=0" for split in ("train", "val", "test")),
    *(f"{split}_dataloader.persistent_workers=False" for split in ("train", "val", "test")),
    "model.backbone.depth=18",
    "model.backbone.base_channels=8",
    "model.backbone.stem_channels=8",
    "model.decode_head.in_channels=64",
    "model.decode_head.channels=8",
    "model.auxiliary_head.in_channels=32",
    "default_hooks.logger.interval=1",
]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with the document's config, the repository's configs, and six pictures in Cityscapes' folders."""
    folder = tmp_path_factory.mktemp("project")
    assert write_blocks("own_data.md", folder) == ["my_config.py"]
    text = (folder / "my_config.py").read_text().replace("(1024, 512)", "(64, 32)").replace("configs/", f"{ROOT}/configs/")
    (folder / "my_config.py").write_text(text)
    generator = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        for i in range(count):
            labels = np.kron(generator.permutation([*IDS, 0, 7, 11])[:8].reshape(2, 4), np.ones((32, 32))).astype(np.uint8)
            image = np.stack([labels * 7 % 251, labels * 5 % 241, labels * 3 % 239], -1).astype(np.uint8)
            for kind, suffix, array in (("leftImg8bit", "leftImg8bit", image), ("gtFine", "gtFine_labelIds", labels)):
                path = folder / "data/my_streets" / kind / split / "zurich" / f"zurich_{i:06d}_{suffix}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(path)
    return folder


@pytest.fixture
def run(project, monkeypatch):
    """Run a command that has to succeed, in the project's folder."""
    monkeypatch.chdir(project)

    def call(*words):
        assert main(list(words)) == 0

    return call


def test_verify_counts_the_table_of_the_document(project, run):
    run("verify", "my_config.py", "--workers", "1")
    report = json.loads((project / "work_dirs/verify_dataset/dataset.json").read_text())
    files = (project / "data/my_streets/gtFine/train").rglob("*.png")
    counts = sum(np.bincount(np.array(Image.open(path)).ravel(), minlength=256) for path in files)
    assert report["splits"]["train"]["pixels"] == counts[list(IDS)].tolist()


def test_train_and_test_end_with_a_page_of_the_run(project, run):
    run("train", "my_config.py", "--cfg-options", *SMALL)
    run("test", "my_config.py", "work_dirs/my_config", "--cfg-options", *SMALL)
    result = json.loads((project / "work_dirs/my_config/test/metrics.json").read_text())
    assert result["evaluation"]["classes"] == ["road", "building", "sky", "person", "tram"]
    assert result["evaluation"]["per_class"][3]["group"] == "human"
    page = (project / "work_dirs/my_config/report.html").read_text(encoding="utf-8")
    assert "tram" in page
    assert "deeplabv3_bdd_v2.py" in page
