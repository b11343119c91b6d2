"""Predicting many files: read ahead, predict in batches, write behind; what fails is recorded and the rest goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from mmstreet.files.images import as_rgb
from mmstreet.predict.folder import PredictionFolder
from mmstreet.predict.predictor import Predictor
from mmstreet.predict.result import Result
from mmstreet.predict.sources import Source
from mmstreet.predict.video_job import MakeStrip, predict_video
from mmstreet.safety.analyzer import RoadSafetyAnalyzer

_THREADS = 4
_BACKLOG = 16
_PROBLEMS = (ValueError, OSError, RuntimeError)
"""What a file can do: not be read, not fit an exported size, be too small for a network, not fit into memory."""


@dataclass
class Outcome:
    """What became of the sources: how many were done, and the reason of each failure by source."""

    done: int = 0
    failed: dict[Source, str] = field(default_factory=dict)


def predict_sources(
    predictor: Predictor,
    sources: Sequence[Source],
    folder: PredictionFolder,
    *,
    analyzer: RoadSafetyAnalyzer | None = None,
    make_strip: MakeStrip | None = None,
    progress: bool = True,
) -> Outcome:
    """Predict images and videos into a folder.

    Args:
        predictor: The model.
        sources: What to predict; finished ones are not looked for here, see :meth:`~mmstreet.predict.folder.PredictionFolder.start`.
        folder: Where the results go.
        analyzer: Scores the road safety of each image and frame.
        make_strip: Draws the score under the frames of a video; see :func:`~mmstreet.predict.video_job.predict_video`.
        progress: Show bars with the time left.

    Returns:
        What was done and what failed. A failure is also in the record of its source.
    """
    outcome = Outcome()

    def fail(source: Source, error: Exception) -> None:
        outcome.failed[source] = _say(error)
        folder.write_record(source, {"error": outcome.failed[source]})

    images = [source for source in sources if not source.is_video]
    if images:
        with tqdm(total=len(images), desc="images", unit="img", disable=not progress) as bar:
            _predict_images(predictor, images, folder, analyzer, outcome, fail, bar)
    for source in (source for source in sources if source.is_video):
        try:
            cut_off = predict_video(predictor, source, folder, analyzer=analyzer, make_strip=make_strip, progress=progress)
        except _PROBLEMS as error:
            fail(source, error)
            continue
        if cut_off:
            outcome.failed[source] = cut_off
        else:
            outcome.done += 1
    return outcome


def _predict_images(
    predictor: Predictor,
    sources: Sequence[Source],
    folder: PredictionFolder,
    analyzer: RoadSafetyAnalyzer | None,
    outcome: Outcome,
    fail: Callable[[Source, Exception], None],
    bar: tqdm,
) -> None:
    def write(source: Source, image: np.ndarray, result: Result) -> None:
        folder.write_image(source, image, result, **({"safety": analyzer(result.labels, result.instances).to_dict()} if analyzer else {}))

    with ThreadPoolExecutor(_THREADS) as pool:
        written: deque[Future] = deque()
        batch: list[tuple[Source, np.ndarray]] = []
        for number, (source, image) in enumerate(_read_ahead(pool, sources, 2 * predictor.batch_size + 1), 1):
            if isinstance(image, Exception):
                fail(source, image)
                bar.update()
            else:
                batch.append((source, image))
            if batch and (len(batch) == predictor.batch_size or number == len(sources)):
                for item, result in _predict_batch(predictor, batch):
                    if isinstance(result, Exception):
                        fail(item[0], result)
                    else:
                        written.append(pool.submit(write, *item, result))
                        outcome.done += 1
                    bar.update()
                batch = []
            while len(written) > _BACKLOG:
                written.popleft().result()
        for future in written:
            future.result()


def _read_ahead(pool: ThreadPoolExecutor, sources: Sequence[Source], depth: int) -> Iterator[tuple[Source, np.ndarray | Exception]]:
    """Give each source with its image, or with what went wrong, in order; up to ``depth`` images are read beforehand."""
    waiting: deque[tuple[Source, Future]] = deque()
    rest = iter(sources)
    while True:
        while len(waiting) < depth and (source := next(rest, None)) is not None:
            waiting.append((source, pool.submit(as_rgb, source.path)))
        if not waiting:
            return
        source, future = waiting.popleft()
        error = future.exception()
        if error is not None and not isinstance(error, _PROBLEMS):
            raise error
        yield source, future.result() if error is None else error


def _predict_batch(
    predictor: Predictor, batch: Sequence[tuple[Source, np.ndarray]]
) -> list[tuple[tuple[Source, np.ndarray], Result | Exception]]:
    """Predict a batch; if it cannot be, its images one by one, so that one cannot spoil the others."""
    try:
        return list(zip(batch, predictor.predict_batch([image for _, image in batch])))
    except _PROBLEMS as error:
        if len(batch) == 1:
            return [(batch[0], error)]
        return [pair for item in batch for pair in _predict_batch(predictor, [item])]


def _say(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}"
