from mmstreet.report.result_page import write_result_page


def report(value, name="road"):
    return {
        "metrics": {"mIoU": value, "fwIoU": value, "catIoU": None, "aAcc": value},
        "categories": {"flat": value, "sky": None},
        "per_class": [{"class": name, "IoU": value}],
    }


def test_what_cannot_be_measured_is_na_and_what_nobody_measured_has_no_row(tmp_path):
    text = write_result_page({"train": report(50.0), "val": report(None)}, folder=tmp_path, config="a/b.py", checkpoint=None).read_text()
    assert "<tr><td>mean IoU</td><td>50.00</td><td>n/a</td></tr>" in text
    assert "<tr><td>flat</td><td>50.00</td><td>n/a</td></tr>" in text
    assert "category IoU" not in text
    assert "mean class accuracy" not in text
    assert "<h1>b</h1>" in text
    assert "<img" not in text


def test_names_are_escaped_and_pictures_that_exist_are_shown(tmp_path):
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "examples.png").touch()
    text = write_result_page({"val": report(1.0, "<b>&")}, folder=tmp_path, config="<x>.py", checkpoint="c.pth").read_text()
    assert "&lt;b&gt;&amp;" in text
    assert "<b>&" not in text
    assert "<x>" not in text
    assert text.count("<img") == 1
    assert 'src="val/examples.png"' in text
