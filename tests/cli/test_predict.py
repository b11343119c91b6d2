"""``mmstreet predict`` as a user runs it: files, exit codes, going on after a stop, shares of several processes."""

import json
import re
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmstreet.__main__ import main
from mmstreet.files.rle import decode_counts, mask_from_counts
from mmstreet.labels import get_table
from mmstreet.predict.export import export_model
from mmstreet.predict.inference import load_trained
from mmstreet.predict.predictor import Predictor
from mmstreet.predict.refining import find_prediction, read_prediction_file
from mmstreet.refine import configured
from tests.helpers.color_model import CLASSES, PALETTE, read_ids, render_colors, write_model, write_png
from tests.helpers.forked import run_side_by_side
from tests.predict.test_video import write_video

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def streets(tmp_path):
    """Five images, one in a folder below; returns the folder and the truth by name."""
    truth = {}
    for i, name in enumerate(["a", "b", "c", "d", "night/e"]):
        image, truth[name] = render_colors(i)
        write_png(tmp_path / "streets" / f"{name}.png", image)
    return tmp_path / "streets", truth


def predict(model, source, *more):
    return main(["predict", str(source), "--config", model[0], "--checkpoint", model[1], "--device", "cpu", *map(str, more)])


def summary(out):
    return json.loads((out / "summary.json").read_text())


def test_a_folder_becomes_labels_overlays_records_and_a_summary(model, streets, tmp_path, capsys):
    source, truth = streets
    assert predict(model, source, "--out", tmp_path / "out", "--batch-size", 2) == 0
    assert "5 files: 5 predicted, 0 finished before, 0 failed" in capsys.readouterr().out
    for name, labels in truth.items():
        predicted = read_ids(tmp_path / "out" / "labels" / f"{name}.png")
        np.testing.assert_array_equal(predicted, labels)
        assert cv2.imread(str(tmp_path / "out" / "overlays" / f"{name}.jpg")).shape == (*labels.shape, 3)
        record = json.loads((tmp_path / "out" / "records" / f"{name}.json").read_text())
        assert record["shares"] == {c: pytest.approx(100 * (labels == i).mean()) for i, c in enumerate(CLASSES)}
    everything = np.stack(list(truth.values()))
    assert summary(tmp_path / "out")["shares"] == {c: pytest.approx(100 * (everything == i).mean()) for i, c in enumerate(CLASSES)}


def test_saved_probabilities_are_the_networks_and_what_refine_reads(model, streets, tmp_path, capsys):
    source, truth = streets
    out = tmp_path / "out"
    assert predict(model, source, "--out", out, "--save-probs", "--no-overlays") == 0
    predictor = Predictor(*model, device="cpu", keep_probs=True)
    for name in truth:
        predicted = find_prediction(out, name)
        assert predicted == out / "probs" / f"{name}.npz"
        expected = predictor(source / f"{name}.png").probs
        assert np.abs(read_prediction_file(predicted) - expected).max() < 1e-3 < np.ptp(expected)
    (out / "probs" / "c.npz").unlink()
    capsys.readouterr()
    predict(model, source, "--out", out, "--save-probs", "--no-overlays")
    assert "1 predicted, 4 finished before" in capsys.readouterr().out
    (tmp_path / "same.py").write_text(
        "refiner = dict(type='mmstreet.VoteRefiner', source=dict(type='mmstreet.SuperpixelMasks', area_px=9), purity=1.1)"
    )
    assert main(["refine", str(source), str(out), "--refine", str(tmp_path / "same.py"), "--out", str(tmp_path / "refined")]) == 0
    for name, labels in truth.items():
        np.testing.assert_array_equal(read_ids(tmp_path / "refined" / "labels" / f"{name}.png"), labels)


def test_a_single_image_also_prints_its_classes(model, tmp_path, capsys):
    image, truth = render_colors(0)
    assert predict(model, write_png(tmp_path / "a.png", image), "--out", tmp_path / "out") == 0
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"a: 36x24, \d+ ms", first), "its classes mean nothing on the road, so there is no safety score"
    assert re.search(r"1 predicted, .*; \d+ ms per image; results in", last)
    printed = [line.split("%")[1].strip() for line in lines]
    assert printed == [CLASSES[i] for i in np.argsort(-np.bincount(truth.ravel()), kind="stable")]


def test_an_unreadable_image_is_skipped_counted_and_seen_in_the_exit_code(model, streets, tmp_path, capsys):
    source, _ = streets
    (source / "b.png").write_bytes(b"no image")
    assert predict(model, source, "--out", tmp_path / "out", "--batch-size", 3) == 1
    printed = capsys.readouterr()
    assert "5 files: 4 predicted, 0 finished before, 1 failed" in printed.out
    assert "b.png cannot be decoded" in printed.err
    report = summary(tmp_path / "out")
    assert (report["sources"], report["done"], report["pending"]) == (5, 4, 0)
    assert [row["source"] for row in report["failed"]] == [str(source / "b.png")]
    assert not (tmp_path / "out" / "labels" / "b.png").exists()


