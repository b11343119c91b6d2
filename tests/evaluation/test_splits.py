"""One command, both splits: numbers against counting by hand, files, page and refusals."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmstreet.cli.commands import main
from mmstreet.engine.errors import LaunchError
from mmstreet.engine.safe_load import safe_loading
from mmstreet.evaluation.splits import run_splits, split_config
from mmstreet.labels import BDD100K_SEM19
from tests.helpers.color_streets import CONFIG, write_checkpoint, write_streets
from tests.helpers.segmentation_oracle import count_pairs, scores

TRAIN = """
train_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='RepeatDataset', times=3, dataset=dict(
        type='mmstreet.BDD100KSemSeg', data_root=data_root, split='train',
        pipeline=[*test_pipeline[:2], dict(type='RandomFlip', prob=1.0), dict(type='PackSegInputs')])),
)
train_cfg = dict(by_epoch=True, max_epochs=1)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
val_dataloader = test_dataloader
val_cfg = dict()
val_evaluator = test_evaluator
test_evaluator = [test_evaluator, dict(type='mmstreet.StreetIoUMetric', convention='bdd100k', prefix='toolkit')]
"""


@pytest.fixture
def streets(tmp_path, monkeypatch):
    """Five validation and three training images, their config and a checkpoint, in an empty working directory."""
    pairs = {"val": write_streets(tmp_path / "data"), "train": write_streets(tmp_path / "more", count=3)}
    for folder in ("images/10k", "labels/sem_seg/masks"):
        (tmp_path / "more" / folder / "val").rename(tmp_path / "data" / folder / "train")
    (tmp_path / "streets.py").write_text(CONFIG.format(root=str(tmp_path / "data")) + TRAIN)
    write_checkpoint(tmp_path / "epoch_1.pth")
    monkeypatch.chdir(tmp_path)
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    return pairs


class Page(HTMLParser):
    """Cells of the tables by row, and the pictures."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.pictures, self._in_cell = [], set(), False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag == "img":
            self.pictures.add(dict(attrs)["alt"])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        self._in_cell = tag in ("td", "th")

    def handle_data(self, data):
        if self._in_cell:
            self.rows[-1][-1] += data
            self._in_cell = False


def test_one_command_scores_training_and_validation_without_augmentation_and_writes_the_page(streets, tmp_path):
    options = ["--splits", "train", "val", "--out", "results", "--images", "2", "--worst", "1"]
    assert main(["test", "streets.py", "epoch_1.pth", *options]) == 0
    out, expected = tmp_path / "results", {}
    for split, pairs in streets.items():
        counts = count_pairs([(labels.tolist(), preds.tolist()) for labels, preds in pairs.values()])
        expected[split] = scores(counts, BDD100K_SEM19.names, groups=BDD100K_SEM19.groups)
        found = json.loads((out / split / "metrics.json").read_text())["metrics"]
        own = {name: value for name, value in found.items() if value is not None and not name.startswith("toolkit/")}
        assert own == pytest.approx(expected[split])
        expected[split]["toolkit"] = found["toolkit/mIoU"]
        files = json.loads((out / "files.json").read_text())["files"]
        assert {f"{split}/{name}" for name in ("per_class.csv", "images/index.json", "predictions.zip")} <= set(files)
        assert all((out / file).is_file() for file in files)
    assert expected["train"]["mIoU"] > expected["val"]["mIoU"]
    summary = json.loads((out / "splits.json").read_text())
    assert {split: values["mIoU"] for split, values in summary["splits"].items()} == pytest.approx(
        {split: values["mIoU"] for split, values in expected.items()}
    )

    page = Page((out / "report.html").read_text())
    assert page.rows[0] == ["", "val", "val/toolkit", "train", "train/toolkit"]
    rows = {row[0]: row[1:] for row in page.rows[::-1]}
    assert rows["mean IoU"][1::2] == [f"{expected[split]['toolkit']:.2f}" for split in ("val", "train")]
    for words, key in (("mean IoU", "mIoU"), ("weighted IoU (by true pixels)", "fwIoU"), ("category IoU", "catIoU"), ("road", "IoU/road")):
        assert rows[words][::2] == [f"{expected[split][key]:.2f}" for split in ("val", "train")]
    assert "category flat" in rows
    assert {"photo of street0.jpg", "truth of street0.jpg", "prediction of street0.jpg", "error of street4.jpg"} <= page.pictures


