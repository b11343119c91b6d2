"""Stages run beside each other, in order, never far apart, and an error in any of them ends all of them."""

import threading
import time
from contextlib import closing, contextmanager

import numpy as np
import pytest

from mmstreet.predict import Predictor, video_job
from mmstreet.predict.folder import PredictionFolder
from mmstreet.predict.job import predict_sources
from mmstreet.predict.semantic_model import SemanticModel
from mmstreet.predict.sources import find_sources
from mmstreet.predict.stages import read_ahead, work_behind
from mmstreet.predict.video import VideoError, VideoWriter, open_video
from tests.helpers.color_model import write_model


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    assert [thread for thread in set(threading.enumerate()) - before if type(thread) is threading.Thread] == []


def wait_for(condition):
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    assert condition()


def test_items_come_in_order_and_are_read_a_few_ahead():
    read = []

    def numbers():
        for i in range(50):
            read.append(i)
            yield i

    found = []
    for item in read_ahead(numbers(), size=3):
        if item == 10:
            wait_for(lambda: len(read) == 15)  # 11 given, 3 in the queue, one in hand
        found.append(item)
        assert len(read) <= item + 5
    assert found == list(range(50))


def test_an_error_of_the_reader_comes_after_the_items_before_it():
    def numbers():
        yield from range(3)
        raise VideoError("broken")

    found = []
    with pytest.raises(VideoError, match="broken"):
        found.extend(read_ahead(numbers(), size=10))
    assert found == [0, 1, 2]


def test_a_reader_that_nobody_needs_any_more_is_closed():
    closed = []

    def numbers():
        try:
            yield from range(10**9)
        finally:
            closed.append(threading.current_thread() is not threading.main_thread())

    with closing(read_ahead(numbers(), size=2)) as items:
        assert next(items) == 0
    assert closed == [True]


def test_work_is_done_in_order_by_the_end_of_the_block():
    done = []
    with work_behind(lambda item: (time.sleep(0.001), done.append(item)), size=2) as hand_over:
        for i in range(20):
            hand_over(i)
            assert len(done) >= i - 3  # two in the queue, one at work
    assert done == list(range(20))


@pytest.mark.parametrize("items", [3, 40])
def test_an_error_of_the_work_is_raised_and_later_items_are_left_out(items):
    done = []

    def work(item):
        if item == 2:
            raise OSError("disk full")
        done.append(item)

    def block():
        with work_behind(work, size=1) as hand_over:
            for i in range(items):
                hand_over(i)

    with pytest.raises(OSError, match="disk full"):
        block()
    assert done == [0, 1]


def test_an_error_of_the_block_ends_the_work_after_its_item():
    started, go_on, done = threading.Event(), threading.Event(), []

    def work(item):
        started.set()
        go_on.wait(5)
        done.append(item)

    def block():
        with work_behind(work, size=10) as hand_over:
            for i in range(5):
                hand_over(i)
            started.wait(5)
            threading.Timer(0.02, go_on.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done == [0]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def drive(tmp_path):
    rng = np.random.default_rng(0)
    with open_video(tmp_path / "drive.mp4", fps=8.0) as video:
        for _ in range(23):
            video.write(np.kron(rng.integers(0, 255, (6, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8)))
    return find_sources(tmp_path / "drive.mp4")


def predict(model, drive, out, **settings):
    folder = PredictionFolder(out, {})
    outcome = predict_sources(Predictor(*model, device="cpu", **settings), drive, folder, progress=False)
    return folder, outcome


def test_files_are_those_of_one_stage_after_the_other(model, drive, tmp_path, monkeypatch):
    folder, _ = predict(model, drive, tmp_path / "stages", batch_size=5)

    @contextmanager
    def work_at_once(work, *, size):
        yield work

    monkeypatch.setattr(video_job, "read_ahead", lambda items, *, size: (item for item in items))
    monkeypatch.setattr(video_job, "work_behind", work_at_once)
    plain, _ = predict(model, drive, tmp_path / "plain", batch_size=5)
    for path_of in ("frames_path", "overlay_path"):
        assert getattr(folder, path_of)(drive[0]).read_bytes() == getattr(plain, path_of)(drive[0]).read_bytes()
    assert folder.read_record(drive[0]) == plain.read_record(drive[0])


@pytest.mark.parametrize(("kind", "name"), [(SemanticModel, "begin_labels"), (SemanticModel, "_make_labels"), (VideoWriter, "write")])
def test_an_error_in_a_later_stage_leaves_no_half_file(kind, name, model, drive, tmp_path, monkeypatch):
    calls = []

    def fail(self, *args):
        calls.append(args)
        if len(calls) == 6:
            raise VideoError("this is the end")
        return before(self, *args)

    before = getattr(kind, name)
    monkeypatch.setattr(kind, name, fail)
    folder, outcome = predict(model, drive, tmp_path / "out")
    assert (outcome.done, list(outcome.failed.values())) == (0, ["this is the end"])
    assert len(calls) == 6
    assert not folder.frames_path(drive[0]).exists()
    assert not folder.overlay_path(drive[0]).exists()
    assert {path.suffix for path in (tmp_path / "out").rglob("*drive*") if path.is_file()} == {".json"}  # the record of the failure
