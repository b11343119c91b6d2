"""Videos frame by frame: a reader that notices when a file is cut off, and a writer whose file appears whole or not at all."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from mmstreet.files.atomic import atomic_path

_DEFAULT_FPS = 25.0


class VideoError(ValueError):
    """A video that cannot be used, or not to its end; the message names file and reason."""


class VideoCutOff(VideoError):
    """A video that ends before its announced end."""


class VideoReader:
    """The frames of a video.

    Args:
        path: A file that OpenCV's ffmpeg can decode.
        orientation: ``'exif'`` turns the frames as the file's rotation tag says, ``'stored'`` leaves them as they are.

    Attributes:
        fps: Frames per second; 25 where the file does not say.
        count: Frames that the file announces; 0 where it does not say.

    Raises:
        VideoError: If the file is no video, or holds no frame.
    """

    def __init__(self, path: str | Path, *, orientation: str = "stored") -> None:
        self.path = Path(path)
        self._capture = cv2.VideoCapture(str(path))
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, float(orientation == "exif"))
        if not self._capture.isOpened():
            self._capture.release()
            raise VideoError(f"video '{path}' cannot be opened ({self.path.stat().st_size} bytes); it is damaged or its codec is unknown")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = float(fps) if np.isfinite(fps) and 0 < fps <= 1000 else _DEFAULT_FPS
        self.count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        done, self._first = self._capture.read()
        if not done:
            self._capture.release()
            raise VideoError(f"video '{path}' holds no frame that can be decoded ({self.count} are announced)")

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the frames."""
        return self._first.shape[:2]

    def __iter__(self) -> Iterator[np.ndarray]:
        """Give the frames once, RGB uint8 ``[H, W, 3]``.

        Raises:
            VideoCutOff: At the end, if fewer frames came than the file announces by more than one in a hundred and more than one: then it
                is cut off.
        """
        frame, done, number = self._first, True, 0
        try:
            while done:
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                number += 1
                done, frame = self._capture.read()
        finally:
            self._capture.release()
        if self.count - number > max(1, self.count // 100):  # containers without an index announce an estimate
            raise VideoCutOff(f"video '{self.path}' is cut off: {number} of {self.count} frames can be read")


class CameraReader:
    """The pictures of a camera, as a :class:`VideoReader` gives the frames of a file.

    Args:
        number: Number of the camera, 0 for the first.
        seconds: How long to look; ``None`` until an interrupt or until the camera gives no more.

    Raises:
        VideoError: If there is no such camera, or it gives no picture.
    """

    count = 0

    def __init__(self, number: int, *, seconds: float | None = None) -> None:
        self.seconds = seconds
        self._capture = cv2.VideoCapture(number)
        done, self._first = self._capture.read() if self._capture.isOpened() else (False, None)
        if not done:
            self._capture.release()
            raise VideoError(f"camera {number} cannot be opened or gives no picture; is it plugged in, and does no other program use it?")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = float(fps) if np.isfinite(fps) and 0 < fps <= 1000 else _DEFAULT_FPS

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        return self._first.shape[:2]

    def __iter__(self) -> Iterator[np.ndarray]:
        """Give the pictures, RGB uint8 ``[H, W, 3]``, as fast as they are taken."""
        start, frame, done = time.monotonic(), self._first, True
        try:
            while done and (self.seconds is None or time.monotonic() - start < self.seconds):
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                done, frame = self._capture.read()
        finally:
            self._capture.release()


class VideoWriter:
    """Writes RGB frames, uint8 ``[H, W, 3]``, of one size; the size is that of the first frame, made even for the codec."""

    def __init__(self, path: Path, fps: float) -> None:
        self.path, self.fps = path, fps
        self.count = 0
        self._writer: cv2.VideoWriter | None = None

    def write(self, frame: np.ndarray) -> None:
        """Add a frame.

        Raises:
            VideoError: If OpenCV cannot write this kind of file.
        """
        frame = frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]
        if self._writer is None:
            self._writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter_fourcc(*"mp4v"), self.fps, frame.shape[1::-1])
            if not self._writer.isOpened():
                raise VideoError(f"OpenCV cannot write '{self.path}'; its build has no MPEG-4 encoder: install opencv-python from PyPI")
        self._writer.write(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2BGR))
        self.count += 1

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()

    def check(self) -> None:
        """Look whether the file holds every frame, for OpenCV says nothing when it cannot write.

        Raises:
            OSError: If it does not.
        """
        capture = cv2.VideoCapture(str(self.path)) if self.count else None
        found = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture is not None and capture.isOpened() else 0
        if found != self.count:
            raise OSError(errno.ENOSPC, f"the video has {found} of {self.count} frames")


@contextmanager
def open_video(path: str | Path, *, fps: float) -> Iterator[VideoWriter]:
    """Give a writer for an MP4 file, which takes its name when the block ends well.

    Args:
        path: The file, ``.mp4``.
        fps: Frames per second.

    Raises:
        OSError: If the disk is full.
    """
    with atomic_path(path) as temporary:
        writer = VideoWriter(temporary, fps)
        try:
            yield writer
        finally:
            writer.close()
        writer.check()
