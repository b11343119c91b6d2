"""A verification report as text and as a picture holds every class and every problem."""

import numpy as np
import pytest
from PIL import Image

from mmstreet.report.dataset_plot import plot_class_pixels
from mmstreet.report.dataset_table import format_verification

REPORT = dict(
    ok=False,
    source="data/x",
    table="t",
    splits={"train": dict(images=3, labels=2, sizes={"32x24": 3}, pixels=[600, 0], void=200)},
    classes=[
        dict(id=0, name="road", color=[255, 0, 0], pixels=1_234_567, percent=75.0, files=2),
        dict(id=1, name="rare thing", color=[0, 255, 0], pixels=0, percent=0.0, files=0),
    ],
    void=200,
    problems=[dict(kind="wrong size", split="train", file=f"{i}.png", message=f"{i}.png is small") for i in range(3)],
)


def test_text_has_counts_classes_and_problems():
    text = format_verification(REPORT, max_problems=2)
    for piece in ("data/x", "32x24 (3)", "1,234,567", "75.00 %", "rare thing", "wrong size: 3", "0.png is small", "and 1 more"):
        assert piece in text
    assert "2.png is small" not in text
    assert "weight" not in text
    assert text.endswith("3 problems found")


def test_text_shows_weights_where_they_are_suggested():
    rows = [{**row, "weight": weight} for row, weight in zip(REPORT["classes"], (0.1, 10.0))]
    text = format_verification({**REPORT, "classes": rows, "weights": "inverse", "problems": [], "ok": True})
    assert "10.00" in text
    assert text.endswith("no problem found")


@pytest.mark.parametrize("pixels", [1_234_567, 0])
def test_the_chart_shows_the_class_colour_where_there_are_pixels(pixels, tmp_path):
    rows = [{**REPORT["classes"][0], "pixels": pixels}, REPORT["classes"][1]]
    path = plot_class_pixels({**REPORT, "classes": rows}, tmp_path / "new" / "bars.png")
    picture = np.asarray(Image.open(path).convert("RGB"))
    assert (picture == (255, 0, 0)).all(-1).any() == bool(pixels)
    assert not (picture == (0, 255, 0)).all(-1).any()
