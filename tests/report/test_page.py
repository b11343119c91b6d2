"""The page of a run says what the files say, holds all it needs, and lets no name become markup."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from mmstreet.files.ap_draws import ApDraws
from mmstreet.files.atomic import write_arrays, write_json
from mmstreet.report.comparison import compare_runs, signed
from mmstreet.report.page import write_page
from mmstreet.report.run_files import read_run
from tests.helpers.run_folders import CONFUSION, NAMES, write_instances, write_logs, write_refinement, write_test


class Reader(HTMLParser):
    """Collects tags with their attributes, and the text outside of style and script."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.words, self._silent = [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._silent = tag in ("style", "script")

    def handle_endtag(self, tag):
        self._silent = False

    def handle_data(self, data):
        if not self._silent:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture
def run(tmp_path):
    folder = write_test(write_logs(tmp_path / "run"))
    record = {
        "commands": [
            {"kind": "train", "command": "mmstreet train 'a b.py'", "started": "2026-01-01T10:00:00", "ended": "2026-01-01T10:30:00"}
        ],
        "config": {"file": "a.py", "question": "Does <it> work?", "base": "base.py", "changes": [["model.depth", "50", "18"]]},
        "environment": {"torch": "2.13.0", "processor": "two & a half cores"},
    }
    write_json(record, folder / "run.json")
    return folder


def read(folders, out):
    return Reader(write_page(folders, out / "page.html").read_text(encoding="utf-8"))


def test_every_part_of_a_run_is_on_its_page(run, tmp_path):
    text = read([run], tmp_path).text
    for found in (
        "3 of 4 epochs",
        "trained for 30 min",
        "best validation mIoU 30.00 in epoch 3",
        "0.50 s per iteration, 20 % of it waiting for data",
        "Training loss",
        "Learning rate",
        "mmstreet train 'a b.py'",
        "two & a half cores",
        "model.depth",
        "− 50",
        "+ 18",
        "Does <it> work?",
        "42 HIGH",
        "not known",
        "no safety certificate",
        "people is not known: the classes have <no> people (2 images)",
        "mIoU 0.0 %, 100.0 % of the scored pixels wrong",
    ):
        assert found in text, found


def test_scores_are_those_of_the_confusion_matrix(run, tmp_path):
    reader = read([run], tmp_path)
    road = 900 / (1000 + 10)
    light = 60 / (100 + 50)
    tile = next(i for i, word in enumerate(reader.words) if word == "mean IoU")
    # The third class is predicted and nowhere labelled: 0, not absent.
    assert f"{100 * (road + light) / 3:.1f}" in reader.words[tile - 3 : tile]
    titles = [attributes.get("title", "") for _, attributes in reader.tags]
    assert f"road → {NAMES[1]}: {CONFUSION[0][1]} pixels" in titles
    assert any(title.startswith(f"road: IoU {100 * road:.2f}") for title in titles)
    assert reader.words.count("rare") == 1


def test_names_never_become_markup(run, tmp_path):
    reader = read([run], tmp_path)
    assert not {"b"} & {tag for tag, attributes in reader.tags if tag == "b" and "bold" in str(attributes)}
    assert all("onerror" not in attributes for _, attributes in reader.tags)
    assert NAMES[2] in reader.text
    assert "<img src=x onerror=alert(1)>.jpg" in reader.text
    assert [attributes for tag, attributes in reader.tags if tag == "script"] == [{}, {"type": "application/json"}]


def test_nothing_is_fetched_from_anywhere(run, tmp_path):
    reader = read([run], tmp_path)
    for tag, attributes in reader.tags:
        for name in ("src", "href", "srcset", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), f"<{tag} {name}={value[:60]}>"
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "@import" not in page
    assert "url(" not in page


def test_links_of_the_bar_lead_somewhere(run, tmp_path):
    for folders in ([run], [run, write_logs(tmp_path / "other")]):
        reader = read(folders, tmp_path)
        ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert {attributes["href"][1:] for tag, attributes in reader.tags if tag == "a"} <= set(ids)