def test_a_second_run_does_what_is_left_and_nothing_else(model, streets, tmp_path, capsys):
    source, _ = streets
    good = (source / "b.png").read_bytes()
    (source / "b.png").write_bytes(b"no image")
    predict(model, source, "--out", tmp_path / "out")
    (source / "b.png").write_bytes(good)
    (tmp_path / "out" / "labels" / "c.png").unlink()
    before = (tmp_path / "out" / "labels" / "a.png").stat().st_mtime_ns
    capsys.readouterr()
    assert predict(model, source, "--out", tmp_path / "out") == 0
    assert "5 files: 2 predicted, 3 finished before, 0 failed" in capsys.readouterr().out
    assert (tmp_path / "out" / "labels" / "a.png").stat().st_mtime_ns == before
    assert summary(tmp_path / "out")["failed"] == []


def test_results_of_other_settings_are_not_mixed(model, streets, tmp_path, capsys):
    source, _ = streets
    predict(model, source, "--out", tmp_path / "out")
    assert predict(model, source, "--out", tmp_path / "out", "--tta") == 1
    assert "holds predictions with other settings (tta: False there, True now)" in capsys.readouterr().err
    assert predict(model, source, "--out", tmp_path / "out", "--tta", "--overwrite") == 0
    assert "5 predicted" in capsys.readouterr().out


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_processes_of_a_job_leave_one_summary(model, streets, tmp_path, monkeypatch, capsys, order):
    """The first does what is free; those that come later find it done."""
    source, truth = streets
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "3")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "17")
    for task in order:
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", str(task))
        assert predict(model, source, "--out", tmp_path / "out") == 0
        did = 5 if task == order[0] else 0
        assert f"(share {task + 1} of 3): {did} predicted, 0 finished before" in capsys.readouterr().out
    assert {key: summary(tmp_path / "out")[key] for key in ("done", "pending", "failed")} == {"done": 5, "pending": 0, "failed": []}
    for name, labels in truth.items():
        np.testing.assert_array_equal(read_ids(tmp_path / "out" / "labels" / f"{name}.png"), labels)


def test_processes_at_the_same_time_do_each_image_once_and_the_same_as_one(model, streets, tmp_path):
    source, _ = streets
    predict(model, source, "--out", tmp_path / "one", "--batch-size", 2)
    words = ["predict", source, "--config", model[0], "--checkpoint", model[1], "--device", "cpu", "--out", tmp_path / "two"]
    tasks = [{"SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": str(i)} for i in range(2)]
    said = run_side_by_side([*map(str, words), "--batch-size", "2"], tasks, tmp_path)
    assert sum(int(re.search(r"(\d+) predicted", text)[1]) for text in said) == 5
    assert summary(tmp_path / "two") == summary(tmp_path / "one")
    for path in (tmp_path / "one" / "labels").rglob("*.png"):
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert other.read_bytes() == path.read_bytes()


def test_a_mixed_folder_of_images_and_videos(model, streets, tmp_path):
    source, _ = streets
    write_video(source / "drive.mp4", count=4)
    (source / "broken.mp4").write_bytes(b"nothing")
    assert predict(model, source, "--out", tmp_path / "out") == 1
    report = summary(tmp_path / "out")
    assert (report["done"], [row["source"] for row in report["failed"]]) == (6, [str(source / "broken.mp4")])
    with ZipFile(tmp_path / "out" / "labels" / "drive.zip") as archive:
        assert archive.namelist() == [f"{i:06d}.png" for i in range(4)]
    assert (tmp_path / "out" / "videos" / "drive.mp4").is_file()


def test_outputs_can_be_left_out(model, streets, tmp_path):
    source, _ = streets
    assert predict(model, source / "a.png", "--out", tmp_path / "out", "--no-labels", "--no-overlays") == 0
    assert sorted(x.name for x in (tmp_path / "out").iterdir()) == ["records", "run.json", "summary.json"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone"], "'gone' does not exist"),
        ([".", "--checkpoint", "gone.pth"], "checkpoint 'gone.pth' does not exist"),
        ([".", "--scales", "0"], "scales must be one positive number"),
        ([".", "--safety"], "it is not known what class 'red thing' means on the road"),
    ],
)
def test_mistakes_are_answered_in_one_line(model, streets, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(streets[0])
    assert predict(model, *arguments, "--out", tmp_path / "out") == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("mmstreet predict: ")
    assert message in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.png", "--config", "c.py"], "--config and --checkpoint go together"),
        (["c.py", "a.png"], "'c.py' is no exported model"),
        (["m.onnx", "a.png", "--config", "c.py"], "--model needs neither"),
    ],
)
def test_a_command_line_that_makes_no_sense_shows_the_usage(capsys, arguments, message):
    with pytest.raises(SystemExit) as left:
        main(["predict", *arguments])
    assert left.value.code == 2
    assert message in capsys.readouterr().err


