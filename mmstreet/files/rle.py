"""COCO run-length masks in numpy: run lengths, their text form, boxes and areas.

A mask is the list of its run lengths in column-major order, background first. The text form stores each length as the
difference to the one two places before, in little-endian groups of five bits, one printable character per group
(pycocotools' ``maskApi``). Text that comes from a file is checked here, because pycocotools trusts it and reads past
its buffers when the lengths do not fill the image.
"""

from __future__ import annotations

import numpy as np

_MAX_GROUPS = 10
"""Groups of five bits that may form one number; more do not fit an image."""


def runs_from_mask(mask: np.ndarray, *, origin_xy: tuple[int, int] = (0, 0), size_hw: tuple[int, int] | None = None) -> np.ndarray:
    """Return the foreground runs of a mask that may be a cut-out of the image.

    Args:
        mask: bool ``[h, w]``.
        origin_xy: Column and row of the cut-out's first pixel in the image.
        size_hw: Size of the image; ``None`` means that the mask is the whole image.

    Returns:
        First position and end of each run in the column-major image, int64 ``[R, 2]``, sorted, no two touching.
    """
    height = (size_hw or mask.shape)[0]
    rows, columns = mask.shape
    padded = np.zeros((columns, rows + 2), bool)
    padded[:, 1:-1] = mask.T
    edges = np.flatnonzero(padded.ravel()[1:] != padded.ravel()[:-1])  # position of the last pixel before each change
    column, row = np.divmod(edges, rows + 2)
    return merge_runs(((column + origin_xy[0]) * height + row + origin_xy[1]).reshape(-1, 2))


def merge_runs(runs: np.ndarray) -> np.ndarray:
    """Unite runs, int64 ``[R, 2]`` in any order, that overlap or touch; empty ones vanish and the rest comes back sorted."""
    runs = runs[runs[:, 0] < runs[:, 1]]
    if not len(runs):
        return runs
    runs = runs[np.argsort(runs[:, 0], kind="stable")]
    reach = np.maximum.accumulate(runs[:, 1])
    apart = runs[1:, 0] > reach[:-1]
    return np.stack([runs[np.append(True, apart), 0], reach[np.append(apart, True)]], axis=1)