def test_a_validation_split_speaks_for_the_run_before_the_training_split(run):
    for split, value in (("train", 91.0), ("val", 47.0)):
        content = json.loads((run / "test/metrics.json").read_text())
        content["metrics"]["mIoU"] = value
        write_json(content, run / "test" / split / "metrics.json")
    (run / "test/metrics.json").unlink()
    found = read_run(run)
    assert [one.name for one in found.evaluations if one.semantic] == ["test/val", "test/train"]
    assert found.main.content["metrics"]["mIoU"] == 47.0


def test_average_precision_has_curves_and_absent_classes_say_so(tmp_path):
    reader = read([write_instances(tmp_path / "run")], tmp_path)
    assert "Precision over recall at IoU 0.5" in reader.text
    assert "COCO protocol" in reader.text
    assert re.search(r"train\s+0\s+n/a\s+n/a", reader.text)
    assert re.search(r"all 7 30.00 21.50–38.25 50.00", reader.text)
    assert re.search(r"By weather the lowest AP first .*<i>snow</i> 3 7 12.50 7.50–17.50 50.00 clear 3 7 40.00", reader.text)
    assert "30.0 coco/AP 21.5 to 38.2" in reader.text


def test_a_run_that_was_only_trained_shows_its_last_validation_and_what_to_do(tmp_path):
    text = read([write_logs(tmp_path / "run")], tmp_path).text
    assert "From the last validation" in text
    assert "mmstreet test CONFIG" in text
    assert "30.0 mean IoU" in text


def test_several_runs_have_signed_differences_against_the_first(tmp_path):
    one = write_logs(tmp_path / "a/run")
    two = write_logs(tmp_path / "b/run", offset=-1.5, classes=6)
    reader = read([one, two], tmp_path)
    assert "a/run | b/run" in reader.text
    assert re.search(r"mIoU 30.00 28.50 −1.50", reader.text)
    assert re.search(r"aAcc 63.00 63.00 ±0.00", reader.text)
    assert "model.decode_head.num_classes" in reader.text
    classes = {attributes.get("class") for tag, attributes in reader.tags if tag == "small"}
    assert not classes & {"better", "worse"}, "without the counts of images nothing says that a difference is more than chance"
    assert "not marked" in reader.text


def test_runs_of_other_classes_get_a_warning_and_the_mean_of_what_they_share(tmp_path):
    one = write_test(write_logs(tmp_path / "v1"))
    two = write_test(write_logs(tmp_path / "v2"), confusion=[[9, 1, 0], [1, 9, 0], [0, 0, 0]], names=("road", "car"))
    table = compare_runs([read_run(one), read_run(two)])
    assert "different classes" in table["warnings"][0]
    shared = table["scores"][0]
    assert shared["name"] == "mean of the 1 classes that all runs have"
    assert [cell["value"] for cell in shared["cells"]] == pytest.approx([100 * 900 / 1010, 100 * 9 / 11])
    absent = next(row for row in table["classes"] if row["name"] == "car")
    assert absent["cells"][0]["value"] is None
    assert absent["cells"][1]["difference"] == ""


def counts_by_image(rng, *, wrong, images=40):
    """Two classes of 1000 pixels each per image, of which about ``wrong`` are taken for the other; a third class is absent."""
    counts = np.zeros((images, 4, 4), np.int64)
    for true, predicted in ((0, 1), (1, 0)):
        counts[:, true, predicted] = rng.binomial(1000, wrong, images)
        counts[:, true, true] = 1000 - counts[:, true, predicted]
    return counts


