"""Curves and tables show what the evaluation says, and leave a gap where nothing was measured."""

import csv

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from mmstreet.report.instance_report import write_instance_report
from mmstreet.report.precision_recall import plot_precision_recall, write_precision_recall_csv

RECALL = [0.0, 0.5, 1.0]
CURVES = {
    "coco": {
        "iou": 0.5,
        "recall": RECALL,
        "classes": {
            "car": {"precision": [1.0, 0.5, 0.25], "score": [0.9, 0.5, 0.1]},
            "bus": {"precision": [0.5, None, None], "score": [0.3, None, None]},
        },
    },
    "bitmask": {"iou": 0.5, "recall": RECALL, "classes": {}},
}


@pytest.fixture
def figures(monkeypatch):
    """Figures that were saved."""
    kept, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kwargs: (kept.append(figure), save(figure, *args, **kwargs)))
    return kept


def test_a_line_per_class_ends_where_its_recall_ends_and_the_mean_counts_the_rest_as_zero(tmp_path, figures):
    path = plot_precision_recall(CURVES, tmp_path / "deep" / "pr.png")
    assert Image.open(path).format == "PNG"
    left, right = figures[0].axes
    car, bus, mean = (line.get_ydata() for line in left.lines)
    assert car.tolist() == [1, 0.5, 0.25]
    assert np.array_equal(bus, [0.5, np.nan, np.nan], equal_nan=True)
    assert mean.tolist() == [0.75, 0.25, 0.125]
    assert left.get_title().endswith("AP50 37.5")
    assert not right.lines
    assert right.get_title().endswith("AP50 n/a")


def test_the_table_of_the_curve_is_empty_where_recall_is_not_reached(tmp_path):
    text = write_precision_recall_csv(CURVES, tmp_path / "pr.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 6
    assert rows[1] == {"protocol": "coco", "iou": "0.5", "class": "car", "recall": "0.50", "precision": "0.500000", "score": "0.500000"}
    assert (rows[-1]["class"], rows[-1]["recall"], rows[-1]["precision"], rows[-1]["score"]) == ("bus", "1.00", "", "")


def make_summary(ap, *, curve=None):
    rows = [{"class": "car", "instances": 3, "AP": ap, "APl": None}]
    return {"metrics": {"AP": ap, "APl": None, "mAP@0.5": 1.0}, "per_class": rows, "images": 2, "instances": 3, "curve": curve}


def test_an_evaluation_leaves_ap_per_class_and_per_group_and_the_curves(tmp_path):
    protocols = {name: make_summary(ap, curve=CURVES[name]) for name, ap in (("coco", 30.25), ("bitmask", 20.5))}
    by = {"weather": {"partly cloudy": {"coco": make_summary(None), "bitmask": make_summary(0.0)}}}
    written = write_instance_report({"protocols": protocols, "by": by}, tmp_path / "test")
    assert [path.name for path in written] == ["per_class_ap.csv", "precision_recall.csv", "precision_recall.png"]
    assert all(path.stat().st_size for path in written)
    assert written[0].read_text().splitlines() == [
        "protocol,group,class,images,instances,AP,APl",
        "coco,,,2,3,30.2500,",
        "coco,,car,2,3,30.2500,",
        "bitmask,,,2,3,20.5000,",
        "bitmask,,car,2,3,20.5000,",
        "coco,weather=partly cloudy,,2,3,,",
        "coco,weather=partly cloudy,car,2,3,,",
        "bitmask,weather=partly cloudy,,2,3,0.0000,",
        "bitmask,weather=partly cloudy,car,2,3,0.0000,",
    ]
