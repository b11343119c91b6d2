"""Text embeddings of class names, one unit vector per class: the file, and what must hold of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmstreet.files.atomic import atomic_path

CLOSEST = 0.9999
"""Largest cosine of two classes' embeddings; real ones of CLIP stay far below, and beyond it scores do not tell the classes apart."""


def check_text_embeddings(embeddings: np.ndarray, *, classes: Sequence[str], where: object) -> None:
    """Refuse embeddings that are not finite, not of length 1, or equal for two classes.

    Args:
        embeddings: Float ``[C, D]``.
        classes: Class names of the rows.
        where: What holds them, for the message.

    Raises:
        ValueError: If they are; one sentence.
    """
    lengths = np.linalg.norm(np.asarray(embeddings, np.float64), axis=1)
    if not np.allclose(lengths, 1, atol=1e-3):  # nan is not close either
        worst = int(np.nan_to_num(np.abs(lengths - 1), nan=np.inf).argmax())
        raise ValueError(f"{where}: text embeddings must be unit vectors, but row {worst} ('{classes[worst]}') is not; make them again")
    cosines = np.triu(embeddings @ embeddings.T, 1)
    if cosines.max(initial=0) > CLOSEST:
        a, b = np.unravel_index(int(cosines.argmax()), cosines.shape)
        raise ValueError(
            f"{where}: the text embeddings of '{classes[a]}' and '{classes[b]}' coincide (cosine {cosines[a, b]:.6f}), as from a tokenizer "
            "without its files or one word for two classes; make them with the whole folder of a CLIP and different words"
        )


def save_text_embeddings(path: str | Path, embeddings: np.ndarray, *, classes: Sequence[str], prompts: Sequence[str], model: str) -> None:
    """Write embeddings with what they stand for, as ``.npz`` without objects.

    Args:
        path: The file; the folder is made.
        embeddings: Unit rows, float ``[C, D]``.
        classes: Class names of the rows.
        prompts: What each class was called in the sentences.
        model: Name or folder of the text encoder.

    Raises:
        ValueError: If the embeddings are not finite unit vectors or two of them coincide; nothing is written.
    """
    check_text_embeddings(embeddings, classes=classes, where="not written")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
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
        ValueError: If it is no such file, has other classes, another order or width, rows that are not of length 1, or two that coincide.
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
    check_text_embeddings(embeddings, classes=found, where=f"'{path}'")
    return embeddings
