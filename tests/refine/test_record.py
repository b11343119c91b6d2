"""The record counts what changed and keeps the reasons."""

import json

import numpy as np

from mmstreet.refine.record import ACCEPTED, RegionReport, record_changes


def test_the_record_counts_pixels_and_reasons_and_survives_json():
    before = np.array([[0, 0, 1, 255], [2, 2, 1, 255]], np.uint8)
    after = np.array([[0, 1, 1, 255], [0, 1, 1, 255]], np.uint8)
    regions = [
        RegionReport((0, 0, 2, 2), 1, 4, 0.5, ACCEPTED),
        RegionReport((1, 0, 2, 2), 2, 2, 0.1, "refused, score: 0.10, 0.70 needed"),
        RegionReport((1, 0, 2, 2), None, 2, 0.2, "refused, score: 0.20, 0.70 needed"),
    ]
    record = record_changes(before, after, refiner="X", classes=("a", "b", "ç"), protected_px=5, regions=regions)
    assert (record.changed_px, record.lost_px, record.gained_px, record.protected_px) == (3, (1, 0, 2), (1, 2, 0), 5)
    assert record.verdicts == {"accepted": 1, "refused, score": 2}
    read = json.loads(record.to_json())
    assert read["classes"] == ["a", "b", "ç"]
    assert read["regions"][1] == {
        "box_xyxy": [1, 0, 2, 2],
        "class_id": 2,
        "area_px": 2,
        "score": 0.1,
        "verdict": "refused, score: 0.10, 0.70 needed",
    }
    assert read["verdicts"] == record.verdicts
