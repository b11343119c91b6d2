import numpy as np
import pytest
from PIL import Image

from mmstreet.report.image_label_plot import plot_image_labels

STATS = {
    "images": 4,
    "classes": ["road", "car"],
    "mean_classes_per_image": 1.0,
    "images_by_num_classes": [1, 2, 1],
    "positive": [3, 1],
    "negative": [1, 3],
    "ratio_histogram": [0, 0, 0, 1, 0, 0, 0, 0, 0, 1],
}
EMPTY = STATS | {"images": 0, "mean_classes_per_image": None, "images_by_num_classes": [0, 0, 0], "positive": [0, 0], "negative": [0, 0]}


def colored(path, color):
    return (np.abs(np.asarray(Image.open(path).convert("RGB")).astype(int) - color).sum(axis=2) < 12).sum()


@pytest.mark.parametrize("stats", [{"one": STATS}, {"one": STATS, "two": EMPTY}, {str(i): STATS for i in range(6)}])
def test_chart_shows_a_colour_per_set(tmp_path, stats):
    path = plot_image_labels(stats, tmp_path / "new" / "chart.png")
    assert colored(path, (0x3B, 0x6E, 0xA5)) > 1000
    assert (colored(path, (0xB0, 0x30, 0x30)) > 1000) == (len(stats) == 6)


def test_bars_have_the_share_of_the_images(tmp_path):
    """Class 'road' fills three quarters of its bar, 'car' one quarter: as much colour as grey in all."""
    path = plot_image_labels({"one": STATS | {"ratio_histogram": [0] * 10, "images_by_num_classes": [0, 0, 0]}}, tmp_path / "chart.png")
    assert colored(path, (0x3B, 0x6E, 0xA5)) == pytest.approx(colored(path, (0xE4, 0xE4, 0xE4)), rel=0.1)


def test_too_many_sets_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected one to 6 sets to plot, got 7"):
        plot_image_labels({str(i): STATS for i in range(7)}, tmp_path / "chart.png")
