"""What the page says of an evaluation, against numbers counted by hand."""

import pytest

from mmstreet.files.atomic import write_json
from mmstreet.report.evaluation_sections import MEAN, compare_evaluations, describe_evaluation
from mmstreet.report.run_files import read_run
from tests.helpers.run_folders import write_instances, write_test


def describe(run):
    return describe_evaluation(read_run(run).main, key="test", album=None, lists={})


def test_confusion_is_per_cent_of_the_row(tmp_path):
    confusion = [[3, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    found = describe(write_test(tmp_path, confusion=confusion))["confusion"]
    assert len(found["columns"]) == len(found["rows"]) == 3, "no background and no class without pixels"
    assert [row["share"] for row in found["rows"]] == pytest.approx([100 * 4 / 6, 100 * 2 / 6, 0])
    assert [[share for share, _ in row["cells"]] for row in found["rows"]] == [[75, 25, 0], [0, 0, 100], [None] * 3]


def test_background_and_no_class_appear_where_they_hold_pixels(tmp_path):
    content = dict(read_run(write_test(tmp_path)).main.content)
    content["evaluation"]["confusion"] = [[3, 0, 0, 1], [0, 0, 2, 0], [0, 0, 0, 0], [4, 0, 0, 0]]
    write_json(content, tmp_path / "test/metrics.json")
    found = describe(tmp_path)["confusion"]
    assert found["columns"][-1] == "no class"
    assert found["rows"][-1] == {"id": 3, "name": "background", "share": 40.0, "cells": [(100, 4), (0, 0), (0, 0), (0, 0)]}
    assert found["rows"][0]["cells"] == [(75, 3), (0, 0), (0, 0), (25, 1)]


def test_a_curve_ends_where_its_recall_ends_and_the_mean_counts_the_rest_as_zero(tmp_path):
    write_instances(tmp_path)
    content = read_run(tmp_path).main.content
    curve = content["evaluation"]["protocols"]["coco"]["curve"]
    curve["classes"] = {"car": {"precision": [1.0, 0.5, 0.25]}, "bus": {"precision": [0.5, None, None]}}
    write_json(content, tmp_path / "test/metrics.json")
    (protocol,) = describe(tmp_path)["protocols"]
    lines = {one["name"]: [point[3] for point in one["points"]] for one in protocol["chart"]["series"]}
    assert lines == {"car": [1, 0.5, 0.25], "bus": [0.5], MEAN: [0.75, 0.25, 0.125]}
    assert [one["name"] for one in protocol["chart"]["series"] if not one["thin"]] == [MEAN]


def test_evaluations_stand_side_by_side_each_with_its_own_scores(tmp_path):
    run = write_test(tmp_path)
    content = dict(read_run(run).main.content)
    first = content["metrics"]["mIoU"]
    content["metrics"] = content["metrics"] | {"scene/mIoU": 12.5}
    content["evaluation"] = content["evaluation"] | {"categories": {"flat": 7.5}}
    write_json(content, run / "test/metrics.json")
    write_json(content, run / "test/scene/metrics.json")
    table = compare_evaluations(read_run(run).evaluations)
    rows = {row["name"]: [cell["value"] for cell in row["cells"]] for row in table["rows"]}
    assert table["names"] == ["test", "test/scene"]
    assert rows["mean IoU"] == [first, 12.5]
    assert rows["category flat"] == [7.5, 7.5]
    assert rows["road"][0] == pytest.approx(100 * 900 / 1010)


def test_one_evaluation_without_categories_needs_no_table(tmp_path):
    assert compare_evaluations(read_run(write_test(tmp_path)).evaluations) is None
