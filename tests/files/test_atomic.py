import contextlib

from mmstreet.files.atomic import atomic_path


def test_file_appears_when_the_block_ends(tmp_path):
    with atomic_path(tmp_path / "new" / "a.txt") as temporary:
        temporary.write_text("x")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert (tmp_path / "new" / "a.txt").read_text() == "x"
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_failure_keeps_the_old_file(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with contextlib.suppress(ZeroDivisionError), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
        raise ZeroDivisionError
    assert [(x.name, x.read_text()) for x in tmp_path.iterdir()] == [("a.txt", "old")]


def test_rights_are_those_of_an_ordinary_file(tmp_path):
    (tmp_path / "plain").touch()
    with atomic_path(tmp_path / "atomic"):
        pass
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode
