"""Videos: what is read is what was written, and an end before the end is noticed."""

import json
import threading
import time
from zipfile import ZipFile

import cv2
import numpy as np
import pytest

from mmstreet.predict import Predictor
from mmstreet.predict.folder import PredictionFolder
from mmstreet.predict.job import predict_sources
from mmstreet.predict.sources import find_sources
from mmstreet.predict.video import VideoCutOff, VideoError, VideoReader, open_video
from mmstreet.report.safety_strip import SafetyStrip
from mmstreet.safety.analyzer import RoadSafetyAnalyzer
from tests.helpers.color_model import read_ids, write_model

COLORS = np.array([[230, 20, 20], [20, 230, 20], [20, 20, 230]], np.uint8)


def write_video(path, count=12, size_hw=(48, 64), fps=8.0):
    with open_video(path, fps=fps) as video:
        for i in range(count):
            video.write(np.broadcast_to(COLORS[i % 3], (*size_hw, 3)))
    return path


def cut(path, share=0.6):
    """Cut the tail off an AVI, whose index stands at its end and is not needed."""
    frames = [np.random.default_rng(i).integers(0, 255, (48, 64, 3), dtype=np.uint8) for i in range(30)]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for frame in frames:
        writer.write(frame)
    writer.release()
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def test_frames_come_back_in_order(tmp_path):
    reader = VideoReader(write_video(tmp_path / "a.mp4"))
    assert (reader.fps, reader.count, reader.size_hw) == (8.0, 12, (48, 64))
    found = np.array([frame.reshape(-1, 3).mean(0) for frame in reader])
    np.testing.assert_allclose(found, COLORS[np.arange(12) % 3], atol=12)  # lossy


def test_odd_sizes_lose_their_last_row_and_column_only(tmp_path):
    assert VideoReader(write_video(tmp_path / "a.mp4", size_hw=(49, 65))).size_hw == (48, 64)


@pytest.mark.parametrize("content", [b"", b"no video at all", b"\x00" * 5000])
def test_what_is_no_video_is_said(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(VideoError, match=r"a\.mp4' cannot be opened"):
        VideoReader(tmp_path / "a.mp4")


def test_a_video_without_frames_is_said(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    writer.release()
    with pytest.raises(VideoError, match=r"a\.avi' (holds no frame|cannot be opened)"):
        VideoReader(tmp_path / "a.avi")


def test_a_cut_off_video_gives_what_it_has_and_then_says_so(tmp_path):
    frames, source = [], VideoReader(cut(tmp_path / "a.avi"))
    with pytest.raises(VideoCutOff, match=r"is cut off: \d+ of 30 frames can be read"):
        frames.extend(source)
    assert 5 < len(frames) < 30


def test_a_writer_that_fails_leaves_no_file(tmp_path):
    def stop():
        with open_video(tmp_path / "a.mp4", fps=5) as video:
            video.write(np.zeros((32, 32, 3), np.uint8))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stop()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("batch_size", [1, 5])
def test_every_frame_is_predicted_once_in_order(model, tmp_path, batch_size):
    source = find_sources(write_video(tmp_path / "drive.mp4"))
    folder = PredictionFolder(tmp_path / "out", {})
    outcome = predict_sources(Predictor(*model, device="cpu", batch_size=batch_size), source, folder, progress=False)
    assert (outcome.done, outcome.failed) == (1, {})
    rows = [json.loads(line) for line in folder.frames_path(source[0]).read_text().splitlines()]
    assert [row["frame"] for row in rows] == list(range(12))
    assert [row["time_s"] for row in rows] == pytest.approx([i / 8 for i in range(12)])
    assert [max(row["shares"], key=row["shares"].get).split()[0] for row in rows] == ["red", "green", "blue"] * 4
    with ZipFile(folder.label_path(source[0])) as archive:
        assert archive.namelist() == [f"{i:06d}.png" for i in range(12)]
        labels = [read_ids(archive.open(name)) for name in archive.namelist()]
    assert [int(np.median(x)) for x in labels] == [0, 1, 2] * 4
    record = folder.read_record(source[0])
    assert (record["frames"], record["fps"], record["size_hw"]) == (12, 8.0, [48, 64])
    assert sum(record["shares"].values()) == pytest.approx(100)
    overlay = VideoReader(folder.overlay_path(source[0]))
    assert (overlay.count, overlay.size_hw) == (12, (48, 64))
    assert folder.choose(source) == []


def test_label_maps_are_made_by_the_thread_that_writes_and_the_network_does_not_run_far_ahead(model, tmp_path, monkeypatch):
    source = find_sources(write_video(tmp_path / "drive.mp4", count=40))
    predictor = Predictor(*model, device="cpu", batch_size=2)
    begin, begun, made, farthest = predictor.model.begin_labels, [], [], []

    def watch(images):
        labels = begin(images)
        begun.append(threading.get_ident())

        def make():
            farthest.append(len(begun) - len(made))
            made.append(threading.get_ident())
            time.sleep(0.02)
            return labels()

        return make

    monkeypatch.setattr(predictor.model, "begin_labels", watch)
    folder = PredictionFolder(tmp_path / "out", {})
    assert predict_sources(predictor, source, folder, progress=False).done == 1
    assert (len(begun), len(made)) == (20, 20)
    assert set(begun) == {threading.get_ident()}
    assert len(set(made)) == 1
    assert set(made).isdisjoint(begun)
    assert 1 < max(farthest) <= 3  # one batch is being made, one waits, and one is handed over


def test_the_safety_of_a_video_is_filtered_and_plotted_below_it(model, tmp_path):
    source = find_sources(write_video(tmp_path / "drive.mp4", count=6))
    folder = PredictionFolder(tmp_path / "out", {})
    roles = {"red thing": "road", "green thing": "person", "blue thing": "sky"}
    analyzer = RoadSafetyAnalyzer(classes=list(roles), roles=roles)
    predict_sources(Predictor(*model, device="cpu"), source, folder, analyzer=analyzer, make_strip=SafetyStrip, progress=False)
    rows = [json.loads(line) for line in folder.frames_path(source[0]).read_text().splitlines()]
    assert rows[0]["score"] == pytest.approx(100, abs=1)  # nothing but road
    assert rows[1]["score"] < 60  # nothing but people
    assert rows[1]["score"] < rows[1]["smoothed"] < rows[0]["smoothed"]
    overlay = VideoReader(folder.overlay_path(source[0]))
    assert overlay.size_hw[0] > overlay.size_hw[1] * 48 / 64 + 50
    record = folder.read_record(source[0])["safety"]
    assert sum(record["seconds"].values()) == pytest.approx(6 / 8)
    assert record["score"] == pytest.approx(np.mean([row["smoothed"] for row in rows if row["smoothed"] is not None]))


def test_a_cut_off_video_is_predicted_as_far_as_it_goes_and_counts_as_failed(model, tmp_path):
    source = find_sources(cut(tmp_path / "a.avi"))
    folder = PredictionFolder(tmp_path / "out", {})
    outcome = predict_sources(Predictor(*model, device="cpu", batch_size=4), source, folder, progress=False)
    assert outcome.done == 0
    assert "is cut off" in outcome.failed[source[0]]
    record = folder.read_record(source[0])
    assert 5 < record["frames"] < 30
    assert len(folder.frames_path(source[0]).read_text().splitlines()) == record["frames"]
    assert folder.choose(source) == source  # another copy of the file would be predicted