def test_a_difference_is_marked_where_its_interval_excludes_zero(tmp_path):
    rng = np.random.default_rng(0)
    first, worse = (counts_by_image(rng, wrong=wrong) for wrong in (0.2, 0.3))
    runs = [
        read_run(write_test(tmp_path / name, images=images))
        for name, images in (("first", first), ("same", first), ("worse", worse), ("again", counts_by_image(rng, wrong=0.2)))
    ]
    table = compare_runs(runs)
    cells = {row["name"]: row["cells"] for row in [*table["scores"], *table["classes"]]}
    for name in ("mIoU", "aAcc", NAMES[0], NAMES[1]):
        assert [cell["better"] for cell in cells[name]] == [None, None, False, None], name
        assert cells[name][1]["interval"] == "±0.00 to ±0.00"
    assert not [warning for warning in table["warnings"] if "not marked" in warning]
    reader = read([run.folder.path for run in runs], tmp_path)
    titles = [attributes.get("title", "") for tag, attributes in reader.tags if tag == "small" and attributes.get("class") == "worse"]
    assert titles
    assert all(title.startswith("95 % interval of the difference: −") for title in titles)


@pytest.mark.parametrize("change", ["other images", "other labels", "other counts"])
def test_tests_that_cannot_be_paired_are_not_marked_and_the_page_says_so(tmp_path, change):
    rng = np.random.default_rng(0)
    first, second = (counts_by_image(rng, wrong=wrong) for wrong in (0.2, 0.6))
    if change == "other images":
        second = second[1:]
    if change == "other labels":
        second[:2, 0, 0] += (5, -5)
    runs = [write_test(tmp_path / name, images=images) for name, images in (("one", first), ("two", second))]
    if change == "other counts":
        shutil.copy(runs[0] / "test/per_image.npz", runs[1] / "test/per_image.npz")
    runs = [read_run(run) for run in runs]
    table = compare_runs(runs)
    assert {cell["better"] for row in table["scores"] for cell in row["cells"]} == {None}
    assert [warning for warning in table["warnings"] if "not marked" in warning]
    assert bool(runs[1].folder.problems) == (change == "other counts")


def test_the_interval_stands_at_the_score_and_its_class(tmp_path):
    run = write_test(tmp_path / "run", images=counts_by_image(np.random.default_rng(0), wrong=0.2, images=12))
    low, high = read_run(run).main.semantic["intervals"]["scores"]["mIoU"]
    reader = read([run], tmp_path)
    assert f"mean IoU {low:.1f} to {high:.1f}" in reader.text
    assert "the same 12 images" in reader.text
    assert "so few images make them too narrow" in reader.text
    assert "worst 5 %" in reader.text
    assert len([1 for tag, attributes in reader.tags if attributes.get("class") == "range"]) == 2


def test_slices_stand_in_a_table_with_their_counts_and_small_ones_in_brackets(tmp_path):
    run = write_test(tmp_path / "run", images=counts_by_image(np.random.default_rng(0), wrong=0.2))
    content = json.loads((run / "test/metrics.json").read_text())
    part = {
        "images": 7,
        "pixels": 30_000,
        "mIoU": 44.25,
        "interval": [40.4, 48.6],
        "IoU": [70.0, 18.5, None],
        "truth_pixels": [20_000, 400, 0],
    }
    content["evaluation"]["slices"] = {
        "weather": [{"value": "<i>fog</i>"} | part, {"value": "snow", **part, "pixels": 900, "interval": None}]
    }
    write_json(content, run / "test/metrics.json")
    text = read([run], tmp_path).text
    assert re.search(r"<i>fog</i> 7 44.2 40–49 70 \(18\)", text)
    assert "snow only 900 pixels 7" in text
    content["evaluation"]["slices"]["weather"][0]["IoU"] = [70.0]
    write_json(content, run / "test/metrics.json")
    assert "'evaluation.slices' should have 3 values" in read([run], tmp_path).text


def test_no_difference_is_marked_without_an_interval(tmp_path):
    runs = []
    for i in (0, 1):
        folder = tmp_path / f"r{i}"
        write_json({"metrics": {"safety/score": 50.0 + i, "safety/score_error": 9.0 + i}}, folder / "test/metrics.json")
        runs.append(read_run(folder))
    rows = {row["name"]: row["cells"][1]["better"] for row in compare_runs(runs)["scores"]}
    assert rows == {"safety/score": None, "safety/score_error": None}
    assert signed(-0.004) == "±0.00"


