"""The average precisions of resampled test sets, by which two tests of the same images are compared.

See :mod:`mmstreet.files.image_confusions`: both tests are drawn alike, so draw by draw the scores belong to the same images.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmstreet.files.image_confusions import interval, read_header

FILE = "ap_draws.npz"
_MAX_BYTES = 1 << 28


@dataclass(frozen=True, eq=False)
class ApDraws:
    """What is kept of a test.

    Attributes:
        images: The ids of the images, in the order in which they are drawn.
        truth: Instances that count, by image and class, int32 ``[N, C]``.
        names: Of the scores.
        scores: Shares of 1, nan where no instance counts, ``[S, draws]``.
    """

    images: Sequence[str]
    truth: np.ndarray
    names: Sequence[str]
    scores: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what :data:`FILE` holds."""
        words = {"images": np.array(self.images, np.str_), "names": np.array(self.names, np.str_)}
        return words | {"truth": self.truth.astype(np.int32), "scores": self.scores.astype(np.float32)}

    def differences_to(self, first: ApDraws) -> dict[str, list[float] | None]:
        """Return the 95 % interval of each score's difference, in per cent points; nothing if the tests are of other images or labels."""
        if list(self.images) != list(first.images) or not np.array_equal(self.truth, first.truth):
            return {}
        before, after = (dict(zip(one.names, one.scores)) for one in (first, self))
        return {name: interval(after[name] - before[name]) for name in before if name in after and len(after[name]) == len(before[name])}


def read_ap_draws(path: str | Path) -> ApDraws:
    """Read a file that a test has left; nothing in it is executed, and sizes are checked before memory is taken.

    Raises:
        ValueError: If the file is none of these.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            headers = {name: read_header(archive, f"{name}.npy") for name in ("images", "names", "truth", "scores")}
        shapes = {name: shape for name, (shape, _) in headers.items()}
        kinds = "".join(headers[name][1].kind for name in ("images", "names"))
        types = tuple(headers[name][1] for name in ("truth", "scores"))
        whole = [len(shapes[name]) for name in headers] == [1, 1, 2, 2] and kinds == "UU" and types == (np.int32, np.float32)
        whole = whole and shapes["truth"][0] == shapes["images"][0] and shapes["scores"][0] == shapes["names"][0]
        if not whole or sum(int(np.prod(shape)) * dtype.itemsize for shape, dtype in headers.values()) > _MAX_BYTES:
            raise ValueError(f"it holds arrays of {shapes}; expected images [N], truth [N, C], names [S], scores [S, draws]")
        with np.load(path, allow_pickle=False) as content:
            return ApDraws(content["images"].tolist(), content["truth"], content["names"].tolist(), content["scores"])
    except (OSError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"it is no archive of average precisions by draw ({type(error).__name__}: {error})") from error
