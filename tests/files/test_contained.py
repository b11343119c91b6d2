"""Paths that data name stay inside their folder."""

import pytest

from mmstreet.files.contained import path_inside


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "b/../../a", "out/secret", "loop/x", 7, None, ["a"], "a\0b"])
def test_what_leads_out_is_refused(tmp_path, name):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/out").symlink_to(tmp_path)
    (tmp_path / "run/loop").symlink_to(tmp_path / "run/loop")
    with pytest.raises(ValueError, match=r"leads out of the folder|expected the name of a file"):
        path_inside(tmp_path / "run", name)


@pytest.mark.parametrize("name", ["a", "b/a", "b/../a", "inner/a", "absent/b"])
def test_what_stays_inside_is_given(tmp_path, name):
    (tmp_path / "inner").symlink_to(tmp_path)
    assert path_inside(tmp_path, name) == tmp_path / name