def test_refiners_stand_beside_their_baseline(run, tmp_path):
    reader = read([write_refinement(run)], tmp_path)
    assert "baseline crf <1>" in reader.text
    assert "mIoU 40.00 41.25 +1.25" in reader.text
    marked = [attributes for tag, attributes in reader.tags if tag == "small" and attributes.get("class") in ("better", "worse")]
    assert [one["class"] for one in marked] == ["better"], "the other intervals hold 0, or are not known"
    assert marked[0]["title"] == "95 % interval of the difference: +0.50 to +2.00"
    assert "boundary IoU, 3 px 30.00 28.75 −1.25" in reader.text
    assert "IoU of thin classes n/a n/a" in reader.text
    assert "road: refused, mixed 14145" in reader.text
    assert "right pixels: baseline 0.0 %, crf <1> 100.0 %" in reader.text
    assert any(attributes.get("alt") == "crf <1>: changes of b.jpg" for _, attributes in reader.tags)


def test_what_cannot_be_reported_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="nothing to report in"):
        write_page([tmp_path], tmp_path / "p.html")
    with pytest.raises(ValueError, match="is no folder"):
        write_page([tmp_path / "gone"], tmp_path / "p.html")
    with pytest.raises(ValueError, match="at least one work dir"):
        write_page([], tmp_path / "p.html")
    with pytest.raises(ValueError, match="one name per work dir, 1, got 2"):
        write_page([tmp_path], tmp_path / "p.html", names=["a", "b"])
    assert not (tmp_path / "p.html").exists()


def test_pictures_that_are_gone_are_said_to_be(run, tmp_path):
    (run / "test/images/01_prediction.png").unlink()
    text = read([run], tmp_path).text
    assert [text.count(f"no picture of {layer}") for layer in ("photo", "truth", "prediction", "error")] == [0, 0, 1, 1]


def test_the_page_needs_no_framework(run, tmp_path):
    code = (
        "import sys; from mmstreet.__main__ import main; "
        f"main(['report', {str(run)!r}, '--out', {str(tmp_path / 'p.html')!r}]); "
        "print(sorted({'torch', 'mmengine', 'mmcv', 'mmseg', 'mmdet'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_average_precisions_of_two_runs_are_compared_draw_by_draw(tmp_path):
    runs = [write_instances(tmp_path / name) for name in ("one", "two", "three")]
    hard = np.random.default_rng(0).normal(0.3, 0.1, 200)  # how hard the images of a draw are
    for i, (folder, gain) in enumerate(zip(runs, (0.0, 0.02, 0.0))):
        content = json.loads((folder / "test/metrics.json").read_text())
        content["metrics"] = {"coco/AP": 30.0 + 100 * gain, "coco/AP/car": 30.0}
        write_json(content, folder / "test/metrics.json")
        images = ["1", "2", "9" if i == 2 else "3"]
        draws = ApDraws(images, np.ones((3, 2), np.int32), ["coco/AP", "coco/AP/car"], np.stack([hard + gain, hard]))
        write_arrays(draws.arrays(), folder / "test/ap_draws.npz")
    table = compare_runs([read_run(folder) for folder in runs])
    (ap,) = (row for row in table["scores"] if row["name"] == "coco/AP")
    assert [cell["difference"] for cell in ap["cells"]] == ["", "+2.00", "±0.00"]
    assert [cell["better"] for cell in ap["cells"]] == [None, True, None]
    assert ap["cells"][1]["interval"] == "+2.00 to +2.00"
    (car,) = (row for row in table["classes"] if row["name"] == "coco/AP/car")
    assert [cell["better"] for cell in car["cells"]] == [None, None, None]
    assert any("three to one are not marked" in warning for warning in table["warnings"]), "it is a test of other images"
    (runs[1] / "test/ap_draws.npz").write_bytes(b"PK")
    run = read_run(runs[1])
    assert not any(cell["better"] for row in compare_runs([read_run(runs[0]), run])["scores"] for cell in row["cells"])
    assert any("ap_draws.npz was left out" in problem for problem in run.folder.problems)
