"""Predicting many files: read ahead, predict in batches, write behind; what fails is recorded and the rest goes on."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mmstreet.predict.folder import PredictionFolder
from mmstreet.predict.predictor import Predictor
from mmstreet.predict.result import Result
from mmstreet.predict.sources import Source
from mmstreet.predict.video_job import MakeStrip, predict_video
from mmstreet.safety.analyzer import RoadSafetyAnalyzer

Item = tuple[Source, np.ndarray]
Tell = Callable[[Source, Result, float], None]
"""Takes an image's source, its result, and the milliseconds that the network and what follows it took."""
_THREADS = 4
_BACKLOG = 16


@dataclass
class Outcome:
    """What became of the sources: how many were done, the reason of each failure by source, milliseconds of the predicted images."""

    done: int = 0
    ms: float = 0.0
    failed: dict[Source, str] = field(default_factory=dict)

    def fail(self, source: Source, error: Exception, folder: PredictionFolder) -> None:
        """Note a failure, also in the record of its source if that can be written."""
        self.failed[source] = say_error(error)
        with contextlib.suppress(OSError):  # a full disk stops no other file from being tried, nor the report at the end
            folder.write_record(source, {"error": self.failed[source]})


def predict_sources(
    predictor: Predictor,
    sources: Sequence[Source],
    folder: PredictionFolder,
    *,
    analyzer: RoadSafetyAnalyzer | None = None,
    make_strip: MakeStrip | None = None,
    batch_ends: int = 0,
    progress: bool = True,
    tell: Tell | None = None,
    seconds: float | None = None,
) -> Outcome:
    """Predict images and videos into a folder.

    Args:
        predictor: The model.
        sources: What to predict; finished ones are not looked for here, see :meth:`~mmstreet.predict.folder.PredictionFolder.choose`.
        folder: Where the results go.
        analyzer: Scores the road safety of each image and frame.
        make_strip: Draws the score under the frames of a video; see :func:`~mmstreet.predict.video_job.predict_video`.
        batch_ends: After each such number of images a batch ends, full or not, so that batches are the same for any number of processes.
        progress: Show bars with the time left.
        tell: Called with every image that is predicted, in order.
        seconds: How long to look through a camera; default: until an interrupt.

    Returns:
        What was done and what failed. A failure is also in the record of its source.
    """
    outcome = Outcome()
    images = [source for source in sources if not source.is_video]
    if images:
        with tqdm(total=len(images), desc="images", unit="img", disable=None if progress else True) as bar:
            _predict_images(predictor, images, folder, analyzer, outcome, bar, tell, batch_ends or len(images))
    for source in (source for source in sources if source.is_video):
        try:
            cut_off = predict_video(predictor, source, folder, analyzer=analyzer, make_strip=make_strip, progress=progress, seconds=seconds)
        except Exception as error:  # whatever is wrong with one file, the rest goes on
            outcome.fail(source, error, folder)
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
    bar: tqdm,
    tell: Tell | None,
    batch_ends: int,
) -> None:
    def write(source: Source, image: np.ndarray, result: Result) -> None:
        folder.write_image(source, image, result, **({"safety": analyzer(result.labels, result.instances).to_dict()} if analyzer else {}))

    with ThreadPoolExecutor(_THREADS) as pool:
        written: deque[tuple[Source, Future]] = deque()

        def finish() -> None:
            source, future = written.popleft()
            if (error := future.exception()) is None:
                outcome.done += 1
            elif isinstance(error, Exception):
                outcome.fail(source, error, folder)
            else:
                raise error

        def settle() -> None:
            batch = begun.popleft()
            for item, result in batch.results():
                if isinstance(result, Exception):
                    outcome.fail(item[0], result, folder)
                else:
                    written.append((item[0], pool.submit(write, *item, result)))
                    outcome.ms += batch.ms
                    if tell is not None:
                        tell(item[0], result, batch.ms)
                bar.update()

        begun: deque[_Batch] = deque()
        items: list[Item] = []
        for number, (source, image) in enumerate(_read_ahead(pool, predictor.read, sources, 2 * predictor.batch_size + 1), 1):
            if isinstance(image, Exception):
                outcome.fail(source, image, folder)
                bar.update()
            else:
                items.append((source, image))
            if items and (len(items) == predictor.batch_size or number == len(sources) or number % batch_ends == 0):
                begun.append(_Batch(predictor, items))
                items = []
            while len(begun) > (predictor.ahead if number < len(sources) else 0):
                settle()
            while len(written) > _BACKLOG:
                finish()
        while written:
            finish()


class _Batch:
    """A batch of images that has been begun. If it cannot be predicted, its images are one by one, so that one cannot spoil the others.

    Attributes:
        ms: Milliseconds that each image took in beginning and in waiting for the results; known after :meth:`results`.
    """

    def __init__(self, predictor: Predictor, items: Sequence[Item]) -> None:
        self._predictor, self._items, self._error = predictor, items, None
        start = time.perf_counter()
        try:
            self._read = predictor.begin_batch([image for _, image in items])
        except Exception as error:  # too small for a network, not of an exported size, more than the memory holds …
            self._error = error
        self.ms = 1000 * (time.perf_counter() - start) / len(items)

    def results(self) -> list[tuple[Item, Result | Exception]]:
        """Return each image with its result, or with what went wrong."""
        start = time.perf_counter()
        pairs = self._pairs()
        self.ms += 1000 * (time.perf_counter() - start) / len(self._items)
        return pairs

    def _pairs(self) -> list[tuple[Item, Result | Exception]]:
        if self._error is None:
            try:
                return list(zip(self._items, self._read()))
            except Exception as error:  # what a GPU could not do is known when it is waited for
                self._error = error
        if len(self._items) == 1:
            return [(self._items[0], self._error)]
        return [pair for item in self._items for pair in _Batch(self._predictor, [item])._pairs()]


def _read_ahead(
    pool: ThreadPoolExecutor, read: Callable[[Path], np.ndarray], sources: Sequence[Source], depth: int
) -> Iterator[tuple[Source, np.ndarray | Exception]]:
    """Give each source with its image, or with what went wrong, in order; up to ``depth`` images are read beforehand."""
    waiting: deque[tuple[Source, Future]] = deque()
    rest = iter(sources)
    while True:
        while len(waiting) < depth and (source := next(rest, None)) is not None:
            waiting.append((source, pool.submit(read, source.path)))
        if not waiting:
            return
        source, future = waiting.popleft()
        error = future.exception()
        if error is not None and not isinstance(error, Exception):
            raise error
        yield source, future.result() if error is None else error


def say_error(error: Exception) -> str:
    """Return the first line of an error; its type too, where the text alone might not be a sentence."""
    text = str(error).strip().partition("\n")[0]
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{error.strerror}: '{error.filename}'"
    return text if isinstance(error, ValueError | OSError | ImportError) and text else f"{type(error).__name__}: {text}"
