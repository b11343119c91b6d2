import pytest

from mmstreet.deps import installed, require


def test_a_missing_extra_is_answered_with_its_install_line():
    with pytest.raises(ImportError, match=r"pip install 'mmstreet\[crf\]'"):
        require("no_such_module_anywhere", extra="crf")


def test_an_installed_module_is_returned():
    assert require("json", extra="crf").loads("[1]") == [1]
    assert installed("os.path")
    assert not installed("json.no_such_submodule")


def test_installed_does_not_import(tmp_path, monkeypatch):
    (tmp_path / "explodes_on_import.py").write_text("raise RuntimeError")
    monkeypatch.syspath_prepend(tmp_path)
    assert installed("explodes_on_import")
    with pytest.raises(RuntimeError):
        require("explodes_on_import", extra="crf")
