"""Charts are drawn without pyplot, and show what the numbers say."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from mmstreet.report import plots


def make_summary(confusion, names=("road", "pole", "train")):
    rows = [{"class": name, "IoU": 50.0 + i, "Acc": 60.0, "frequency": "common"} for i, name in enumerate(names)]
    rows[-1] |= {"IoU": None, "Acc": None}
    return {"classes": list(names), "confusion": confusion, "per_class": rows, "metrics": {"mIoU": 50.5}}


@pytest.fixture
def figures(monkeypatch):
    """The figures that were saved, for a look at their axes."""
    seen = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **kwargs: (seen.append(self), save(self, *args, **kwargs)))
    return seen


def texts_at(axes):
    return {tuple(np.round(text.get_position()).astype(int)): text.get_text() for text in axes.texts}


def test_confusion_shows_per_cent_of_the_row_at_column_prediction_row_truth(tmp_path, figures):
    confusion = [[3, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    path = plots.plot_confusion(make_summary(confusion), tmp_path / "new" / "c.png")
    assert Image.open(path).format == "PNG"
    axes = figures[0].axes[0]
    assert texts_at(axes) == {(0, 0): "75", (1, 0): "25", (2, 1): "100"}
    assert [x.get_text() for x in axes.get_xticklabels()] == ["road", "pole", "train"]
    assert [x.get_text() for x in axes.get_yticklabels()] == ["road  67 %", "pole  33 %", "train  n/a"]


def test_background_and_no_class_appear_only_where_they_hold_pixels(tmp_path, figures):
    confusion = [[3, 0, 0, 1], [0, 0, 2, 0], [0, 0, 0, 0], [4, 0, 0, 0]]
    plots.plot_confusion(make_summary(confusion), tmp_path / "c.png")
    axes = figures[0].axes[0]
    assert axes.get_xticklabels()[-1].get_text() == "no class"
    assert axes.get_yticklabels()[-1].get_text() == "background  40 %"
    assert texts_at(axes)[0, 3] == "100"


def test_bars_show_iou_and_say_where_there_is_none(tmp_path, figures):
    path = plots.plot_class_bars(make_summary(np.eye(4, dtype=int).tolist()), tmp_path / "b.png")
    assert Image.open(path).format == "PNG"
    axes = figures[0].axes[0]
    assert [bar.get_width() for bar in axes.patches] == [50, 51]
    assert [text.get_text() for text in axes.texts] == ["50.0", "51.0", "n/a"]


def test_nineteen_classes_have_room_for_their_texts(tmp_path, figures):
    names = [f"class number {i}" for i in range(19)]
    plots.plot_confusion(make_summary((np.eye(20, dtype=int) * 1000 + 30).tolist(), names), tmp_path / "c.png")
    axes = figures[0].axes[0]
    renderer = FigureCanvasAgg(figures[0]).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    assert len(boxes) == 400
    cell = axes.get_window_extent().width / 20
    assert max(box.width for box in boxes) < 0.8 * cell
    labels = [label.get_window_extent(renderer) for label in axes.get_yticklabels()]
    assert all(above.y0 > below.y1 for above, below in itertools.pairwise(labels))


def test_no_global_state_of_pyplot_is_touched():
    code = "import sys, mmstreet.report.plots, mmstreet.report.panels; print('matplotlib.pyplot' in sys.modules, 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == ["False", "False"]
