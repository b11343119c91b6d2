"""``tools/report.py`` as a user runs it."""

import pytest

from mmstreet.cli.report import main
from tests.helpers.run_folders import write_logs


def test_one_run_gets_its_page_in_its_folder_and_several_one_beside_them(tmp_path, capsys):
    one, two = (write_logs(tmp_path / name) for name in ("one", "two"))
    assert main([str(one)]) == 0
    assert (one / "report.html").exists()
    assert main([str(one), str(two), "--names", "before", "after"]) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h1>before | after</h1>" in page
    assert main([str(one), "--out", str(tmp_path / "new/page.html")]) == 0
    assert (tmp_path / "new/page.html").exists()
    assert capsys.readouterr().out.count("written: ") == 3


def test_a_folder_without_logs_is_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"^no report: nothing to report in .*train or test a config"):
        main([str(tmp_path)])
