import json

import pytest

from mmstreet.formats.conversion_report import EXAMPLES, ConversionReport


def filled():
    report = ConversionReport(images_in=3, images_out=2, instances_in=9, instances_out=4)
    report.skip_image("image file is missing", "frame 'a.jpg': no image", instances=3)
    report.skip_instance("inverted box", "frame 'b.jpg', label 1: inverted")
    report.skip_instance("inverted box", "frame 'b.jpg', label 2: inverted")
    report.note("boxes only", "frame 'b.jpg': boxes only")
    return report


def test_sums_that_agree_pass_and_a_lost_label_is_reported():
    report = filled()
    report.check()
    report.instances_in += 1
    with pytest.raises(RuntimeError, match="10 instances came in, but 4 written and 5 skipped"):
        report.check()


def test_parts_add_up_to_the_whole():
    total = ConversionReport()
    for _ in range(4):
        total.add(filled())
    total.check()
    assert total.skipped_instances == {"inverted box": 8, "image file is missing": 12}
    assert len(total.examples["inverted box"]) == EXAMPLES


def test_screen_and_file_say_the_same(tmp_path):
    report = filled()
    report.write(tmp_path / "r.json")
    written = json.loads((tmp_path / "r.json").read_text())
    assert written["skipped_instances"] == {"image file is missing": 3, "inverted box": 2}
    for words in (
        "9 in          4 out        5 skipped",
        "skipped instances        2 × inverted box",
        "notes                    1 × boxes only",
        "e.g. frame 'b.jpg', label 1",
    ):
        assert words in str(report)


def test_strict_raises_the_sentence():
    with pytest.raises(ValueError, match=r"frame 'b\.jpg', label 1: inverted"):
        ConversionReport(strict=True).skip_instance("inverted box", "frame 'b.jpg', label 1: inverted")
    ConversionReport(strict=True).note("boxes only", "is no reason to stop")
