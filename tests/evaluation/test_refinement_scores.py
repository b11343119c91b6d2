"""The table of refiners shows differences to the baseline, and why regions were refused."""

import numpy as np
import pytest

from mmstreet.evaluation.refinement_scores import RefinementCounts, ScoringRules, refinement_table


def system(name, miou, iou, **regions):
    means = {"mIoU": miou, "boundary_IoU": 10.0, "thin_IoU": None, "seconds_per_image": 0.5, "changed_percent": 1.0}
    totals = {}
    for found in regions.values():
        for verdict, number in found.items():
            totals[verdict] = totals.get(verdict, 0) + number
    return {"name": name, **means, "per_class": [{"class": "road", "IoU": iou}], "regions": totals, "regions_per_class": regions}


def read(*systems):
    table = refinement_table({"boundary_radius_px": 3, "systems": list(systems)})
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]


def test_the_table_shows_differences_to_the_first_system():
    lines = read(system("baseline", 50.0, 90.0), system("crf", 51.25, None))
    assert lines[0] == ["", "baseline", "crf"]
    assert ["mIoU", "50.00", "51.25 (+1.25)"] in lines
    assert ["IoU of thin classes", "n/a", "n/a"] in lines
    assert ["IoU road", "90.00", "n/a"] in lines
    assert not [line for line in lines if line[:1] == ["regions"]]


def test_the_table_shows_how_sure_a_difference_is():
    crf = system("crf", 51.25, 89.0) | {"differences": {"mIoU": [0.5, 2.25], "IoU/road": None}}
    lines = read(system("baseline", 50.0, 90.0), crf)
    assert ["mIoU", "50.00", "51.25 (+1.25, +0.50 to +2.25)"] in lines
    assert ["IoU road", "90.00", "89.00 (-1.00)"] in lines


def test_intervals_are_those_of_test_sets_drawn_for_both_systems_together():
    """Images differ by 30 pixels of 100 and the systems by 0 to 6 in each image: drawn apart, no difference could be sure."""
    rng, rules, images = np.random.default_rng(0), ScoringRules(("car", "pole")), []
    right, gain = rng.integers(60, 90, 40), rng.integers(0, 7, 40)
    for one, more in zip(right, gain):
        counts = [np.array([[100, 0, 0], [100 - hits, hits, 0], [0, 0, 0]]) for hits in (one, one + more)]
        images.append({name: RefinementCounts(cells, cells // 10) for name, cells in zip(("baseline", "crf"), counts)})
    found = rules.compare(images, "baseline", "crf")
    draws = [gain[rng.integers(40, size=40)].mean() for _ in range(4000)]  # of 100 pixels: per cent points
    assert found["IoU/pole"] == pytest.approx(np.percentile(draws, (2.5, 97.5)).tolist(), abs=0.1)
    assert found["IoU/pole"][0] > 1
    low, high = found["mIoU"]
    assert 0 < low < high
    assert rules.compare(images, "crf", "crf")["mIoU"] == [0, 0]
    assert set(found) == {"mIoU", "boundary_IoU", "thin_IoU", "IoU/car", "IoU/pole"}


def test_refused_regions_are_counted_by_verdict_and_class():
    one = system("sam", 50.0, 90.0, road={"refused, mixed": 14_000, "accepted": 3}, pole={"refused, mixed": 145})
    two = system("vote", 50.0, 90.0, pole={"refused, tie": 2})
    lines = read(system("baseline", 50.0, 90.0), one, two)
    below = lines[lines.index(["regions", "sam", "vote"]) :]
    assert below[2:] == [
        ["all: refused, mixed", "14,145", "0"],
        ["all: accepted", "3", "0"],
        ["all: refused, tie", "0", "2"],
        ["road: refused, mixed", "14,000", "0"],
        ["road: accepted", "3", "0"],
        ["pole: refused, mixed", "145", "0"],
        ["pole: refused, tie", "0", "2"],
    ]
