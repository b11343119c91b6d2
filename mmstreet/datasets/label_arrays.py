"""Reading published image-level labels from ``.npy`` files without running what may be inside.

Such a file holds one object: a pickled dictionary from image keys to label vectors. Unpickling in the usual way runs any code
that the file names. Here the pickle may name nothing but numpy's own array parts, and even these are replaced by
plain stand-ins, which build arrays of numbers from checked bytes.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmstreet.datasets.image_labels import ImageLabels
from mmstreet.files.images import read_regular_file

_NUMBERS = {f"{kind}{size}" for kind, sizes in {"f": (2, 4, 8), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "b": (1,)}.items() for size in sizes}


class _Dtype:
    """Stands in for ``numpy.dtype``: remembers its code and byte order."""

    def __init__(self, code: str, *_: Any):
        self.code, self.order = str(code), "="

    def __setstate__(self, state: tuple) -> None:
        self.order = str(state[1])

    def numbers(self) -> np.dtype:
        if self.code not in _NUMBERS or self.order not in "<>|=":
            raise pickle.UnpicklingError(f"it holds an array of type '{self.code}'; label vectors are numbers")
        return np.dtype(self.code).newbyteorder("=" if self.order == "|" else self.order)


class _Array:
    """Stands in for ``numpy.ndarray``: keeps a checked array of numbers, or a list of objects."""

    value: np.ndarray | list | None = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        if dtype.code.startswith("O"):
            if not isinstance(data, list):
                raise pickle.UnpicklingError("its array of objects is damaged")
            self.value = data
        else:
            self.value = _number_array(data, dtype, shape, "F" if fortran else "C")


def _number_array(data: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    kind = dtype.numbers()
    if not isinstance(data, (bytes, bytearray)) or len(data) != kind.itemsize * math.prod(shape):
        raise pickle.UnpicklingError("an array of it does not have as many bytes as its shape needs")
    return np.frombuffer(bytes(data), kind).reshape(shape, order=order)


def _latin1_bytes(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it holds bytes written as '{encoding}'")
    return text.encode("latin1")


_STAND_INS = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("_codecs", "encode"): _latin1_bytes,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): lambda *_: _Array() for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): lambda dtype, data: _number_array(data, dtype, (), "C") for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _number_array for core in ("core", "_core")},
}
"""Every name that a pickle may use. ``numpy.core`` became ``numpy._core`` in numpy 2."""


class _LabelUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"it asks for '{module}.{name}', which label vectors do not need; the file may be hostile")
        stand_in = _STAND_INS[module, name]
        # A pickle may set attributes of what it is given, so it never gets the same object twice.
        return lambda *arguments: stand_in(*arguments)


def read_label_arrays(path: str | Path, *, classes: Sequence[str]) -> ImageLabels:
    """Read a published ``labels.npy``: a dictionary from image keys to vectors of zeros and ones, one place per class.

    Args:
        path: The file.
        classes: Class names in the order of the vectors.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such file, asks for anything but arrays of numbers, or a vector has another length than
            ``classes`` or other values than 0 and 1.
    """
    content = io.BytesIO(read_regular_file(path))
    try:
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, dtype = read_header[np.lib.format.read_magic(content)](content)
        if dtype != np.dtype(object) or shape != ():
            raise pickle.UnpicklingError(f"it holds an array of {dtype} {list(shape)} instead of one dictionary")
        outer = _LabelUnpickler(content, encoding="latin1").load()
        vectors = outer.value[0] if isinstance(outer, _Array) and isinstance(outer.value, list) and len(outer.value) == 1 else None
        if not isinstance(vectors, dict):
            raise pickle.UnpicklingError("it holds no dictionary of label vectors")
    # A damaged pickle can fail in nearly any way; whatever it is, the file is not one that we read.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} is not read as image-level labels: {reason:.300}") from error
    return ImageLabels(tuple(classes), {str(key): _class_ids(path, key, vector, len(classes)) for key, vector in vectors.items()})


def _class_ids(path: str | Path, key: Any, vector: Any, num_classes: int) -> tuple[int, ...]:
    values = vector.value if isinstance(vector, _Array) else vector
    if not isinstance(values, np.ndarray) or values.shape != (num_classes,):
        found = f"shape {list(values.shape)}" if isinstance(values, np.ndarray) else type(values).__name__
        raise ValueError(f"{path}: image '{key}' needs a vector of {num_classes} values, one per class, found {found}")
    if not np.isin(values, (0, 1)).all():
        raise ValueError(f"{path}: the vector of image '{key}' must hold zeros and ones, found {values.tolist()!r:.200}")
    return tuple(np.flatnonzero(values).tolist())
