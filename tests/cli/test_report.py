"""``mmstreet report`` as a user runs it."""

from tests.helpers.run_folders import write_logs


def test_one_run_gets_its_page_in_its_folder_and_several_one_beside_them(tmp_path, run, capsys):
    one, two = (write_logs(tmp_path / name) for name in ("one", "two"))
    run("report", one)
    assert (one / "report.html").exists()
    run("report", one, two, "--names", "before", "after")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h1>before | after</h1>" in page
    run("report", one, "--out", tmp_path / "new/page.html")
    assert (tmp_path / "new/page.html").exists()
    assert capsys.readouterr().out.count("written: ") == 3


def test_a_folder_without_logs_is_one_sentence(tmp_path, refusal):
    sentence = refusal("report", tmp_path)
    assert sentence.startswith("nothing to report in ")
    assert "train or test a config" in sentence
