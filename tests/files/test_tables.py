"""Tables are read back with the standard library."""

import csv

from mmstreet.files.tables import markdown_table, write_csv


def test_csv_has_four_decimals_empty_cells_for_none_and_odd_names(tmp_path):
    path = write_csv([("img_path", "mIoU", "pixels"), ("b, with comma.jpg", 3.50004, 7), ("void.jpg", None, 0)], tmp_path / "new/a.csv")
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"img_path": "b, with comma.jpg", "mIoU": "3.5000", "pixels": "7"},
        {"img_path": "void.jpg", "mIoU": "", "pixels": "0"},
    ]


def test_markdown_columns_line_up_and_unmeasured_cells_say_so():
    lines = markdown_table(["run", "mIoU", "images"], [["a longer name", 9.999, 12], ["b", float("nan"), None]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == ["a longer name", "10.00", "12"]
    assert [cell.strip() for cell in lines[3].split("|")[1:-1]] == ["b", "n/a", "n/a"]
    assert lines[1].startswith("| :-")
    assert lines[1].endswith("-: |")