def test_examples_are_input_prediction_and_truth_of_images_spread_over_the_split(streets, tmp_path):
    cfg = Config.fromfile("streets.py")
    cfg.load_from, cfg.work_dir, cfg.launcher = "epoch_1.pth", str(tmp_path / "work"), "none"
    with safe_loading():
        run_splits(cfg, ["val"], out=tmp_path / "results", images=3, worst=0, examples=3)
    folder = tmp_path / "results/val/images"
    rows = json.loads((folder / "index.json").read_text())["images"]
    assert [row["title"] for row in rows] == ["street0.jpg", "street2.jpg", "street4.jpg"]
    for row in rows:
        labels, preds = streets["val"][row["title"]]
        assert (np.asarray(Image.open(folder / row["pictures"]["truth"])) == labels).all()
        assert (np.asarray(Image.open(folder / row["pictures"]["prediction"])) == preds).all()
        assert row["right"]["prediction"] == pytest.approx(100 * (labels == preds)[labels != 255].mean())
        paths = (folder / row["pictures"]["image"], tmp_path / "data/images/10k/val" / row["title"])
        kept, given = (np.asarray(Image.open(path).convert("L")).ravel() for path in paths)
        assert np.corrcoef(kept, given)[0, 1] > 0.95


def test_a_split_takes_its_files_from_its_own_loader_and_the_rest_from_the_test(streets):
    cfg = Config.fromfile("streets.py")
    cfg.test_dataloader.dataset.table = "bdd100k_sem19"
    cfg.train_dataloader.dataset.dataset.ann_file = "list.txt"
    dataset = split_config(cfg, "train").test_dataloader.dataset
    assert (dataset.split, dataset.ann_file, dataset.table, dataset.test_mode) == ("train", "list.txt", "bdd100k_sem19", True)
    assert dataset.pipeline == cfg.test_pipeline
    assert split_config(cfg, "train").test_dataloader.batch_size == 2
    assert cfg.test_dataloader.dataset.split == "val", "the config itself stays as it is"


def test_a_data_set_in_a_wrapper_stays_in_it():
    def loader(folder, pipeline):
        inner = dict(type="CityscapesDataset", data_prefix=dict(img_path=folder), pipeline=pipeline)
        return dict(dataset=dict(type="mmstreet.RemappedSemSeg", dataset=inner))

    cfg = Config(
        dict(train_dataloader=loader("train", ["augment"]), test_dataloader=loader("val", ["plain"]), test_evaluator=dict(type="x"))
    )
    dataset = split_config(cfg, "train").test_dataloader.dataset
    assert dataset.type == "mmstreet.RemappedSemSeg"
    assert dataset.dataset.data_prefix.img_path == "train"
    assert dataset.dataset.pipeline == ["plain"]


def test_what_cannot_be_split_is_refused_in_one_sentence(streets):
    cfg = Config.fromfile("streets.py")
    for splits, words in (
        (["val", "val"], "different names out of train, val, test, got val, val"),
        ([], "got none"),
        (["all"], "got all"),
    ):
        with pytest.raises(LaunchError, match=words):
            run_splits(cfg, splits, out="results")
    cfg.train_dataloader.dataset = dict(type="ConcatDataset", datasets=[cfg.test_dataloader.dataset] * 2)
    with pytest.raises(LaunchError, match="split 'train' is a ConcatDataset of several data sets"):
        split_config(cfg, "train")
    cfg.pop("train_dataloader")
    with pytest.raises(LaunchError, match="the config has no train_dataloader"):
        split_config(cfg, "train")
    cfg.test_evaluator = dict(type="CocoMetric", ann_file="val.json")
    with pytest.raises(LaunchError, match=r"CocoMetric reads the annotations of one split, 'val.json'"):
        split_config(cfg, "val")
