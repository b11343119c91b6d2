"""The page of changes paints what it says."""

import numpy as np
import pytest

from mmstreet.report.refinement import BETTER, STILL_WRONG, WORSE, paint_changes, plot_comparison, refinement_table


def test_changes_are_green_red_and_yellow():
    labels, before = np.array([[1, 1, 1, 1, 255]]), np.array([[0, 1, 0, 1, 0]])
    after = np.array([[1, 0, 2, 1, 1]])
    painted = paint_changes(np.full((1, 5, 3), 100, np.uint8), labels, before, after)
    assert [tuple(pixel) for pixel in painted[0]] == [BETTER, WORSE, STILL_WRONG, (70, 70, 70), (0, 0, 0)]


def test_the_table_shows_differences_to_the_first_system():
    def system(name, miou, iou):
        means = {"mIoU": miou, "boundary_IoU": 10.0, "thin_IoU": None, "seconds_per_image": 0.5, "changed_percent": 1.0}
        return {"name": name, **means, "per_class": [{"class": "road", "IoU": iou}]}

    table = refinement_table({"boundary_radius_px": 3, "systems": [system("baseline", 50.0, 90.0), system("crf", 51.25, None)]})
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert lines[0] == ["", "baseline", "crf"]
    assert ["mIoU", "50.00", "51.25 (+1.25)"] in lines
    assert ["IoU of thin classes", "n/a", "n/a"] in lines
    assert ["IoU road", "90.00", "n/a"] in lines


def test_a_page_without_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no image to draw"):
        plot_comparison([], names=("a",), palette=[[1, 2, 3]], path=tmp_path / "page.png")
