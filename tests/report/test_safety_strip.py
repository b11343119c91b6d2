"""Pictures of the road-safety score show what the records say."""

import numpy as np
import pytest
from PIL import Image

from mmstreet.report.safety_strip import LEVEL_COLORS, SafetyStrip, Scene, plot_scenes

PARTS = {"road_visibility": 0.9, "people": 0.2, "vehicles": 1.0, "obstacles": None, "lane_clarity": None}


def make_scene(score, level, colour=(90, 90, 90)):
    return Scene(np.full((72, 128, 3), colour, np.uint8), "a.jpg", {"score": score, "level": level, "components": PARTS})


def rgb(level):
    return tuple(int(LEVEL_COLORS[level][i : i + 2], 16) for i in (1, 3, 5))


def has_colour(picture, colour, tolerance=2):
    return bool((np.abs(picture.astype(int) - colour).max(-1) <= tolerance).any())


def test_scenes_stand_in_two_rows_framed_in_the_colour_of_their_level(tmp_path):
    best, worst = [make_scene(95, "LOW", (0, 0, 250))], [make_scene(12, "CRITICAL", (250, 0, 250)), make_scene(40, "HIGH")]
    picture = np.array(Image.open(plot_scenes(best, worst, tmp_path / "sub" / "p.png")).convert("RGB"))
    upper, lower = picture[: len(picture) // 2], picture[len(picture) // 2 :]
    assert has_colour(upper, rgb("CRITICAL"))
    assert has_colour(upper, rgb("HIGH"))
    assert has_colour(upper, (250, 0, 250))
    assert has_colour(lower, rgb("LOW"))
    assert has_colour(lower, (0, 0, 250))
    assert not has_colour(lower, (250, 0, 250))


def test_a_page_without_scenes_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no scene to draw"):
        plot_scenes([], [], tmp_path / "p.png")
    assert plot_scenes([], [make_scene(None, "UNKNOWN")], tmp_path / "p.png").exists()


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
