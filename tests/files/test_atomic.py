import contextlib
import errno
import json
import os
import threading

import numpy as np
import pytest

from mmstreet.files.atomic import atomic_path, write_bytes, write_json, write_text


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


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path, monkeypatch):
    write_bytes(b"old", tmp_path / "epoch_1.pth")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_bytes(b"new", tmp_path / "epoch_1.pth")
    assert [(x.name, x.read_bytes()) for x in tmp_path.iterdir()] == [("epoch_1.pth", b"old")]


def test_content_reaches_the_disk_before_the_name(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("fsync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("replace"), replace(a, b)))
    write_bytes(b"x", tmp_path / "a.pth")
    assert order == ["fsync", "replace", "fsync"]


def test_two_writers_of_one_file_do_not_disturb_each_other(tmp_path):
    path, whole = tmp_path / "a.pth", {bytes([i]) * 200_000 for i in range(4)}
    writers = [threading.Thread(target=lambda data=data: [write_bytes(data, path) for _ in range(10)]) for data in whole]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert path.read_bytes() in whole
    assert [x.name for x in tmp_path.iterdir()] == ["a.pth"]


def test_a_full_disk_is_said_in_one_sentence_and_keeps_what_was_there(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(OSError, match=r"disk full: '.*a\.txt' was not written") as caught, atomic_path(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.errno == errno.ENOSPC
    assert [(x.name, x.read_text()) for x in tmp_path.iterdir()] == [("a.txt", "old")]


def refuse(name):
    raise AssertionError(f"{name} is not JSON")


def test_nan_and_infinity_become_null(tmp_path):
    data = {"a": float("nan"), "b": [np.float32(1.5), np.inf, None], "c": np.arange(4).reshape(2, 2), "d": tmp_path, 3: np.int64(2)}
    path = write_json(data, tmp_path / "new" / "folder" / "x.json")
    read = json.loads(path.read_text(), parse_constant=refuse)
    assert read == {"a": None, "b": [1.5, None, None], "c": [[0, 1], [2, 3]], "d": str(tmp_path), "3": 2}


def test_rows_of_numbers_stay_on_one_line_and_texts_are_untouched(tmp_path):
    data = {"confusion": [[1, 2, 3], [4, 5, -6.5]], "text": "[\n 1,\n 2\n]", "names": ["Fußweg", "1, 2"]}
    path = write_json(data, tmp_path / "x.json")
    assert "[4, 5, -6.5]" in path.read_text(encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == data


@pytest.mark.parametrize("stem", ["a" * 251, "街" * 83])
def test_a_name_as_long_as_the_file_system_allows_is_written(tmp_path, stem):
    assert write_bytes(b"x", tmp_path / f"{stem}.png").read_bytes() == b"x"
    with atomic_path(tmp_path / f"{stem}.jpg") as temporary:
        temporary.write_bytes(b"y")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".jpg", ".png"]


@pytest.mark.parametrize("name", ["/dev/null", "/dev/stdout", "folder", "pipe"])
def test_no_file_takes_the_place_of_a_device_a_pipe_or_a_folder(tmp_path, name):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / name
    before = os.lstat(path).st_mode
    with pytest.raises(OSError, match="which no file may replace"):
        write_text("text", path)
    assert os.lstat(path).st_mode == before