def test_masks_in_records_are_coco_run_lengths(tmp_path):
    from mmstreet.predict.folder import PredictionFolder
    from mmstreet.predict.result import Result
    from mmstreet.predict.sources import find_sources
    from tests.predict.test_views import objects

    predicted = objects((2, 3, 7, 9), (0, 0, 20, 10))
    image = np.zeros((10, 20, 3), np.uint8)
    source = find_sources(write_png(tmp_path / "a.png", image))[0]
    folder = PredictionFolder(tmp_path / "out", {})
    folder.write_image(source, image, Result(predicted.to_labels((10, 20)), ("car",), np.zeros((1, 3), np.uint8), instances=predicted))
    for row, mask in zip(folder.read_record(source)["instances"], predicted.masks, strict=True):
        assert row["mask"]["size"] == [10, 20]
        np.testing.assert_array_equal(mask_from_counts(decode_counts(row["mask"]["counts"]), (10, 20)), mask)


@pytest.fixture
def own_classes(tmp_path):
    """A model that was trained on classes of its own, and an image that is all red, which it takes for the first."""
    config, checkpoint = write_model(tmp_path / "model")
    content = torch.load(checkpoint)
    kinds = zip(CLASSES, ("road", "person", "vehicle"), ("flat", "human", "vehicle"), strict=True)
    rows = [dict(name=name, role=role, group=group, color=(9, 9, i)) for i, (name, role, group) in enumerate(kinds)]
    content["meta"]["dataset_meta"]["label_rows"] = rows
    torch.save(content, checkpoint)
    write_png(tmp_path / "a.png", np.full((40, 80, 3), (255, 0, 0), np.uint8))
    return config, checkpoint


def test_safety_knows_the_roles_of_a_class_table_of_the_config(tmp_path, own_classes):
    assert predict(own_classes, tmp_path / "a.png", "--out", tmp_path / "out", "--safety", "--no-overlays") == 0
    expected = json.loads((tmp_path / "out/records/a.json").read_text())["safety"]["score"]
    assert expected is not None
    export_model(load_trained(*own_classes, device="cpu"), [render_colors(0)[0]], tmp_path / "m.onnx")
    assert main(["predict", str(tmp_path / "m.onnx"), str(tmp_path / "a.png"), "--out", str(tmp_path / "exported"), "--safety"]) == 0
    assert json.loads((tmp_path / "exported/records/a.json").read_text())["safety"]["score"] == expected


def test_refining_knows_the_groups_of_a_class_table_of_the_config(tmp_path, own_classes, monkeypatch):
    assert predict(own_classes, tmp_path / "a.png", "--out", tmp_path / "out", "--save-probs") == 0
    built = []
    build = configured.build_refiner
    monkeypatch.setattr(configured, "build_refiner", lambda *args, **more: built.append(build(*args, **more)) or built[-1])
    assert (
        main(["refine", str(tmp_path / "a.png"), str(tmp_path / "out"), "--refine", "superpixel", "--out", str(tmp_path / "refined")]) == 0
    )
    assert built[0].ranks == dict(zip(CLASSES, (0, 2, 1), strict=True))
    table = get_table(json.loads((tmp_path / "refined/run.json").read_text())["label_rows"])
    assert (table.names, table.palette) == (CLASSES, [[9, 9, 0], [9, 9, 1], [9, 9, 2]])
    settings = json.loads((tmp_path / "out/run.json").read_text())
    (tmp_path / "out/run.json").write_text(json.dumps(settings | {"label_rows": settings["label_rows"][::-1]}))
    assert main(["refine", str(tmp_path / "a.png"), str(tmp_path / "out"), "--refine", "superpixel", "--out", str(tmp_path / "other")]) == 1


def test_safety_of_a_model_that_knows_no_road_is_unknown_and_says_why(tmp_path, capsys):
    change = 'test_dataloader["dataset"]["metainfo"] = dict(classes=("car", "person", "pole"), palette=[[0, 0, 9], [9, 0, 0], [9, 9, 9]])\n'
    config, checkpoint = write_model(tmp_path / "model", change=change)
    content = torch.load(checkpoint)
    content["meta"]["dataset_meta"]["classes"] = ("car", "person", "pole")
    torch.save(content, checkpoint)
    for i in range(2):
        write_png(tmp_path / f"photos/{i}.png", render_colors(i)[0])
    write_video(tmp_path / "photos/drive.mp4", count=3)
    out = tmp_path / "out"
    assert predict((config, checkpoint), tmp_path / "photos", "--out", out, "--safety", "--no-overlays") == 0
    reason = "neither road nor other ground nor background"
    assert f"safety: UNKNOWN: the classes have {reason}" in capsys.readouterr().err
    for name in ("0", "drive"):
        safety = json.loads((out / f"records/{name}.json").read_text())["safety"]
        assert safety["score"] is None
        assert reason in safety["explanation"]
    frames = [json.loads(line) for line in (out / "frames/drive.jsonl").read_text().splitlines()]
    assert {frame["level"] for frame in frames} == {"UNKNOWN"}
    unknown = summary(out)["safety"]["unknown"]
    assert unknown["count"] == 3
    assert all(reason in text for text in unknown["reasons"])


