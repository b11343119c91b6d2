"""``mmstreet test`` as a user runs it, on images whose predictions are known beforehand."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmstreet.labels import BDD100K_SEM19
from mmstreet.safety.analyzer import RoadSafetyAnalyzer
from tests.helpers.color_streets import CONFIG, SHAPE, write_checkpoint
from tests.helpers.forked import run_in_two_processes
from tests.helpers.segmentation_oracle import class_iou, count_pairs, scores

WRITTEN = ("metrics.json", "per_class.csv", "per_image.csv", "per_image.npz", "predictions.zip", "files.json", "images")


def count(pairs):
    return count_pairs([(labels.tolist(), preds.tolist()) for labels, preds in pairs])


def read_metrics(path):
    return json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_it_prints_the_table_and_writes_every_file(streets, run, tmp_path, capfd):
    run("test", "streets.py", "epoch_1.pth", "--out", "results")
    expected = scores(count(streets.values()), BDD100K_SEM19.names, groups=BDD100K_SEM19.groups)
    content = read_metrics(tmp_path / "results" / "metrics.json")
    assert {name: value for name, value in content["metrics"].items() if value is not None} == pytest.approx(expected)
    assert content["metrics"]["IoU/train"] is None
    assert (content["config"], content["checkpoint"]) == ("streets.py", "epoch_1.pth")
    assert sum(map(sum, content["evaluation"]["confusion"])) == 5 * (SHAPE[0] - 2) * SHAPE[1]

    printed = "".join(capfd.readouterr())
    road = next(line for line in printed.splitlines() if line.startswith("road "))
    assert road.split()[1] == f"{expected['IoU/road']:.2f}"
    assert f"mIoU {expected['mIoU']:.2f}" in printed
    assert "n/a and in no mean" in printed

    files = {path.name for path in (tmp_path / "results").iterdir()}
    assert files == {
        "metrics.json",
        "per_class.csv",
        "per_image.csv",
        "per_image.npz",
        "predictions.zip",
        "files.json",
        "images",
        "report.html",
    }
    with open(tmp_path / "results" / "per_class.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == list(BDD100K_SEM19.names)
    assert float(rows[0]["IoU"]) == pytest.approx(expected["IoU/road"], abs=1e-4)
    assert rows[BDD100K_SEM19.index("train")]["IoU"] == ""


def test_worst_images_come_first_on_the_page_and_in_the_list(streets, run, tmp_path):
    run("test", "streets.py", "epoch_1.pth", "--out", "results", "--worst", "2")
    with open(tmp_path / "results" / "per_image.csv", newline="") as file:
        order = [Path(row["img_path"]).name for row in csv.DictReader(file)]

    def mean_iou(name):
        counts = count([streets[name]])
        known = [iou for iou in (class_iou(counts, {i}) for i in range(19)) if iou is not None]
        return sum(known) / len(known)

    assert order == sorted(streets, key=mean_iou) == [f"street{i}.jpg" for i in (4, 3, 2, 1, 0)]
    folder = tmp_path / "results" / "images"
    rows = json.loads((folder / "index.json").read_text())["images"]
    assert [row["title"] for row in rows[:2]] == order[:2]
    assert ["worst" in row["lists"] for row in rows] == [True, True, False, False, False]
    assert [row["mIoU"] for row in rows[:2]] == pytest.approx([100 * mean_iou(name) for name in order[:2]])
    for row in rows:
        truth, preds = (np.asarray(Image.open(folder / row["pictures"][kind])) for kind in ("truth", "prediction"))
        assert np.array_equal(truth, streets[row["title"]][0])
        assert np.array_equal(preds, streets[row["title"]][1])
        assert row["right"]["prediction"] == pytest.approx(100 * (truth == preds)[truth != 255].mean())


def test_safety_on_request_scores_every_prediction_and_pictures_the_extremes(streets, run, tmp_path):
    run("test", "streets.py", "epoch_1.pth", "--out", "results", "--images", "0", "--safety")
    analyze = RoadSafetyAnalyzer(table="bdd100k_sem19")
    expected = {name: analyze(preds) for name, (_, preds) in streets.items()}
    folder = tmp_path / "results" / "safety"
    with open(folder / "per_image.csv", newline="") as file:
        rows = {Path(row["img_path"]).name: row for row in csv.DictReader(file)}
    assert {name: row["level"] for name, row in rows.items()} == {name: score.level for name, score in expected.items()}
    assert {name: float(row["score"]) for name, row in rows.items()} == pytest.approx(
        {name: score.score for name, score in expected.items()}, abs=1e-4
    )
    content = read_metrics(folder / "metrics.json")
    worst = content["safety"]["worst"][0]
    assert expected[Path(worst["img_path"]).name].score == pytest.approx(min(score.score for score in expected.values()))
    assert Image.open(folder / worst["picture"]).size == SHAPE[::-1]
    overall = read_metrics(tmp_path / "results" / "metrics.json")["metrics"]
    assert overall["safety/score"] == pytest.approx(sum(score.score for score in expected.values()) / len(expected))


def test_results_go_to_the_work_dir_unless_told_otherwise_and_no_image_is_kept_on_request(streets, run, tmp_path):
    run("test", "streets.py", "epoch_1.pth", "--work-dir", "mine", "--images", "0")
    assert (tmp_path / "mine" / "test" / "metrics.json").exists()
    assert {path.suffix for path in (tmp_path / "mine" / "test").iterdir()} == {".json", ".csv", ".npz"}
    assert (tmp_path / "mine" / "report.html").exists()


def test_whole_scene_and_labelled_pixels_side_by_side(streets, run, tmp_path):
    remap = "dict(type='mmstreet.RemapLabels', source='bdd100k_sem19', target='street6_background', unlisted='background')"
    text = CONFIG.format(root=str(tmp_path / "data")).replace("dict(type='PackSegInputs')", f"{remap}, dict(type='PackSegInputs')")
    text = text.replace("split='val'", "split='val', table='street6_background'").replace("'NearestColor'", "'NearestColor', num_classes=6")
    text += """