def counts_from_runs(runs: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Turn runs, int64 ``[R, 2]``, into COCO run lengths, int64; a last length of zero is left out, as COCO does."""
    edges = np.zeros(runs.size + 2, np.int64)
    edges[1:-1], edges[-1] = runs.ravel(), size_hw[0] * size_hw[1]
    counts = edges[1:] - edges[:-1]
    return counts if counts[-1] else counts[:-1]


def runs_from_counts(counts: np.ndarray) -> np.ndarray:
    """Turn COCO run lengths into runs, int64 ``[R, 2]``; runs of length zero are left out."""
    edges = np.cumsum(counts)[: len(counts) // 2 * 2].reshape(-1, 2)
    return edges[edges[:, 0] != edges[:, 1]]


def counts_from_mask(mask: np.ndarray) -> np.ndarray:
    """Return the COCO run lengths, int64, of a mask, bool ``[H, W]``."""
    return counts_from_runs(runs_from_mask(mask), mask.shape)


def mask_from_counts(counts: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Return the mask, bool ``[H, W]``, of COCO run lengths that fill the image."""
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(size_hw[::-1]).T


def run_extents(runs: np.ndarray, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return first column, last column, first row and last row of each run, int64 ``[R]`` each."""
    left, top = np.divmod(runs[:, 0], height)
    right, bottom = np.divmod(runs[:, 1] - 1, height)
    wraps = left != right
    return left, right, np.where(wraps, 0, top), np.where(wraps, height - 1, bottom)


def bbox_from_runs(runs: np.ndarray, height: int) -> tuple[int, int, int, int]:
    """Return the COCO box ``(x, y, width, height)`` around runs; all zero when there are none."""
    if not len(runs):
        return 0, 0, 0, 0
    left, right, top, bottom = run_extents(runs, height)
    x, y = int(left.min()), int(top.min())
    return x, y, int(right.max()) - x + 1, int(bottom.max()) - y + 1


def bbox_from_counts(counts: np.ndarray, height: int) -> tuple[int, int, int, int]:
    """Return the COCO box around a mask given by its run lengths; all zero when it is empty."""
    return bbox_from_runs(runs_from_counts(counts), height)


def encode_counts(counts: np.ndarray) -> str:
    """Write run lengths, int64 ``[n]``, as COCO text.

    Example:
        >>> encode_counts(np.array([6, 1, 40, 4, 5, 4, 5, 4, 21]))
        '61X13mN000`0'
    """
    deltas = np.array(counts, np.int64)
    deltas[3:] -= counts[1:-2]
    # k groups hold the numbers from -16 · 32^(k-1) to 16 · 32^(k-1) - 1.
    longest = int(np.abs(deltas).max(initial=0)).bit_length() // 5 + 1
    place = np.arange(longest)
    length = np.searchsorted(16 << 5 * place, np.where(deltas < 0, ~deltas, deltas), side="right")[:, None]
    characters = (deltas[:, None] >> 5 * place & 31) + np.where(place < length, 80, 48)
    return characters[place <= length].astype(np.uint8).tobytes().decode("ascii")


def decode_counts(text: str | bytes) -> np.ndarray:
    """Read run lengths, int64 ``[n]``, from COCO text.

    Raises:
        ValueError: If the text has a foreign character, ends inside a number, or gives a negative length.
    """
    raw = text.encode("ascii", "replace") if isinstance(text, str) else bytes(text)
    codes = np.frombuffer(raw, np.uint8).astype(np.int64) - 48
    if not len(codes):
        return np.zeros(0, np.int64)
    if codes.min() < 0 or codes.max() > 63:
        raise ValueError(f"run-length text holds the byte {raw[int(np.argmax((codes < 0) | (codes > 63)))]:#04x}, which COCO never writes")
    ends = np.flatnonzero(codes < 32)
    if not len(ends) or ends[-1] != len(codes) - 1:
        raise ValueError("run-length text ends in the middle of a number; it was cut off")
    starts = np.append(0, ends[:-1] + 1)
    lengths = ends - starts + 1
    if lengths.max() > _MAX_GROUPS:
        raise ValueError(f"run-length text holds a number of {lengths.max()} groups, at most {_MAX_GROUPS} fit an image")
    place = np.arange(len(codes)) - np.repeat(starts, lengths)
    values = np.add.reduceat((codes & 31) << 5 * place, starts)
    values -= np.where(codes[ends] & 16, 1 << 5 * lengths, 0)
    for parity in (1, 2):
        values[parity::2] = np.cumsum(values[parity::2])
    if values.min() < 0:
        raise ValueError(f"run-length text gives a run of {values.min()} pixels")
    return values


def parse_rle(rle: dict, size_hw: tuple[int, int]) -> np.ndarray:
    """Read a COCO ``{"counts": ..., "size": [h, w]}``, as text or as a list of lengths, for an image of known size.

    Returns:
        Run lengths, int64, that fill the image exactly.

    Raises:
        ValueError: If a key is missing, the size is another one, or the lengths do not fill the image.
    """
    if not isinstance(rle, dict) or not isinstance(rle.get("counts"), (str, bytes, list)) or not isinstance(rle.get("size"), (list, tuple)):
        raise ValueError('expected a run-length mask {"counts": text or list, "size": [height, width]}')
    if tuple(rle["size"]) != tuple(size_hw):
        raise ValueError(f"the mask is for an image of {list(rle['size'])} (height, width), the image has {list(size_hw)}")
    if isinstance(rle["counts"], list):
        if not all(isinstance(length, int) and 0 <= length <= size_hw[0] * size_hw[1] for length in rle["counts"]):
            raise ValueError("run lengths must be whole numbers from zero to the number of pixels")
        counts = np.array(rle["counts"], np.int64)
    else:
        counts = decode_counts(rle["counts"])
    if counts.max(initial=0) > size_hw[0] * size_hw[1] or counts.sum() != size_hw[0] * size_hw[1]:  # a sum may overflow
        raise ValueError(f"the run lengths cover {counts.sum()} pixels, the image has {size_hw[0] * size_hw[1]}")
    return counts
