"""Pictures of the road-safety score: the best and worst scenes of a data set, and the score under a video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

LEVEL_COLORS = {"LOW": "#2e8b57", "MODERATE": "#d9a514", "HIGH": "#d9661f", "CRITICAL": "#b3202c", "UNKNOWN": "#808080"}
"""Colour of each risk level."""

_FRAME_WIDTH_PX = 1280
_DPI = 100
_SCENE_INCHES = 4.0


@dataclass(frozen=True)
class Scene:
    """One scored image: RGB uint8 ``[h, w, 3]``, its title, and its score as from ``SafetyScore.to_dict``."""

    image: np.ndarray
    title: str
    safety: Mapping


def plot_scenes(best: Sequence[Scene], worst: Sequence[Scene], path: str | Path) -> Path:
    """Draw the worst scenes in one row and the best in another, each with its level, its score and its five parts as bars.

    Args:
        best: Scenes, the best first.
        worst: Scenes, the worst first.
        path: The PNG.

    Raises:
        ValueError: If there is no scene to draw.
    """
    rows = [(title, scenes) for title, scenes in (("Lowest scores", worst), ("Highest scores", best)) if scenes]
    if not rows:
        raise ValueError("there is no scene to draw; expected at least one")
    columns = max(len(scenes) for _, scenes in rows)
    ratio = max(scene.image.shape[0] / scene.image.shape[1] for _, scenes in rows for scene in scenes)
    heights = [_SCENE_INCHES * ratio + 0.45, 1.15] * len(rows)
    figure = Figure(figsize=(_SCENE_INCHES * columns + 0.4, sum(heights) + 0.3 * len(rows)), dpi=_DPI, layout="constrained")
    for block, (title, scenes) in zip(np.atleast_1d(figure.subfigures(len(rows), 1)), rows):
        block.suptitle(title, fontsize=13, weight="bold", x=0.01, ha="left")
        axes = block.subplots(2, columns, height_ratios=heights[:2], squeeze=False)
        for column in range(columns):
            if column < len(scenes):
                _draw_scene(axes[0, column], scenes[column])
                _draw_parts(axes[1, column], scenes[column].safety["components"], with_names=column == 0)
            else:
                axes[0, column].set_axis_off()
                axes[1, column].set_axis_off()
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _draw_scene(axes: Axes, scene: Scene) -> None:
    level, score = scene.safety["level"], scene.safety["score"]
    axes.imshow(scene.image)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(LEVEL_COLORS[level])
        spine.set_linewidth(3)
    axes.set_title(f"{'n/a' if score is None else f'{score:.0f}'}  {level}\n{scene.title}", fontsize=10, loc="left")


def _draw_parts(axes: Axes, components: Mapping[str, float | None], *, with_names: bool) -> None:
    names = list(components)
    for y, name in enumerate(names):
        value = components[name]
        if value is None:
            axes.text(0.02, y, "not known", va="center", fontsize=8, color="#777777")
            continue
        axes.barh(y, 1, color="#eeeeee", height=0.7)
        axes.barh(y, value, color="#4a7096", height=0.7)
        axes.text(1.02, y, f"{value:.2f}", va="center", fontsize=8)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") if with_names else "" for name in names], fontsize=8)
    axes.set_xticks([])
    axes.set_xlim(0, 1.15)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


class SafetyStrip:
    """Draws the score so far under each frame of a video; the axes are drawn once, so a frame takes milliseconds.

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
