"""The score over time is causal, does not flicker, and outlives gaps only for a while."""

import io
import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmstreet.safety.components import COMPONENTS
from mmstreet.safety.score import UNKNOWN, SafetyScore, level_of
from mmstreet.safety.temporal import SafetyFilter, write_records

SCORES = st.lists(st.none() | st.floats(0, 100), min_size=1, max_size=60)


def make(score):
    return SafetyScore(score, level_of(score, (75, 55, 35)), dict.fromkeys(COMPONENTS, 0.5), {}, {"people": 3.0}, {}, 1.0)


def follow(scores, *, fps=10.0, **settings):
    return list(SafetyFilter(**settings).follow(map(make, scores), fps))


@settings(max_examples=40, deadline=None)
@given(SCORES, SCORES, SCORES)
def test_later_frames_do_not_change_earlier_records(past, one, another):
    assert follow(past + one)[: len(past)] == follow(past + another)[: len(past)] == follow(past)


@settings(max_examples=40, deadline=None)
@given(SCORES)
def test_the_filtered_score_stays_between_the_scores_seen(scores):
    known = [score for score in scores if score is not None]
    for record in follow(scores):
        assert record.smoothed is None or min(known) - 1e-9 <= record.smoothed <= max(known) + 1e-9


@pytest.mark.parametrize("threshold", [75, 55, 35])
def test_noise_around_a_threshold_changes_the_level_once_at_most(threshold):
    scores = threshold + np.random.default_rng(0).uniform(-4.9, 4.9, 500)
    unfiltered = [level_of(score, (75, 55, 35)) for score in scores]
    assert sum(a != b for a, b in pairwise(unfiltered)) > 200
    for filter_settings in ({}, {"fall_s": 0, "rise_s": 0}):
        levels = [record.level for record in follow(scores, **filter_settings)]
        assert sum(a != b for a, b in pairwise(levels)) <= 1


def test_the_level_worsens_at_the_threshold_and_improves_a_margin_above():
    levels = [record.level for record in follow([80, 74, 79.9, 80, 30, 39.9, 40, 59.9, 60, 100], fall_s=0, rise_s=0)]
    assert levels == ["LOW", "MODERATE", "MODERATE", "LOW", "CRITICAL", "CRITICAL", "HIGH", "HIGH", "MODERATE", "LOW"]


def test_a_step_is_followed_with_the_two_time_constants():
    down = follow([100, 0, 0], fps=2.0, fall_s=1.0)
    assert [record.smoothed for record in down] == pytest.approx([100, 100 * math.exp(-0.5), 100 * math.exp(-1.0)])
    up = follow([0, 100, 100], fps=2.0, rise_s=4.0)
    assert [record.smoothed for record in up] == pytest.approx([0, 100 - 100 * math.exp(-0.125), 100 - 100 * math.exp(-0.25)])


def test_the_frame_rate_does_not_change_how_fast_the_score_falls():
    assert follow([100] + [0] * 10, fps=10)[-1].smoothed == pytest.approx(follow([100] + [0] * 30, fps=30)[-1].smoothed)


def test_a_short_gap_holds_the_last_score_and_a_long_one_is_unknown():
    records = follow([80] + [None] * 4 + [20], fps=2.0, max_gap_s=1.0)
    assert [record.level for record in records] == ["LOW", "LOW", "LOW", UNKNOWN, UNKNOWN, "CRITICAL"]
    assert [record.smoothed for record in records] == [80, 80, 80, None, None, 20]
    assert [record.score for record in records[1:5]] == [None] * 4


def test_frames_out_of_order_and_bad_settings_are_refused():
    track = SafetyFilter()
    track.update(make(50), 1.0)
    with pytest.raises(ValueError, match=r"1\.0 s follows 1\.0 s"):
        track.update(make(50), 1.0)
    with pytest.raises(ValueError, match="fps must be positive"):
        next(SafetyFilter().follow([make(50)], 0))
    with pytest.raises(ValueError, match="0 or more"):
        SafetyFilter(margin=-1)


def test_a_second_part_of_a_video_goes_on_where_the_first_stopped():
    track = SafetyFilter()
    parts = [*track.follow(map(make, [80, 20]), 10), *track.follow(map(make, [40, 60]), 10)]
    assert [record.frame for record in parts] == [0, 1, 2, 3]
    assert [record.smoothed for record in parts] == pytest.approx([record.smoothed for record in follow([80, 20, 40, 60])])


def test_every_frame_is_one_json_line_written_at_once():
    file = io.StringIO()

    def lines_so_far():
        for count, record in enumerate(SafetyFilter().follow(map(make, [80, None, 20]), 25)):
            assert len(file.getvalue().splitlines()) == count
            yield record

    assert write_records(lines_so_far(), file) == 3
    lines = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [line["frame"] for line in lines] == [0, 1, 2]
    assert [line["score"] for line in lines] == [80, None, 20]
    assert lines[2]["time_s"] == pytest.approx(0.08)
    assert lines[0]["components"] == dict.fromkeys(COMPONENTS, 0.5)
    assert lines[0]["worst"] == "people"
