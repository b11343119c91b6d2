"""Points of a chart lie where their values say."""

import pytest

from mmstreet.report.charts import MAX_POINTS, line_chart, running_mean, ticks


def test_points_lie_between_the_ticks_in_proportion():
    chart = line_chart("t", {"a": ([0, 5, 10], [0.0, 50.0, 100.0])}, x_label="epoch", y_range=(0, 100))
    assert chart["series"][0]["lines"] == ["0.0,1000.0 500.0,500.0 1000.0,0.0"]
    assert chart["y_ticks"][0] == [100, "0"]
    assert chart["y_ticks"][-1] == [0, "100"]
    assert chart["series"][0]["last"] == 100


def test_a_gap_splits_the_line_and_a_single_value_is_a_dot():
    chart = line_chart("t", {"a": ([1, 2, 3, 4], [1.0, None, 3.0, 4.0]), "b": ([2], [2.0])}, x_label="x")
    assert len(chart["series"][0]["lines"]) == 2
    assert chart["series"][1]["single"][2:] == [2, 2.0]
    assert line_chart("t", {"a": ([1], [None])}, x_label="x") is None
    assert line_chart("t", {}, x_label="x") is None


def test_long_series_are_averaged_not_cut():
    count = 10 * MAX_POINTS + 3
    chart = line_chart("t", {"a": (list(range(count)), [float(i % 2) for i in range(count)])}, x_label="x")
    points = chart["series"][0]["points"]
    assert len(points) <= MAX_POINTS + 1
    assert points[0][3] == pytest.approx(0.5, abs=0.1)
    assert points[-1][2] == count - 1


def test_ticks_enclose_the_values_and_are_round():
    for low, high in [(0, 1), (3.2, 3.9), (-7, 12), (0, 1e-5), (99, 12345)]:
        found = ticks(low, high)
        assert found[0] <= low
        assert found[-1] >= high
        assert 3 <= len(found) <= 8
    assert ticks(5, 5) == [5]


def test_the_running_mean_looks_back_only():
    assert running_mean([4, 8, 0], 2) == [4, 6, 4]
    assert running_mean([1, None, 3], 3) == [1, None, 2]
