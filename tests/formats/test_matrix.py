"""The table of what survives a conversion, in docs/data.md, is what is measured."""

from pathlib import Path

import pytest

from benchmarks.convert_matrix import survivors
from mmstreet.formats.catalogue import FORMATS, READERS, WRITERS

TEXT = (Path(__file__).parents[2] / "docs/data.md").read_text(encoding="utf-8")


def table():
    lines = TEXT.partition("| from \\ to |")[2].partition("\n\n")[0].splitlines()
    columns = [cell.strip() for cell in lines[0].strip("| ").split("|")]
    rows = {line.split("|")[1].strip(" *"): [cell.strip() for cell in line.strip("|").split("|")[1:]] for line in lines[2:]}
    return {(row, column): cell for row, cells in rows.items() for column, cell in zip(columns, cells)}


def test_the_table_has_every_format():
    names = [name for name in FORMATS if name in READERS and name in WRITERS]
    assert set(table()) == {(a, b) for a in names for b in names}
    assert not [name for name in FORMATS if f"| `{name}` |" not in TEXT]


@pytest.mark.parametrize(
    "pair",
    [
        "scalabel coco",
        "coco webdataset",
        "webdataset cityscapes",
        "cityscapes yolo",
        "yolo bitmask",
        "bitmask coco-panoptic",
        "coco-panoptic cvat",
        "cvat semantic",
        "semantic parquet",
        "parquet scalabel",
    ],
)
def test_a_way_through_all_formats_keeps_what_the_table_says(pair):
    source, target = pair.split()
    assert survivors(source, target) == table()[source, target]
