"""The images of a page: layers, notes, and the lists that classes, slices, confusions and comparisons lead to."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from mmstreet.files.atomic import write_json
from mmstreet.files.label_archive import write_label_archive
from mmstreet.files.pictures import encode_label_map
from mmstreet.report.album_lists import compare_album, describe_album
from mmstreet.report.pictures import WRONG
from mmstreet.report.run_files import read_run
from tests.helpers.run_folders import PALETTE, TRUTH, write_images, write_refinement, write_test, wrong_in


def write_run(folder, preds, **settings):
    return read_run(write_images(folder, preds, **settings))


def pixels(source):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))).convert("RGBA"))


@pytest.fixture
def album(tmp_path):
    run = write_run(tmp_path / "run", [wrong_in(slice(0, 3)), wrong_in(slice(30, 32), label=3)])
    return describe_album(run, run.main)


def test_an_image_has_photo_truth_prediction_and_error_as_layers_and_a_legend_for_every_colour(album):
    assert [layer["name"] for layer in album["layers"]] == ["photo", "truth", "prediction", "error"]
    first, second = album["images"]
    assert (pixels(first["sources"][1])[..., :3] == np.array(PALETTE)[TRUTH]).all()
    assert (pixels(first["sources"][2])[..., :3] == np.array(PALETTE)[wrong_in(slice(0, 3))]).all()
    error = pixels(first["sources"][3])
    assert ((error[..., 3] == 255) == (np.arange(32) < 3)).all()
    assert (error[:, :3, :3] == WRONG).all()
    for image in album["images"]:
        named = {entry["color"] for i, entry in enumerate(album["legend"]) if i in image["present"]}
        shown = {
            "#" + "".join(f"{part:02x}" for part in pixel) for i in (1, 2) for pixel in pixels(image["sources"][i]).reshape(-1, 4)[:, :3]
        }
        assert shown <= named
    assert "none of the classes" in {album["legend"][i]["name"] for i in second["present"]}
    assert "none of the classes" not in {album["legend"][i]["name"] for i in first["present"]}


def test_a_class_a_slice_and_a_cell_lead_to_the_images_that_show_most_of_it(album):
    lists = {key.removeprefix("test/"): part["items"] for key, part in album["lists"].items()}
    height = len(TRUTH)
    assert lists["class/0"] == [[0, "road: IoU 81 %, 54 pixels missed, 0 made up"]]
    assert [place for place, _ in lists["class/1"]] == [0, 1], f"3 columns of {height} are made up in one image, 2 missed in the other"
    assert lists["cell/0/1"] == [[0, "road taken for traffic light, 54 pixels"]]
    assert lists["cell/1/3"] == [[1, "traffic light taken for none of the classes, 36 pixels"]]
    assert [place for place, _ in lists["cell/1/1"]] == [0, 1], "where the class is right"
    assert "cell/1/0" not in lists
    assert lists["slice/weather/<i>fog</i>"][0] == [0, "weather: <i>fog</i>, mIoU there 10.0 %"]
    assert lists["worst"] == [[0, ""], [1, ""]]
    assert [part["group"] for part in album["menu"]] == ["Images", "Classes", "Slices", "Confusions"]


def test_a_run_without_counts_of_its_images_still_shows_them(tmp_path):
    run = write_test(tmp_path / "run")
    album = describe_album(read_run(run), read_run(run).main)
    assert list(album["lists"]) == ["test/worst", "test/all", "test/slice/weather/<i>fog</i>"]
    assert all(album["images"][0]["sources"])


def test_the_same_image_of_two_runs_stands_side_by_side_whichever_of_them_kept_it(tmp_path):
    good, bad, worse = TRUTH, wrong_in(slice(0, 3)), wrong_in(slice(0, 9))
    one = write_run(tmp_path / "one", [bad, bad, good, bad], kept=(0, 1))
    two = write_run(tmp_path / "two", [good, worse, bad, bad], kept=(1, 2), data="elsewhere/data")
    album = compare_album([one, two])
    assert [layer["name"] for layer in album["layers"]] == ["photo", "truth", "one", "two", "one: error", "two: error"]
    assert [image["title"] for image in album["images"]] == ["0.jpg", "1.jpg", "2.jpg"]
    for image, left, right in zip(album["images"], (bad, bad, good), (good, worse, bad)):
        for source, preds in zip(image["sources"][2:4], (left, right)):
            assert (pixels(source)[..., :3] == np.array(PALETTE)[preds]).all()
    assert album["images"][0]["note"] == "mIoU: one 82.7 %, two 100.0 %"  # (13/16 + 16/19) / 2
    better, worse = (album["lists"][f"run2/{kind}"]["items"] for kind in ("better", "worse"))
    assert [place for place, _ in better] == [0]
    assert [place for place, _ in worse] == [1, 2], "the greatest loss first"
    assert better[0][1] == "mIoU +17.3"
    assert [place for place, _ in album["lists"]["run2/class/0"]["items"]] == [1, 2]


def test_runs_on_other_classes_have_no_place_beside_them(tmp_path):
    one = write_run(tmp_path / "one", [TRUTH, TRUTH])
    two = read_run(write_test(tmp_path / "two", confusion=[[9, 1, 0], [1, 9, 0], [0, 0, 0]], names=("road", "car")))
    assert [layer["name"] for layer in compare_album([one, two])["layers"]] == ["photo", "truth", "one", "error"]


def test_pictures_are_bounded_and_the_page_says_how_many_are_left_out(tmp_path):
    run = write_run(tmp_path / "run", [TRUTH, TRUTH])
    path = tmp_path / "run/test/images/index.json"
    index = json.loads(path.read_text())
    index["images"] = [index["images"][0] | {"img_path": f"{i}.jpg"} for i in range(55)]
    write_json(index, path)
    run = read_run(run.folder.path)
    assert (len(describe_album(run, run.main)["images"]), describe_album(run, run.main)["left_out"]) == (40, 15)
    assert len(describe_album(run, run.main, first=False)["images"]) == 12


@pytest.mark.parametrize("damage", ["archive", "size"])
def test_a_prediction_that_cannot_be_shown_leaves_a_gap_and_is_named(tmp_path, damage):
    one = write_run(tmp_path / "one", [TRUTH, TRUTH, TRUTH])
    two = write_run(tmp_path / "two", [TRUTH, TRUTH, TRUTH], kept=(1, 2))
    if damage == "archive":
        (tmp_path / "two/test/predictions.zip").write_bytes(b"PK")
    else:
        write_label_archive({0: encode_label_map(TRUTH[:5], PALETTE)}, tmp_path / "two/test/predictions.zip")
    first = compare_album([one, two])["images"][0]
    assert [source is None for source in first["sources"]] == [False, False, False, True, False, True]
    assert bool(two.folder.problems) == (damage == "archive")


def test_what_refiners_changed_is_a_layer_of_each(tmp_path):
    from mmstreet.report.album_lists import refined_album

    run = read_run(write_refinement(write_test(tmp_path / "run")))
    album = refined_album(run.refinement["kept"], run.folder)
    assert [layer["name"] for layer in album["layers"]] == ["photo", "truth", "baseline", "crf <1>", "crf <1>: changes"]
    assert album["images"][1]["note"] == "right pixels: baseline 0.0 %, crf <1> 100.0 %"
    assert (pixels(album["images"][1]["sources"][4])[..., :3] == (40, 170, 70)).all(), "all became right"
