"""``RoadSafetyAnalyzer``: settings once, then the pure function."""

import subprocess
import sys

import numpy as np
import pytest

from mmstreet.labels import BDD100K_SEM19
from mmstreet.safety.analyzer import RoadSafetyAnalyzer
from mmstreet.safety.prior import LanePrior
from mmstreet.safety.score import score_scene
from mmstreet.safety.settings import SafetySettings
from tests.helpers.street_scene import put, render_street

STREET = put(render_street(), "person", ahead=9)


def test_a_call_is_the_pure_function():
    settings = {"prior": {"camera_height_m": 1.8}, "weights": {"people": 1, "obstacles": 1}}
    expected = score_scene(
        STREET,
        BDD100K_SEM19.names,
        settings=SafetySettings(prior=LanePrior(camera_height_m=1.8), weights={"people": 1, "obstacles": 1}),
    )
    assert RoadSafetyAnalyzer(table="bdd100k_sem19", settings=settings)(STREET) == expected
    assert RoadSafetyAnalyzer(classes=BDD100K_SEM19.names, settings=SafetySettings(**settings))(STREET) == expected
    assert set(expected.costs) == {"people", "obstacles"}


def test_the_classes_must_be_said_once():
    with pytest.raises(ValueError, match="either classes"):
        RoadSafetyAnalyzer()
    with pytest.raises(ValueError, match="either classes"):
        RoadSafetyAnalyzer(classes=["road"], table="street6")


def test_a_class_without_a_role_is_refused_before_the_first_image():
    with pytest.raises(ValueError, match="class 'tram'"):
        RoadSafetyAnalyzer(classes=["road", "tram"])


def test_it_is_found_in_its_room_without_torch():
    code = "import sys; from mmstreet.safety import RoadSafetyAnalyzer; print(sorted({'torch', 'mmengine', 'mmcv'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_says_why_no_scene_of_its_classes_can_be_scored():
    assert RoadSafetyAnalyzer(table="street6_background").blindness is None
    blind = RoadSafetyAnalyzer(table="street6")
    assert blind.blindness == next(iter(blind(np.zeros((9, 16), np.uint8)).reasons.values()))
