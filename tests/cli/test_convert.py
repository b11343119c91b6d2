import json

import numpy as np
import pytest
from PIL import Image

from mmstreet.cli.commands import main
from mmstreet.files.images import write_image
from tests.helpers.instance_labels import instances_by_key, random_frames, write_json


def test_json_to_coco_to_bitmasks_to_coco(tmp_path, run, capsys):
    write_json(tmp_path / "a.json", random_frames(5))
    run("convert", tmp_path / "a.json", tmp_path / "b.json", "--from", "scalabel", "--to", "coco", "--workers", 2)
    assert "skipped" in capsys.readouterr().out
    run("convert", tmp_path / "b.json", tmp_path / "masks", "--from", "coco", "--to", "bitmask")
    run("convert", tmp_path / "masks", tmp_path / "c.json", "--from", "bitmask", "--to", "coco")
    before, after = (instances_by_key(json.loads((tmp_path / name).read_text())) for name in ("b.json", "c.json"))
    assert before == after
    assert json.loads((tmp_path / "masks.report.json").read_text())["instances_out"] == len(before)


def test_a_broken_file_gives_one_sentence(tmp_path, refusal):
    (tmp_path / "a.json").write_text('[{"name": "a.jpg"')
    sentence = refusal("convert", tmp_path / "a.json", tmp_path / "b.json", "--from", "scalabel", "--to", "coco")
    assert sentence.startswith(f"{tmp_path}/a.json is not whole JSON")


def test_options_without_meaning_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["convert", "a", "b", "--from", "coco", "--to", "coco", "--bitmasks", "c"])
    assert "--bitmasks goes with --from scalabel" in capsys.readouterr().err


def write_maps(root, names=("train/a", "val/b")):
    for number, name in enumerate(names):
        write_image(np.full((6, 8, 3), 90, np.uint8), root / f"images/{name}.jpg")
        write_image(np.full((6, 8), 13, np.uint8) * (np.arange(8) > 3 + number).astype(np.uint8), root / f"labels/{name}.png")
    return root / "labels"


def test_the_input_is_recognised_and_losses_are_listed(tmp_path, run, capsys):
    labels = write_maps(tmp_path)
    run("convert", labels, tmp_path / "yolo", "--to", "yolo", "--images", tmp_path / "images", "--copy-images", "--workers", 1)
    out = capsys.readouterr().out
    assert out.startswith("semantic → yolo, 19 classes of bdd100k_sem19\n")
    assert "losses                   2 × flag 'crowd'\n" in out
    assert json.loads((tmp_path / "yolo.report.json").read_text())["losses"] == {"flag 'crowd'": 2}
    run("convert", tmp_path / "yolo", tmp_path / "back", "--to", "semantic", "--workers", 1)
    for name in ("train/a", "val/b"):
        np.testing.assert_array_equal(*(np.asarray(Image.open(folder / f"{name}.png")) for folder in (labels, tmp_path / "back")))


def test_classes_of_ones_own_come_from_a_file(tmp_path, run, refusal):
    labels = write_maps(tmp_path)
    (tmp_path / "rows.json").write_text('[{"name": "ground", "id": 0}, {"name": "cart", "id": 13, "thing": true}]')
    run("convert", labels, tmp_path / "a.json", "--to", "coco", "--classes", tmp_path / "rows.json")
    found = json.loads((tmp_path / "a.json").read_text())
    assert [(x["id"], x["name"]) for x in found["categories"]] == [(0, "ground"), (13, "cart")]
    assert {x["category_id"] for x in found["annotations"]} == {0, 13}
    (tmp_path / "rows.json").write_text('[{"nam": "ground"}]')
    sentence = refusal("convert", labels, tmp_path / "b.json", "--to", "coco", "--classes", tmp_path / "rows.json")
    assert "unknown key 'nam'; did you mean 'name'?" in sentence


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_missing_is_one_sentence_whatever_the_process(tmp_path, refusal, workers):
    labels = write_maps(tmp_path)
    sentence = refusal("convert", labels, tmp_path / "out", "--to", "webdataset", "--workers", workers)
    assert sentence == "a tar file of WebDataset holds the pictures themselves; say where they are with --images FOLDER"
    assert refusal("convert", tmp_path / "none", tmp_path / "out", "--to", "coco") == f"no labels at {tmp_path}/none"
    (tmp_path / "words").mkdir()
    (tmp_path / "words/a.doc").write_text("a")
    sentence = refusal("convert", tmp_path / "words", tmp_path / "out", "--to", "coco")
    assert sentence.startswith(f"{tmp_path}/words is a folder of .doc, in which no label format is recognised; name one with --from: ")
    write_image(np.zeros((6, 8, 3), np.uint8), tmp_path / "overlays/a.png")
    sentence = refusal("convert", tmp_path, tmp_path / "out", "--to", "coco")
    kinds = f"ids ({labels}/train) and colours ({tmp_path}/overlays)"
    advice = "name one folder, or describe the data set with 'mmstreet init'"
    assert sentence == f"{tmp_path} holds PNG files of several kinds, {kinds}; {advice}"
    assert not (tmp_path / "out").exists()


def test_options_of_other_formats_are_refused(capsys):
    for options, sentence in (
        (["--to", "coco", "--copy-images"], "--copy-images goes with --to yolo or cityscapes or fiftyone"),
        (["--to", "coco", "--scores", "a.npz"], "--scores goes with --to fiftyone"),
        (["--to", "yolo", "--polygons"], "--polygons goes with --to scalabel or coco"),
    ):
        with pytest.raises(SystemExit):
            main(["convert", "a", "b", "--from", "semantic", *options])
        assert sentence in capsys.readouterr().err
