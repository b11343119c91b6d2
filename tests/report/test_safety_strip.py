"""The strip under a video shows what the records say."""

import numpy as np
import pytest

from mmstreet.report.safety_strip import LEVEL_COLORS, SafetyStrip


def rgb(level):
    return tuple(int(LEVEL_COLORS[level][i : i + 2], 16) for i in (1, 3, 5))


def has_colour(picture, colour, tolerance=2):
    return bool((np.abs(picture.astype(int) - colour).max(-1) <= tolerance).any())


def record(time_s, score, level):
    return {"time_s": time_s, "score": score, "smoothed": score, "level": level, "worst": "people"}


def test_the_score_is_drawn_under_the_frame_up_to_now():
    strip = SafetyStrip(frame_hw=(90, 160), duration_s=10, width_px=640)
    frame = np.full((90, 160, 3), (10, 200, 30), np.uint8)
    early = strip(frame, record(1, 90, "LOW"))
    assert early.shape == (strip.height + strip.strip_height, 640, 3)
    assert early.dtype == np.uint8
    assert not early.shape[0] % 2
    assert (early[: strip.height] == (10, 200, 30)).all()
    for second in range(2, 10):
        late = strip(frame, record(second, 20, "CRITICAL"))
    below = slice(strip.height, None)
    assert has_colour(early[below], rgb("LOW"))
    assert has_colour(late[below], rgb("CRITICAL"))
    right = slice(400, 520)
    assert (late[below, right] != early[below, right]).any(), "the line has reached the right"
    assert (late[below, right] < 60).all(-1)[15:75].any()
    assert not (early[below, right] < 60).all(-1)[15:75].any()


def test_unknown_frames_leave_a_gap():
    strip = SafetyStrip(frame_hw=(90, 160), duration_s=2, width_px=640)
    frame = np.zeros((90, 160, 3), np.uint8)
    picture = strip(frame, record(0.5, None, "UNKNOWN") | {"worst": None})
    assert has_colour(picture[strip.height :], rgb("UNKNOWN"))
    with pytest.raises(ValueError, match="duration_s must be positive"):
        SafetyStrip(frame_hw=(9, 16), duration_s=0)
