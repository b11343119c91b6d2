"""Tables of instance scores say what the evaluation says, and leave a cell empty where nothing was measured."""

from mmstreet.metrics.instance_summary import SCORES, list_curves, list_scores

CURVE = {
    "iou": 0.5,
    "recall": [0.0, 0.5, 1.0],
    "classes": {
        "car": {"precision": [1.0, 0.5, 0.25], "score": [0.9, 0.5, 0.1]},
        "bus": {"precision": [0.5, None, None], "score": [0.3, None, None]},
    },
}


def summary(ap, **more):
    scores = dict.fromkeys(SCORES) | {"AP": ap}
    return {
        "metrics": scores | {"mAP@0.5": 1.0}, "per_class": [{"class": "car", "instances": 3} | scores], "images": 2, "instances": 3
    } | more  # fmt: skip


def test_a_line_per_protocol_group_and_class_the_total_first():
    report = {
        "protocols": {"coco": summary(30.25), "bitmask": summary(20.5)},
        "by": {"weather": {"partly cloudy": {"coco": summary(None), "bitmask": summary(0.0)}}},
    }
    header, *rows = list_scores(report)
    assert header == ["protocol", "group", "class", "images", "instances", "AP", "AP50", "AP75", "APs", "APm", "APl"]
    assert [row[:6] for row in rows] == [
        ["coco", "", "", 2, 3, 30.25],
        ["coco", "", "car", 2, 3, 30.25],
        ["bitmask", "", "", 2, 3, 20.5],
        ["bitmask", "", "car", 2, 3, 20.5],
        ["coco", "weather=partly cloudy", "", 2, 3, None],
        ["coco", "weather=partly cloudy", "car", 2, 3, None],
        ["bitmask", "weather=partly cloudy", "", 2, 3, 0.0],
        ["bitmask", "weather=partly cloudy", "car", 2, 3, 0.0],
    ]


def test_a_curve_ends_where_its_recall_ends():
    header, *rows = list_curves({"protocols": {"coco": {"curve": CURVE}, "bitmask": {"curve": CURVE | {"classes": {}}}}})
    assert header == ["protocol", "iou", "class", "recall", "precision", "score"]
    assert len(rows) == 6
    assert rows[1] == ["coco", "0.5", "car", "0.50", "0.500000", "0.500000"]
    assert rows[-1] == ["coco", "0.5", "bus", "1.00", None, None]