def test_label_maps_show_colours_and_overlays_name_them(model, tmp_path):
    image, truth = render_colors(0, (120, 200), patch=40)
    source = write_png(tmp_path / "a.png", image)
    assert predict(model, source, "--out", tmp_path / "out", "--opacity", 1) == 0
    with Image.open(tmp_path / "out/labels/a.png") as labels:
        np.testing.assert_array_equal(np.asarray(labels), truth)
        np.testing.assert_array_equal(np.asarray(labels.convert("RGB")), np.array(PALETTE, np.uint8)[truth])
    overlay = cv2.cvtColor(cv2.imread(str(tmp_path / "out/overlays/a.jpg")), cv2.COLOR_BGR2RGB).astype(int)
    assert len(overlay) > 120
    assert np.abs(overlay[20:100:40, 20::40] - np.array(PALETTE)[truth[20:100:40, 20::40]]).max() < 12, "at full opacity the colours alone"
    assert predict(model, source, "--out", tmp_path / "plain", "--no-legend", "--opacity", 0) == 0
    plain = cv2.cvtColor(cv2.imread(str(tmp_path / "plain/overlays/a.jpg")), cv2.COLOR_BGR2RGB).astype(int)
    assert plain.shape == (120, 200, 3)
    assert np.abs(plain - image).mean() < 20 < np.abs(overlay[:120] - image).mean(), "at none the image"
    assert predict(model, source, "--out", tmp_path / "out") == 1, "overlays of two kinds in one folder"
    with pytest.raises(SystemExit):
        predict(model, source, "--opacity", 3)


def test_images_are_printed_one_by_one_with_their_safety_where_classes_have_a_meaning(own_classes, tmp_path, capsys):
    write_png(tmp_path / "photos/a.png", np.full((40, 80, 3), (255, 0, 0), np.uint8))
    write_png(tmp_path / "photos/b.png", np.full((40, 80, 3), (0, 0, 255), np.uint8))
    assert predict(own_classes, tmp_path / "photos", "--out", tmp_path / "out", "--no-overlays") == 0
    first, second, total = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"a: 80x40, \d+ ms, safety \d+ of 100, \w+ risk; red thing 100.00 %", first)
    assert re.fullmatch(r"b: 80x40, \d+ ms(, safety .*)?; blue thing 100.00 %", second)
    assert re.search(r"2 files: 2 predicted, .* \d+ ms per image", total)


class Camera:
    """Stands for OpenCV's capture of a camera that gives five pictures; the first camera only."""

    def __init__(self, number):
        self.left = 5 if number == 0 else 0

    def isOpened(self):
        return self.left > 0

    def get(self, what):
        return 10.0

    def read(self):
        self.left -= 1
        return self.left >= 0, cv2.cvtColor(render_colors(max(self.left, 0))[0], cv2.COLOR_RGB2BGR)

    def release(self):
        """Nothing is held."""


def test_a_camera_is_recorded_until_it_ends_or_the_time_is_over(model, tmp_path, monkeypatch, capsys):
    original = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda place, *more: Camera(place) if isinstance(place, int) else original(place, *more))
    for _ in range(2):  # another look is no finished file
        assert predict(model, "0", "--out", tmp_path / "out") == 0
        assert "1 files: 1 predicted, 0 finished before" in capsys.readouterr().out
    with ZipFile(tmp_path / "out/labels/camera_0.zip") as archive:
        maps = [read_ids(archive.open(name)).tolist() for name in archive.namelist()]
    assert maps == [render_colors(i)[1].tolist() for i in (4, 3, 2, 1, 0)]
    assert (tmp_path / "out/videos/camera_0.mp4").is_file()
    assert predict(model, "7", "--out", tmp_path / "none") == 1
    assert "camera 7 cannot be opened or gives no picture" in capsys.readouterr().err
    monkeypatch.setattr("mmstreet.predict.video.time.monotonic", iter(np.arange(0, 99, 0.4)).__next__)
    assert predict(model, "0", "--out", tmp_path / "short", "--seconds", 1) == 0
    assert ZipFile(tmp_path / "short/labels/camera_0.zip").namelist() == ["000000.png", "000001.png"]
