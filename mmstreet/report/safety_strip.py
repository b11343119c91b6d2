"""The road-safety score over time, under the frames of a video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

LEVEL_COLORS = {"LOW": "#2e8b57", "MODERATE": "#d9a514", "HIGH": "#d9661f", "CRITICAL": "#b3202c", "UNKNOWN": "#808080"}
"""Colour of each risk level."""

_FRAME_WIDTH_PX = 1280
_DPI = 100


class SafetyStrip:
    """Renders the score so far under each frame of a video; the axes are rendered once, so a frame takes milliseconds.

    Args:
        frame_hw: Height and width of the frames.
        duration_s: Length of the video in seconds: the end of the time axis.
        thresholds: Lowest scores of LOW, MODERATE and HIGH risk.
        width_px: Width of the picture; frames are resized to it by their nearest pixels. An even number, for video codecs want one.

    Raises:
        ValueError: If the duration is not positive.
    """

    def __init__(
        self,
        *,
        frame_hw: tuple[int, int],
        duration_s: float,
        thresholds: Sequence[float] = (75.0, 55.0, 35.0),
        width_px: int = _FRAME_WIDTH_PX,
    ) -> None:
        if not duration_s > 0:
            raise ValueError(f"duration_s must be positive, got {duration_s}")
        self.width = width_px
        self.height = 2 * round(width_px * frame_hw[0] / frame_hw[1] / 2)
        self.strip_height = 2 * round(width_px / 12)
        self.figure = Figure(figsize=(width_px / _DPI, self.strip_height / _DPI), dpi=_DPI)
        self.canvas = FigureCanvasAgg(self.figure)
        scale = width_px / _FRAME_WIDTH_PX
        self.axes = self.figure.add_axes((0.045, 0.22, 0.8, 0.7))
        edges = (100, *thresholds, 0)
        for level, top, bottom in zip(("LOW", "MODERATE", "HIGH", "CRITICAL"), edges, edges[1:]):
            self.axes.axhspan(bottom, top, color=LEVEL_COLORS[level], alpha=0.16, linewidth=0)
        self.axes.set_xlim(0, duration_s)
        self.axes.set_ylim(0, 100)
        self.axes.set_yticks([0, *sorted(thresholds), 100])
        self.axes.tick_params(labelsize=9 * scale, length=2)
        self.axes.set_xlabel("seconds (grey: each frame, black: filtered)", fontsize=9 * scale, labelpad=1)
        self.canvas.draw()
        self._background = self.canvas.copy_from_bbox(self.figure.bbox)
        (self._raw,) = self.axes.plot([], [], color="#999999", linewidth=scale, animated=True)
        (self._smooth,) = self.axes.plot([], [], color="#222222", linewidth=2.2 * scale, animated=True)
        self._score = self.figure.text(0.925, 0.72, "", fontsize=26 * scale, weight="bold", ha="center", va="center", animated=True)
        self._level = self.figure.text(0.925, 0.42, "", fontsize=14 * scale, weight="bold", ha="center", va="center", animated=True)
        self._worst = self.figure.text(0.925, 0.2, "", fontsize=10 * scale, ha="center", va="center", color="#444444", animated=True)
        self._times: list[float] = []
        self._scores: list[tuple[float, float]] = []

    def __call__(self, frame: np.ndarray, record: Mapping) -> np.ndarray:
        """Return the frame with the score up to now below it.

        Args:
            frame: RGB, uint8 ``[h, w, 3]``.
            record: ``time_s``, ``score``, ``smoothed``, ``level`` and ``worst`` of this frame, as in a line of the JSONL file.

        Returns:
            RGB, uint8 ``[height + strip_height, width, 3]``.
        """
        smoothed = record["smoothed"]
        self._times.append(record["time_s"])
        self._scores.append(tuple(np.nan if value is None else value for value in (record["score"], smoothed)))
        color = LEVEL_COLORS[record["level"]]
        self._raw.set_data(self._times, [raw for raw, _ in self._scores])
        self._smooth.set_data(self._times, [smooth for _, smooth in self._scores])
        self._score.set(text="n/a" if smoothed is None else f"{smoothed:.0f}", color=color)
        self._level.set(text=record["level"], color=color)
        self._worst.set_text(f"mostly {record['worst'].replace('_', ' ')}" if record["worst"] else "")
        self.canvas.restore_region(self._background)
        for artist in (self._raw, self._smooth):
            self.axes.draw_artist(artist)
        for artist in (self._score, self._level, self._worst):
            self.figure.draw_artist(artist)
        strip = np.asarray(self.canvas.buffer_rgba())[..., :3]
        if frame.shape[:2] != (self.height, self.width):
            rows = np.arange(self.height) * frame.shape[0] // self.height
            columns = np.arange(self.width) * frame.shape[1] // self.width
            frame = frame.take(rows, axis=0).take(columns, axis=1)
        return np.concatenate([frame, strip])
