"""``mmstreet test --corruptions``: every cell against a count of its own, and a run that was killed goes on."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from mmstreet.labels import BDD100K_SEM19
from mmstreet.transforms.corruptions import KINDS, corrupt_image, corrupt_labels
from tests.helpers.color_streets import write_checkpoint
from tests.helpers.forked import run_in_two_processes
from tests.helpers.segmentation_oracle import count_pairs, scores

OUT = "results"


def expected_scores(root, streets, kind, severity):
    """Corrupt every image, and give each pixel the class whose colour is nearest."""
    palette, pairs = np.array(BDD100K_SEM19.palette, float), []
    for name, (labels, _) in streets.items():
        image = np.asarray(Image.open(root / "data/images/10k/val" / name))
        if kind:
            image, labels = corrupt_image(image, kind, severity, name=name), corrupt_labels(labels, kind, severity, name=name)
        preds = ((image[:, :, None].astype(float) - palette) ** 2).sum(3).argmin(2)
        pairs.append((labels.tolist(), preds.tolist()))
    return scores(count_pairs(pairs), BDD100K_SEM19.names, groups={})


def read(tmp_path, out=OUT):
    return json.loads((tmp_path / out / "corruptions/metrics.json").read_text())


def test_every_cell_is_what_a_count_of_its_own_gives(streets, run, tmp_path):
    run("test", "streets.py", "epoch_1.pth", "--out", OUT, "--corruptions", "impulse_noise", "elastic_transform", "zoom_blur", "--quick")
    content = read(tmp_path)
    table = content["corruptions"]
    clean = expected_scores(tmp_path, streets, None, 0)["mIoU"]
    assert table["clean"]["mIoU"] == pytest.approx(clean)
    kinds = ["impulse_noise", "zoom_blur", "elastic_transform"]
    assert [(row["kind"], row["severity"]) for row in table["cells"]] == [(kind, severity) for kind in kinds for severity in (1, 3, 5)]
    means = {}
    for row in table["cells"]:
        expected = expected_scores(tmp_path, streets, row["kind"], row["severity"])
        means[row["kind"], row["severity"]] = expected["mIoU"]
        assert row["mIoU"] == pytest.approx(expected["mIoU"])
        assert row["relative"] == pytest.approx(100 * expected["mIoU"] / clean)
        assert row["IoU"] == pytest.approx([expected.get(f"IoU/{name}") for name in BDD100K_SEM19.names])
        assert row["apart"] == (row["kind"] == "zoom_blur")
    counted = [mean for (kind, _), mean in means.items() if kind != "zoom_blur"]
    assert content["metrics"]["corruptions/mIoU"] == pytest.approx(sum(counted) / 6)
    assert content["metrics"]["corruptions/relative"] == pytest.approx(100 * sum(counted) / 6 / clean)
    assert table["groups"]["noise"]["mIoU"] == pytest.approx(sum(means["impulse_noise", severity] for severity in (1, 3, 5)) / 3)
    assert list(table["groups"]) == ["noise", "digital"], "what displaces pixels is in no mean"
    with open(tmp_path / OUT / "corruptions/cells.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == ["clean", *(kind for kind in kinds for _ in range(3))]
    assert float(rows[1]["mIoU"]) == pytest.approx(means["impulse_noise", 1], abs=1e-4)
    page = (tmp_path / OUT / "report.html").read_text()
    assert "Corruptions" in page
    assert "elastic transform" in page


def test_the_pictures_show_what_the_model_saw_and_made_of_it(streets, run, tmp_path):
    run("test", "streets.py", "epoch_1.pth", "--out", OUT, "--corruptions", "elastic_transform", "--quick", "--worst", "0")
    index = json.loads((tmp_path / OUT / "corruptions/pictures.json").read_text())
    assert [row["title"] for row in index["images"]] == ["clean", "elastic_transform_3"]
    labels = next(iter(streets.values()))[0]
    for row, expected in zip(index["images"], (labels, corrupt_labels(labels, "elastic_transform", 3, name="street0.jpg"))):
        truth = np.asarray(Image.open(tmp_path / OUT / "corruptions" / row["pictures"]["truth"]))
        assert np.array_equal(truth, expected)
    assert {entry["class"] for entry in index["legend"]} >= {"road", "ignored"}


def test_a_run_that_was_killed_goes_on_with_the_missing_cells(streets, run, tmp_path, monkeypatch, capfd):
    words = ("test", "streets.py", "epoch_1.pth", "--out", OUT, "--corruptions", "contrast", "fog", "--quick", "--worst", "0")
    run(*words)
    whole = {path.name: path.read_bytes() for path in (tmp_path / OUT / "corruptions/cells").iterdir()}
    assert len(whole) == 7
    (tmp_path / OUT / "corruptions/cells/fog_3.json").write_text('{"identity": "x", "confu')
    (tmp_path / OUT / "corruptions/cells/fog_5.json").unlink()
    (tmp_path / OUT / "corruptions/metrics.json").unlink()
    done = []
    fog = KINDS["fog"]
    monkeypatch.setitem(KINDS, "fog", lambda image, severity, rng: done.append(severity) or fog(image, severity, rng))
    monkeypatch.setitem(KINDS, "contrast", lambda *_: pytest.fail("this cell is there"))
    capfd.readouterr()
    run(*words)
    assert set(done) == {3, 5}
    assert "5 of 7 cells are there already" in "".join(capfd.readouterr())
    assert {path.name: path.read_bytes() for path in (tmp_path / OUT / "corruptions/cells").iterdir()} == whole
    assert len(read(tmp_path)["corruptions"]["cells"]) == 6


def test_other_weights_images_or_settings_are_measured_anew(streets, run, tmp_path):
    words = ("--out", OUT, "--corruptions", "contrast", "--quick", "--worst", "0")
    run("test", "streets.py", "epoch_1.pth", *words)
    before = read(tmp_path)["corruptions"]
    run("test", "streets.py", "epoch_1.pth", *words, "--cfg-options", "test_dataloader.dataset.indices=2")
    fewer = read(tmp_path)["corruptions"]
    assert (before["images"], fewer["images"]) == (5, 2)
    assert fewer["clean"] != before["clean"]
    write_checkpoint(tmp_path / "epoch_2.pth")
    weights = torch.load(tmp_path / "epoch_2.pth", weights_only=False)
    weights["state_dict"]["colors"] = weights["state_dict"]["colors"].flip(0)
    torch.save(weights, tmp_path / "epoch_2.pth")
    run("test", "streets.py", "epoch_2.pth", "--out", OUT, "--worst", "0")
    assert not (tmp_path / OUT / "corruptions").exists(), "cells of other weights are removed"
    run("test", "streets.py", "epoch_2.pth", *words)
    assert read(tmp_path)["corruptions"]["clean"]["mIoU"] < before["clean"]["mIoU"]


def test_two_processes_write_the_cells_of_one(streets, run, tmp_path):
    words = ["--corruptions", "shot_noise", "elastic_transform", "--quick", "--worst", "0"]
    run_in_two_processes("test", "streets.py", "epoch_1.pth", "--out", "two", *words)
    run("test", "streets.py", "epoch_1.pth", "--out", "one", *words)
    one, two = tmp_path / "one/corruptions", tmp_path / "two/corruptions"
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) > 12
    assert {file: (two / file).read_bytes() for file in files} == {file: (one / file).read_bytes() for file in files}


def test_what_cannot_be_measured_is_refused_in_one_sentence(streets, refusal, tmp_path):
    said = refusal("test", "streets.py", "epoch_1.pth", "--corruptions", "hail")
    assert "there is no corruption 'hail'; choose groups (noise, blur" in said
    other = (tmp_path / "streets.py").read_text() + "test_evaluator = dict(type='mmseg.IoUMetric')\n"
    (tmp_path / "other.py").write_text(other)
    assert "compares the mIoU of mmstreet.StreetIoUMetric" in refusal("test", "other.py", "epoch_1.pth", "--corruptions", "fog")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / OUT).mkdir()
    (tmp_path / OUT / "corruptions").symlink_to(tmp_path / "elsewhere")
    assert "leads out of the folder" in refusal("test", "streets.py", "epoch_1.pth", "--out", OUT, "--corruptions", "fog", "--worst", "0")
    assert not list((tmp_path / "elsewhere").iterdir())
