"""The score over time: a causal filter, a level that does not flicker, and one JSON line per frame."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TextIO

from mmstreet.safety.score import LEVELS, UNKNOWN, SafetyScore, level_of


@dataclass(frozen=True)
class FrameRecord:
    """One frame of a video.

    Attributes:
        frame: Number of the frame, from 0.
        time_s: Time of the frame in seconds.
        score: Score of this frame alone; ``None`` when unknown.
        smoothed: Filtered score; ``None`` before the first known frame and after a long gap.
        level: Level of the filtered score, with hysteresis.
        components: The five parts of this frame.
        costs: Points that each part costs in this frame.
        reasons: Why a part is not known.
        worst: The part that cost most in this frame.
    """

    frame: int
    time_s: float
    score: float | None
    smoothed: float | None
    level: str
    components: dict[str, float | None]
    costs: dict[str, float]
    reasons: dict[str, str]
    worst: str | None


class SafetyFilter:
    """Follows the score of a video frame by frame; what it says of a frame depends on that frame and earlier ones only.

    The filtered score moves towards each new score by ``1 - exp(-dt / tau)``. It falls with a short time constant and recovers with a long
    one, for danger should show soon and trust should come back slowly. The level worsens as soon as the filtered score is below
    a threshold, and improves only when it is ``margin`` points above, so noise of less than ``margin`` around a threshold changes it once
    at most.

    Args:
        fall_s: Time constant in seconds while the score falls.
        rise_s: Time constant in seconds while it rises.
        margin: Points above a threshold that an improvement of the level takes.
        max_gap_s: For how long the last filtered score stands in for unknown frames; after that the level is unknown.
        thresholds: Lowest scores of LOW, MODERATE and HIGH risk, as in the settings of the score.

    Raises:
        ValueError: If a time or the margin is negative.
    """

    def __init__(
        self,
        *,
        fall_s: float = 0.3,
        rise_s: float = 1.5,
        margin: float = 5.0,
        max_gap_s: float = 1.0,
        thresholds: tuple[float, float, float] = (75.0, 55.0, 35.0),
    ) -> None:
        if min(fall_s, rise_s, margin, max_gap_s) < 0:
            raise ValueError(f"fall_s, rise_s, margin and max_gap_s must be 0 or more, got {(fall_s, rise_s, margin, max_gap_s)}")
        self.fall_s, self.rise_s = fall_s, rise_s
        self.margin, self.max_gap_s = margin, max_gap_s
        self.thresholds = tuple(thresholds)
        self._frame = -1
        self._time_s: float | None = None
        self._known_s: float | None = None
        self._smoothed: float | None = None
        self._level = UNKNOWN

    def update(self, result: SafetyScore, time_s: float) -> FrameRecord:
        """Take in the next frame.

        Args:
            result: The score of the frame.
            time_s: Its time in seconds, later than the last one.

        Raises:
            ValueError: If the time does not advance.
        """
        if self._time_s is not None and time_s <= self._time_s:
            raise ValueError(f"frames must come in order of time: {time_s} s follows {self._time_s} s")
        self._frame, self._time_s = self._frame + 1, time_s
        if result.score is not None:
            self._smoothed = self._approach(result.score, time_s)
            self._known_s = time_s
            self._level = self._settle()
        elif self._known_s is not None and time_s - self._known_s > self.max_gap_s:
            self._smoothed, self._known_s, self._level = None, None, UNKNOWN
        return FrameRecord(
            self._frame,
            time_s,
            result.score,
            self._smoothed,
            self._level,
            dict(result.components),
            dict(result.costs),
            dict(result.reasons),
            result.worst,
        )

    def follow(self, results: Iterable[SafetyScore], fps: float) -> Iterator[FrameRecord]:
        """Give a record for each frame of a video of constant frame rate, as the frames come.

        Args:
            results: Scores of the frames in order.
            fps: Frames per second.

        Raises:
            ValueError: If ``fps`` is not positive.
        """
        if not fps > 0:
            raise ValueError(f"fps must be positive, got {fps}")
        start = 0.0 if self._time_s is None else self._time_s + 1 / fps
        for i, result in enumerate(results):
            yield self.update(result, start + i / fps)

    def _approach(self, score: float, time_s: float) -> float:
        if self._smoothed is None or self._known_s is None:
            return score
        tau = self.fall_s if score < self._smoothed else self.rise_s
        step = 1 - math.exp(-(time_s - self._known_s) / tau) if tau > 0 else 1.0
        return self._smoothed + step * (score - self._smoothed)

    def _settle(self) -> str:
        now = level_of(self._smoothed, self.thresholds)
        if self._level == UNKNOWN or LEVELS.index(now) >= LEVELS.index(self._level):
            return now
        # Better than before: as good as it is with every threshold raised, yet no worse than it was.
        careful = level_of(self._smoothed, [threshold + self.margin for threshold in self.thresholds])
        return LEVELS[min(LEVELS.index(careful), LEVELS.index(self._level))]


def write_records(records: Iterable[FrameRecord], file: TextIO) -> int:
    """Write one JSON object per line and frame, each flushed when the frame is done, so that a stopped run leaves whole lines.

    Args:
        records: The frames.
        file: Open for writing text.

    Returns:
        Number of frames written.
    """
    count = 0
    for record in records:
        file.write(json.dumps(asdict(record), allow_nan=False) + "\n")
        file.flush()
        count += 1
    return count
