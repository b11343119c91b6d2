"""Files of results are read back with the standard library."""

import csv

from mmstreet.files.tables import markdown_table, write_class_csv, write_image_csv

ROAD = {"class": "road", "IoU": 91.23456, "Acc": 95.0, "Precision": 96.0, "truth_pixels": 7, "predicted_pixels": 6}
TRAIN = {"class": "train", "IoU": None, "Acc": None, "Precision": None, "truth_pixels": 0, "predicted_pixels": 0}
SUMMARY = {
    "per_class": [ROAD | {"group": "flat", "frequency": "common"}, TRAIN | {"group": None, "frequency": None}],
    "images": [{"img_path": "b, with comma.jpg", "mIoU": 3.5}, {"img_path": "void.jpg", "mIoU": None}],
}


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_class_csv_leaves_unmeasured_cells_empty(tmp_path):
    rows = read_csv(write_class_csv(SUMMARY, tmp_path / "per_class.csv"))
    assert rows[0]["IoU"] == "91.2346"
    assert rows[0]["truth_pixels"] == "7"
    assert rows[1]["class"] == "train"
    assert rows[1]["IoU"] == rows[1]["group"] == ""


def test_image_csv_keeps_the_order_and_odd_names(tmp_path):
    rows = read_csv(write_image_csv(SUMMARY, tmp_path / "per_image.csv"))
    assert rows == [{"img_path": "b, with comma.jpg", "mIoU": "3.5000"}, {"img_path": "void.jpg", "mIoU": ""}]


def test_markdown_columns_line_up_and_unmeasured_cells_say_so():
    lines = markdown_table(["run", "mIoU", "images"], [["a longer name", 9.999, 12], ["b", float("nan"), None]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == ["a longer name", "10.00", "12"]
    assert [cell.strip() for cell in lines[3].split("|")[1:-1]] == ["b", "n/a", "n/a"]
    assert lines[1].startswith("| :-")
    assert lines[1].endswith("-: |")
