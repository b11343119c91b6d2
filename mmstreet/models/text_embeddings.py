"""Text embeddings of class names, one unit vector per class: the file, and what must hold of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def save_text_embeddings(path: str | Path, embeddings: np.ndarray, *, classes: Sequence[str], prompts: Sequence[str], model: str) -> None:
    """Write embeddings with what they stand for, as ``.npz`` without objects.

    Args:
        path: The file; the folder is made.
        embeddings: Unit rows, float ``[C, D]``.
        classes: Class names of the rows.
        prompts: What each class was called in the sentences.
        model: Name or folder of the text encoder.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        np.savez(
            file,
            embeddings=np.asarray(embeddings, np.float32),
            classes=np.array(list(classes), str),
            prompts=np.array(list(prompts), str),
            model=np.array(model),
        )


def load_text_embeddings(path: str | Path, *, classes: Sequence[str], width: int | None = None) -> np.ndarray:
    """Read the embeddings of the given classes.

    Args:
        path: File written by ``mmstreet text-embeddings``.
        classes: Names that the rows must have, in order.
        width: Entries that each row must have; None allows any.

    Returns:
        Unit rows, float32 ``[C, D]``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such file, has other classes, another order or width, or rows that are not of length 1.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no text embeddings at '{path}'; make them with mmstreet text-embeddings")
    try:
        with np.load(path, allow_pickle=False) as content:
            embeddings, found = np.asarray(content["embeddings"], np.float32), [str(name) for name in content["classes"]]
    # A damaged archive can fail in nearly any way; whatever it is, the file is not one that we read.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"'{path}' is no file of text embeddings ({reason:.300}); make it with mmstreet text-embeddings") from error
    if len(found) != len(classes):
        raise ValueError(f"'{path}' has text embeddings of {len(found)} classes, but the model has {len(classes)}; make them for its table")
    wrong = [i for i, (a, b) in enumerate(zip(found, classes)) if a != b]
    if wrong:
        i = wrong[0]
        raise ValueError(f"'{path}' has '{found[i]}' in row {i}, but class {i} of the model is '{classes[i]}'; make them for its table")
    if embeddings.ndim != 2 or embeddings.shape != (len(classes), width or embeddings.shape[-1]):
        raise ValueError(f"'{path}' has text embeddings {list(embeddings.shape)}, but the model needs {[len(classes), width]}")
    lengths = np.linalg.norm(embeddings, axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1) < 1e-3))
    if len(wrong):
        raise ValueError(f"'{path}': text embeddings must be unit vectors, but row {wrong[0]} ('{found[wrong[0]]}') is not; make it again")
    return embeddings
