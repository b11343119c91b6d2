"""The square frame in which a SAM sees an image: into it with pixels and coordinates, out of it with masks.

SAM and SAM-HQ scale the longer side to the frame and leave the rest empty; SAM 2 squeezes the image into the whole square. The decoder's
masks cover the frame at a quarter of its size. They are sampled bilinearly at the pixels of the image, and only inside a window, so that
a small mask costs what it is large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
EMPTY_LOGIT = -20.0


@dataclass(frozen=True)
class Frame:
    """Where an image lies in the square.

    Attributes:
        image_hw: Size of the image.
        inner_hw: Size to which it is scaled; it starts in the upper left corner.
        side: Side of the square.

    Example:
        >>> Frame.fit((1024, 2048), side=1024, squeeze=False).inner_hw
        (512, 1024)
    """

    image_hw: tuple[int, int]
    inner_hw: tuple[int, int]
    side: int

    @classmethod
    def fit(cls, image_hw: tuple[int, int], *, side: int, squeeze: bool) -> Frame:
        """Place an image: squeezed into the whole square, or with its own proportions."""
        factor = side / max(image_hw)
        inner = (side, side) if squeeze else tuple(min(side, max(1, round(length * factor))) for length in image_hw)
        return cls(tuple(image_hw), inner, side)

    def to_pixels(self, image: np.ndarray) -> torch.Tensor:
        """Scale, normalise and pad an image, RGB uint8 ``[H, W, 3]``; float32 ``[1, 3, side, side]``."""
        pixels = torch.from_numpy(np.array(image.transpose(2, 0, 1), np.float32))[None] / 255
        pixels = normalize(F.interpolate(pixels, size=self.inner_hw, mode="bilinear", antialias=True))
        return F.pad(pixels, (0, self.side - self.inner_hw[1], 0, self.side - self.inner_hw[0]))

    def to_frame(self, xy: np.ndarray) -> np.ndarray:
        """Convert ``x, y`` pairs of the image, ``[..., 2k]``, to the frame; float32."""
        factor = np.array([self.inner_hw[1] / self.image_hw[1], self.inner_hw[0] / self.image_hw[0]])
        return (np.asarray(xy, np.float64) * np.tile(factor, np.shape(xy)[-1] // 2)).astype(np.float32)

    def to_image(self, xy: np.ndarray) -> np.ndarray:
        """Undo :meth:`to_frame`."""
        factor = np.array([self.image_hw[1] / self.inner_hw[1], self.image_hw[0] / self.inner_hw[0]])
        return (np.asarray(xy, np.float64) * np.tile(factor, np.shape(xy)[-1] // 2)).astype(np.float32)

    def inner_size(self, low_side: int) -> tuple[int, int]:
        """Rows and columns of a square mask of ``low_side`` that show the image, rounded up."""
        return tuple(int(np.ceil(length * low_side / self.side)) for length in self.inner_hw)

    def sample(self, low: np.ndarray, window: tuple[slice, slice]) -> np.ndarray:
        """Sample a mask at the pixels of a window of the image.

        Args:
            low: Logits over the frame, float ``[s, s]``.
            window: Rows and columns of the image.

        Returns:
            float32, as large as the window.
        """
        rows = _positions(window[0], self.image_hw[0], self.inner_hw[0] * len(low) / self.side, len(low))
        columns = _positions(window[1], self.image_hw[1], self.inner_hw[1] * len(low) / self.side, len(low))
        (top, bottom, share_y), (left, right, share_x) = rows, columns
        part = low[top] * (1 - share_y[:, None]) + low[bottom] * share_y[:, None]
        return (part[:, left] * (1 - share_x) + part[:, right] * share_x).astype(np.float32, copy=False)

    def window_of(self, low_box: Sequence[int], low_side: int) -> tuple[int, int, int, int]:
        """Return the whole-pixel box of the image that a box of low-resolution cells can reach, one cell more on each side."""
        x1, y1, x2, y2 = low_box
        cell = self.side / low_side
        corners = self.to_image(np.array([x1 - 1, y1 - 1, x2 + 1, y2 + 1]) * cell)
        (left, top), (right, bottom) = np.floor(corners[:2]), np.ceil(corners[2:])
        height, width = self.image_hw
        return max(0, int(left)), max(0, int(top)), min(width, int(right)), min(height, int(bottom))

    def to_mask_prompt(self, logits: np.ndarray, box_xyxy: Sequence[int], *, low_side: int) -> torch.Tensor:
        """Put log odds, ``[h, w]`` on a whole-pixel box, where the mask encoder expects them, -20 around; float32 ``[1, s, s]``."""
        height, width = self.image_hw
        x1, y1, x2, y2 = (int(value) for value in box_xyxy)
        full = np.full((height, width), EMPTY_LOGIT, np.float32)
        full[y1:y2, x1:x2] = logits
        # Straight to the low resolution: the frame's own size would only be passed through.
        exact = [length * low_side / self.side for length in self.inner_hw]
        size = [max(1, round(length)) for length in exact]
        small = F.interpolate(torch.from_numpy(full)[None, None], size=size, mode="bilinear", antialias=True)[0]
        return F.pad(small, (0, low_side - size[1], 0, low_side - size[0]), value=EMPTY_LOGIT)


def normalize(pixels: torch.Tensor) -> torch.Tensor:
    """Bring RGB in ``[0, 1]``, float ``[B, 3, H, W]``, to the mean and deviation of ImageNet."""
    return (pixels - torch.tensor(_MEAN).view(3, 1, 1)) / torch.tensor(_STD).view(3, 1, 1)


def _positions(window: slice, length: int, low_length: float, low_side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two neighbours and the share of the second, at each pixel of one axis; pixel centres map to pixel centres."""
    at = (np.arange(window.start, window.stop) + 0.5) * (low_length / length) - 0.5
    at = np.clip(at, 0, low_side - 1)
    first = np.floor(at).astype(np.int64)
    return first, np.minimum(first + 1, low_side - 1), (at - first).astype(np.float32)