test_evaluator = [
    dict(type='mmstreet.StreetIoUMetric', table='street6'),
    dict(type='mmstreet.StreetIoUMetric', scope='scene', prefix='scene'),
]
"""
    (tmp_path / "six.py").write_text(text)
    six = [BDD100K_SEM19.index(name) for name in ("bicycle", "motorcycle", "pole", "car", "person", "vegetation")]
    colors = torch.tensor([BDD100K_SEM19.palette[i] for i in six], dtype=torch.float32)
    torch.save({"state_dict": {"colors": colors}}, tmp_path / "six.pth")
    run("test", "six.py", "six.pth", "--out", "results")
    values = read_metrics(tmp_path / "results" / "metrics.json")["metrics"]
    assert values["IoU/person"] == 0, "person is only predicted"
    assert values["IoU/pole"] is None, "the sky is predicted as pole, which costs nothing on labelled pixels"
    assert values["scene/IoU/pole"] == 0
    assert values["scene/aAcc"] < values["aAcc"]
    for folder, not_scored in (("", True), ("scene", False)):
        index = json.loads((tmp_path / "results" / folder / "images" / "index.json").read_text())
        assert index["background_scored"] != not_scored, "background counts in the scope 'scene' alone"
    page = (tmp_path / "results" / "report.html").read_text()
    first, second = re.findall('<div class="legend wide-legend">(.*)</div>', page)
    assert all("</i>none of the classes</span>" in legend and "</i>wrong</span>" in legend for legend in (first, second))
    assert "not scored" in first
    assert "not scored" not in second


def test_another_metric_gets_its_numbers_written_alike(streets, run, tmp_path):
    (tmp_path / "streets.py").write_text(CONFIG.format(root=str(tmp_path / "data")) + "test_evaluator = dict(type='mmseg.IoUMetric')\n")
    run("test", "streets.py", "epoch_1.pth", "--out", "results")
    assert {path.name for path in (tmp_path / "results").iterdir()} == {"metrics.json", "files.json", "report.html"}
    expected = scores(count(streets.values()), BDD100K_SEM19.names, groups={})
    assert read_metrics(tmp_path / "results" / "metrics.json")["metrics"]["mIoU"] == pytest.approx(expected["mIoU"], abs=0.0051)


def test_a_checkpoint_of_another_model_is_refused_in_one_sentence(streets, run, refusal, tmp_path):
    write_checkpoint(tmp_path / "narrow.pth", num_classes=6)
    sentence = refusal("test", "streets.py", "narrow.pth")
    assert "'narrow.pth' does not fit the model of this config: 'colors' is (6, 3) there and (19, 3) here" in sentence
    torch.save({"state_dict": {"module.paint": torch.zeros(1)}}, tmp_path / "other.pth")
    assert "1 of 1 weights are not in it (colors)" in refusal("test", "streets.py", "other.pth")
    torch.save({"state_dict": {"module.colors": torch.zeros(19, 3), "surplus": torch.zeros(1)}}, tmp_path / "parallel.pth")
    run("test", "streets.py", "parallel.pth", "--images", "0")


def test_a_missing_or_unsafe_checkpoint_is_refused_in_one_sentence(streets, refusal, tmp_path):
    assert "'epoch_9.pth' does not exist; its folder has: epoch_1.pth" in refusal("test", "streets.py", "epoch_9.pth")
    torch.save({"state_dict": {}, "callback": print}, tmp_path / "odd.pth")
    assert "holds the Python object 'print'" in refusal("test", "streets.py", "odd.pth")


def test_two_processes_give_the_numbers_and_the_page_of_one(streets, run, tmp_path):
    run_in_two_processes("test", "streets.py", "epoch_1.pth", "--out", "two", "--cfg-options", "test_dataloader.batch_size=1")
    run("test", "streets.py", "epoch_1.pth", "--out", "one")
    one, two = tmp_path / "one", tmp_path / "two"
    assert read_metrics(two / "metrics.json")["metrics"] == read_metrics(one / "metrics.json")["metrics"]
    assert (two / "per_image.csv").read_text() == (one / "per_image.csv").read_text()
    files = json.loads((one / "files.json").read_text())["files"]
    assert len(files) > 8
    assert {file: (two / file).read_bytes() for file in files} == {file: (one / file).read_bytes() for file in files}


def test_results_of_another_checkpoint_are_replaced_and_files_of_others_stay(streets, run, tmp_path):
    run("test", "streets.py", "epoch_1.pth", "--out", "results", "--safety", "--images", "3")
    run("test", "streets.py", "epoch_1.pth", "--out", "results", "--images", "3")
    out = tmp_path / "results"
    assert (out / "safety/metrics.json").exists(), "the same checkpoint: its safety still holds"
    (out / "notes.txt").write_text("mine")
    (out / "images/mine.png").write_text("mine")
    write_checkpoint(tmp_path / "epoch_2.pth")
    run("test", "streets.py", "epoch_2.pth", "--out", "results", "--images", "1")
    assert {path.name for path in out.iterdir()} == {*WRITTEN, "report.html", "notes.txt"}
    assert sorted(path.name[:3] for path in (out / "images").iterdir()) == ["01_"] * 3 + ["ind", "min"]
    assert "checkpoint <code>epoch_2.pth</code>" in (out / "report.html").read_text()
    assert "epoch_1.pth" not in (out / "report.html").read_text()


@pytest.mark.parametrize("name", ["images", "safety"])
def test_nothing_is_written_through_a_link_to_elsewhere(streets, refusal, tmp_path, name):
    (tmp_path / "private").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / name).symlink_to(tmp_path / "private")
    said = refusal("test", "streets.py", "epoch_1.pth", "--out", "results", "--safety", "--images", "1")
    assert "the results were not written" in said
    assert "leads out of the folder" in said
    assert not list((tmp_path / "private").iterdir())


def test_scores_are_broken_down_by_attributes_and_rows(streets, run, tmp_path):
    names = list(streets)
    (tmp_path / "weather.csv").write_text(
        "image,weather\n" + "".join(f"{name},{'rainy' if i else 'clear'}\n" for i, name in enumerate(names))
    )
    run("test", "streets.py", "epoch_1.pth", "--out", "results", "--by", "weather", "row", "--attributes", "weather.csv")
    slices = read_metrics(tmp_path / "results" / "metrics.json")["evaluation"]["slices"]
    assert {row["value"]: row["images"] for row in slices["weather"]} == {"clear": 1, "rainy": len(names) - 1}
    clear = next(row for row in slices["weather"] if row["value"] == "clear")
    counts = count([streets[names[0]]])
    assert clear["IoU"] == pytest.approx([None if (iou := class_iou(counts, {i})) is None else 100 * iou for i in range(19)])
    with open(tmp_path / "results" / "slices.csv", newline="") as file:
        assert [row["value"] for row in csv.DictReader(file)] == [row["value"] for rows in slices.values() for row in rows]
    assert "Slices" in (tmp_path / "results" / "report.html").read_text()


def test_a_folder_that_cannot_be_written_is_refused_before_the_model_runs(streets, refusal, run, tmp_path):
    (tmp_path / "private").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/test").symlink_to(tmp_path / "private")
    said = refusal("test", "streets.py", "epoch_1.pth", "--work-dir", "run")
    assert "'test' leads out of the folder" in said
    assert "it is a link" in said
    assert not list((tmp_path / "private").iterdir())
    (tmp_path / "file").write_text("mine")
    assert "there is a file in its way" in refusal("test", "streets.py", "nowhere.pth", "--out", "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_dangerous_confusions_are_tables_and_a_section_of_the_page(streets, run, tmp_path):
    run("test", "streets.py", "epoch_1.pth", "--out", "results", "--danger")
    content = read_metrics(tmp_path / "results" / "danger" / "metrics.json")
    counts = count(streets.values())
    road, others = BDD100K_SEM19.index("road"), {row["class"]: row["pixels"] for row in content["danger"]["taken_for_road"]}
    assert others == {
        name: sum(pixels for (label, pred), pixels in counts.items() if (label, pred) == (i, road))
        for i, name in enumerate(BDD100K_SEM19.names)
        if i != road and any(label == i for label, _ in counts)
    }
    assert content["metrics"]["danger/Safe_mIoU"] <= content["metrics"]["mIoU"]
    assert "Dangerous confusions" in (tmp_path / "results" / "report.html").read_text()
