"""Predicting one video: label maps, numbers of every frame as JSON lines, and the overlay as a video.

Three stages run beside each other: reading, the network, and writing with label maps and all that is drawn.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from zipfile import ZipFile

import numpy as np
from tqdm import tqdm

from mmstreet.files.atomic import atomic_path
from mmstreet.files.legend import render_legend
from mmstreet.files.pictures import encode_label_map
from mmstreet.predict.folder import PredictionFolder
from mmstreet.predict.predictor import Predictor
from mmstreet.predict.result import Result
from mmstreet.predict.sources import Source
from mmstreet.predict.stages import read_ahead, work_behind
from mmstreet.predict.video import CameraReader, VideoCutOff, VideoReader, open_video
from mmstreet.safety.analyzer import RoadSafetyAnalyzer
from mmstreet.safety.temporal import SafetyFilter

_AHEAD = 16
"""Frames that are read before the network is ready for them. After it one batch waits, whose scores take four bytes per class and pixel."""

MakeStrip = Callable[..., Callable[[np.ndarray, Mapping], np.ndarray]]
"""Takes ``frame_hw``, ``duration_s`` and ``thresholds``; gives a function from a frame and its record to the frame with the score below."""
Begun = tuple[Sequence[np.ndarray], Callable[[], Sequence[Result]]]
"""The frames of a batch that went through the network, and the function that makes their results."""


def predict_video(
    predictor: Predictor,
    source: Source,
    folder: PredictionFolder,
    *,
    analyzer: RoadSafetyAnalyzer | None = None,
    make_strip: MakeStrip | None = None,
    progress: bool = True,
    seconds: float | None = None,
) -> str | None:
    """Predict a video into a folder.

    Args:
        predictor: The model; frames go through it ``batch_size`` at a time, in order.
        source: The video.
        folder: Where the results go.
        analyzer: Scores each frame; the score is filtered over time.
        make_strip: With an analyser: makes the function that renders the score under the frames.
        progress: Show a bar with the time left.
        seconds: How long to look through a camera; default: until an interrupt.

    Returns:
        ``None``, or what was wrong if the video is cut off. What could be read is then predicted and kept, and the record says so.

    Raises:
        VideoError: If the file is no video or holds no frame.
    """
    if source.camera is None:
        reader = VideoReader(source.path, orientation=predictor.orientation)
    else:
        reader = CameraReader(source.camera, seconds=seconds)
    smooth = strip = legend = archive = None
    if folder.legend:
        legend = render_legend(dict(zip(predictor.classes, predictor.palette.tolist())), width_px=reader.size_hw[1])
    if analyzer is not None:
        smooth = SafetyFilter(thresholds=analyzer.settings.thresholds)
    if analyzer is not None and make_strip is not None:
        frame_hw = reader.size_hw[0] + (0 if legend is None else len(legend)), reader.size_hw[1]
        duration_s = max(reader.count, 1) / reader.fps
        strip = make_strip(frame_hw=frame_hw, duration_s=duration_s, thresholds=analyzer.settings.thresholds)
    pixels, levels, scores, cut_off = np.zeros(len(predictor.classes), np.int64), Counter(), [], None
    row: dict = {}
    handed = count = 0
    folder.start_video(source)
    with ExitStack() as stack:
        lines = stack.enter_context(open(stack.enter_context(atomic_path(folder.frames_path(source))), "w"))
        video = stack.enter_context(open_video(folder.overlay_path(source), fps=reader.fps)) if folder.overlays else None
        if folder.labels:
            archive = stack.enter_context(ZipFile(stack.enter_context(atomic_path(folder.label_path(source))), "w", allowZip64=True))
        bar = stack.enter_context(tqdm(total=reader.count or None, desc=source.name, unit="frame", disable=None if progress else True))

        def write_batch(begun: Begun) -> None:
            frames, results = begun
            for frame, result in zip(frames, results()):
                write(frame, result)

        def write(frame: np.ndarray, result: Result) -> None:
            nonlocal count, row
            row = {"frame": count, "time_s": count / reader.fps, "shares": result.shares}
            if analyzer is not None:
                record = smooth.update(analyzer(result.labels, result.instances), count / reader.fps)
                row |= asdict(record)
                levels[record.level] += 1
                scores.extend([record.smoothed] if record.smoothed is not None else [])
            lines.write(json.dumps(row, allow_nan=False) + "\n")
            if archive is not None:
                archive.writestr(f"{count:06d}.png", encode_label_map(result.labels, result.palette, fast=True))
            if video is not None:
                overlay = result.render_overlay(frame, opacity=folder.opacity)
                overlay = overlay if legend is None else np.vstack([overlay, legend])
                video.write(overlay if strip is None else strip(overlay, row))
            pixels[:] += result.pixels
            count += 1
            bar.update()

        size = _AHEAD if source.camera is None else 1  # what a camera shows should be new
        frames = stack.enter_context(closing(read_ahead(reader, size=size)))
        hand_over = stack.enter_context(work_behind(write_batch, size=1))
        try:
            for begun in _begin_batches(predictor, frames):
                hand_over(begun)
                handed += 1
        except VideoCutOff as error:
            cut_off = str(error)
        except KeyboardInterrupt:
            if source.camera is None or not handed:
                raise
    shares = 100 * pixels / (count * reader.size_hw[0] * reader.size_hw[1])
    summary: dict = {
        "size_hw": list(reader.size_hw),
        "frames": count,
        "fps": reader.fps,
        "shares": dict(zip(predictor.classes, shares.tolist())),
    }
    if analyzer is not None:
        mean = sum(scores) / len(scores) if scores else None
        summary["safety"] = {"score": mean, "lowest": min(scores, default=None), "seconds": {k: n / reader.fps for k, n in levels.items()}}
        if mean is None:
            summary["safety"]["explanation"] = f"Unknown: {next(iter(row['reasons'].values()))}."
    folder.write_record(source, summary | ({"error": cut_off} if cut_off else {}))
    return cut_off


def _begin_batches(predictor: Predictor, frames: Iterable[np.ndarray]) -> Iterator[Begun]:
    """Give the frames batch by batch, each with the function that makes its results; a video that is cut off raises after the last."""
    rest, cut_off, batch = iter(frames), None, []
    while True:
        try:
            frame = next(rest, None)
        except VideoCutOff as error:
            frame, cut_off = None, error
        if frame is not None:
            batch.append(frame)
        if batch and (frame is None or len(batch) == predictor.batch_size):
            yield batch, predictor.begin_batch(batch)
            batch = []
        if frame is None:
            break
    if cut_off is not None:
        raise cut_off
