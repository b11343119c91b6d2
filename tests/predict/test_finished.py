"""What counts as finished is known by its source, its model and its settings; nothing of another source or model is taken over or lost."""

import json
import os
import shutil
from zipfile import ZipFile

import numpy as np
import pytest

from mmstreet.__main__ import main
from mmstreet.predict.folder import PredictionFolder
from mmstreet.predict.sources import find_sources
from tests.helpers.color_model import read_ids, render_colors, write_model, write_png
from tests.predict.test_video import write_video


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two models that differ: the second has other weights."""
    import torch

    first = write_model(tmp_path_factory.mktemp("first"))
    second = write_model(tmp_path_factory.mktemp("second"))
    content = torch.load(second[1], weights_only=False)
    content["state_dict"]["decode_head.conv_seg.weight"] = content["state_dict"]["decode_head.conv_seg.weight"].flip(0)
    torch.save(content, second[1])
    return first, second


@pytest.fixture
def photos(tmp_path):
    for i in range(3):
        write_png(tmp_path / f"photos/{i}.png", render_colors(i)[0])
    return tmp_path / "photos"


def predict(model, source, *more):
    return main(
        ["predict", str(source), "--config", model[0], "--checkpoint", model[1], "--device", "cpu", "--no-overlays", *map(str, more)]
    )


def label(out, name):
    return read_ids(out / "labels" / f"{name}.png")


def frames_of(out, name):
    with ZipFile(out / "labels" / f"{name}.zip") as archive:
        return archive.namelist()


def test_a_replaced_picture_is_predicted_again(models, photos, tmp_path, capsys):
    predict(models[0], photos, "--out", tmp_path / "out")
    image, truth = render_colors(77)
    write_png(photos / "1.png", image)
    capsys.readouterr()
    assert predict(models[0], photos, "--out", tmp_path / "out") == 0
    assert "1 predicted, 2 finished before" in capsys.readouterr().out
    np.testing.assert_array_equal(label(tmp_path / "out", "1"), truth)


def test_other_pictures_of_the_same_names_are_refused_and_nothing_is_touched(models, photos, tmp_path, capsys):
    predict(models[0], photos, "--out", tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    for i in range(3):
        write_png(tmp_path / f"others/{i}.png", render_colors(50 + i)[0])
        stat = os.stat(photos / f"{i}.png")
        os.utime(tmp_path / f"others/{i}.png", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert predict(models[0], tmp_path / "others", "--out", tmp_path / "out") == 1
    assert "holds the result '0' of" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
    assert predict(models[0], tmp_path / "others", "--out", tmp_path / "out", "--overwrite") == 0
    np.testing.assert_array_equal(label(tmp_path / "out", "2"), render_colors(52)[1])


def test_the_same_pictures_in_another_place_stay_finished(models, photos, tmp_path, capsys):
    predict(models[0], photos, "--out", tmp_path / "out")
    shutil.copytree(photos, tmp_path / "copy", copy_function=shutil.copyfile)
    capsys.readouterr()
    assert predict(models[0], tmp_path / "copy", "--out", tmp_path / "out") == 0
    assert "0 predicted, 3 finished before" in capsys.readouterr().out


def test_overwriting_a_part_with_another_model_is_refused(models, photos, tmp_path, capsys):
    predict(models[0], photos, "--out", tmp_path / "out")
    settings = (tmp_path / "out/run.json").read_text()
    assert predict(models[1], photos / "0.png", "--out", tmp_path / "out", "--overwrite") == 1
    assert "2 results of other settings that are not predicted now, e.g. '1'" in capsys.readouterr().err
    assert (tmp_path / "out/run.json").read_text() == settings
    assert predict(models[1], photos, "--out", tmp_path / "out", "--overwrite") == 0
    np.testing.assert_array_equal(label(tmp_path / "out", "0"), 2 - render_colors(0)[1])
    assert predict(models[1], photos / "0.png", "--out", tmp_path / "out", "--overwrite") == 0  # the same model: a part will do


def test_an_overwriting_run_that_was_stopped_goes_on_with_its_own_model(models, photos, tmp_path, capsys):
    out = tmp_path / "out"
    predict(models[0], photos, "--out", out)
    old = (out / "records/2.json").read_text()
    predict(models[1], photos, "--out", out, "--overwrite")
    (out / "records/2.json").write_text(old)  # as if it had been stopped before the last
    capsys.readouterr()
    assert predict(models[1], photos, "--out", out) == 0
    assert "1 predicted, 2 finished before" in capsys.readouterr().out
    assert json.loads((out / "summary.json").read_text())["done"] == 3


def test_a_folder_of_label_maps_that_no_prediction_wrote_is_left_alone(models, photos, tmp_path, capsys):
    truth = write_png(tmp_path / "data/labels/0.png", np.full((4, 4), 7, np.uint8)).read_bytes()
    for more in ((), ("--overwrite",)):
        assert predict(models[0], photos, "--out", tmp_path / "data", *more) == 1
        assert "has 'labels' but no run.json" in capsys.readouterr().err
    assert (tmp_path / "data/labels/0.png").read_bytes() == truth


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"tta": [', "\x00\xff"])
def test_a_damaged_run_json_is_refused_in_one_sentence(models, photos, tmp_path, capsys, text):
    predict(models[0], photos, "--out", tmp_path / "out")
    (tmp_path / "out/run.json").write_text(text, encoding="latin-1")
    capsys.readouterr()
    assert predict(models[0], photos, "--out", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert "run.json' is damaged" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"run": 3}', '{"source": 5, "inputs": 7}', "\xff"])
def test_a_damaged_record_is_not_finished(models, photos, tmp_path, capsys, text):
    predict(models[0], photos, "--out", tmp_path / "out")
    (tmp_path / "out/records/1.json").write_text(text, encoding="latin-1")
    capsys.readouterr()
    assert predict(models[0], photos, "--out", tmp_path / "out") == 0
    assert "1 predicted, 2 finished before" in capsys.readouterr().out


def test_pictures_beside_a_video_of_their_folders_name_keep_their_labels(models, tmp_path, capsys):
    source, out = tmp_path / "source", tmp_path / "out"
    truth = {}
    for i in range(2):
        image, truth[f"drive/{i:06d}"] = render_colors(i)
        write_png(source / f"drive/{i:06d}.png", image)
    write_video(source / "drive.mp4", count=3)
    assert predict(models[0], source, "--out", out) == 0
    for name, labels in truth.items():
        np.testing.assert_array_equal(label(out, name), labels)
    assert frames_of(out, "drive") == [f"{i:06d}.png" for i in range(3)]
    assert json.loads((out / "summary.json").read_text())["done"] == 3


def test_a_video_whose_name_is_dots_empties_no_folder(models, tmp_path, monkeypatch):
    write_video(tmp_path / "a.mp4", count=2).rename(tmp_path / "...mp4")
    write_png(tmp_path / "out/keep.png", render_colors(0)[0])
    monkeypatch.chdir(tmp_path)
    assert predict(models[0], "...mp4", "--out", "out") == 0
    assert (tmp_path / "out/keep.png").is_file()
    assert frames_of(tmp_path / "out", "__") == ["000000.png", "000001.png"]
    assert predict(models[0], "...mp4") == 0
    assert (tmp_path / "work_dirs/predict/__/summary.json").is_file()


def test_a_video_with_fewer_frames_leaves_none_of_the_longer_one(models, tmp_path):
    video = write_video(tmp_path / "drive.mp4", count=5)
    predict(models[0], video, "--out", tmp_path / "out")
    write_video(video, count=2)
    assert predict(models[0], video, "--out", tmp_path / "out") == 0
    assert frames_of(tmp_path / "out", "drive") == ["000000.png", "000001.png"]


def test_a_url_as_folder_of_results_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'s3://bucket/out' is an address; give a folder"):
        PredictionFolder("s3://bucket/out", {})


def test_sources_that_collide_get_results_of_their_own(tmp_path):
    for name in ("a.jpg", "a.JPG", "a.png", "a_jpg.png", "b.png", "B.png", "c.png", "c.mp4", "d.png/x.jpg", "d.jpg", "e.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = find_sources(tmp_path)
    folder = PredictionFolder(tmp_path / "out", {})
    files = [folder.label_path(x) for x in found] + [folder.record_path(x) for x in found]
    files = [path.as_posix().casefold() for path in files]
    assert len(set(files)) == len(files) == 22
    parents = {parent.as_posix().casefold() for path in files for parent in type(tmp_path)(path).parents}
    assert not parents & set(files)
    names = {x.path.relative_to(tmp_path).as_posix(): x.name for x in found}
    assert names["e.png"] == "e"
    assert (names["c.png"], names["c.mp4"]) == ("c_png", "c_mp4")
    assert names == {x.path.relative_to(tmp_path).as_posix(): x.name for x in find_sources(tmp_path)}
