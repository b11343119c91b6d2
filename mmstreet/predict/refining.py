"""Refining saved predictions, file by file: what one image has, what became of it, and the report on all."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from mmstreet.files.images import as_rgb, open_header, read_regular_file
from mmstreet.predict.binary import shift_probs
from mmstreet.predict.folder import PredictionFolder
from mmstreet.predict.job import Outcome, say_error
from mmstreet.predict.result import Result
from mmstreet.predict.sources import Source
from mmstreet.predict.sums import ResultSums
from mmstreet.refine.refiners import Refiner

SUFFIXES = (".npy", ".npz", ".png")


def find_prediction(root: str | Path, name: str) -> Path:
    """Return the saved prediction of an image.

    Args:
        root: A folder of ``mmstreet predict``, whose probabilities come before its label maps, or one with the predictions themselves:
            ``NAME.npy`` or ``NAME.npz`` with probabilities ``[C, H, W]``, or ``NAME.png`` with class ids; the first of these that exists.
        name: Name of the image's results; see :class:`~mmstreet.predict.sources.Source`.

    Raises:
        FileNotFoundError: If there is none.
    """
    for folder in (Path(root), Path(root) / "probs", Path(root) / "labels"):
        for suffix in SUFFIXES:
            if (path := folder / f"{name}{suffix}").is_file():
                return path
    raise FileNotFoundError(f"no prediction for '{name}' in '{root}'; expected {', '.join(name + suffix for suffix in SUFFIXES)}")


def read_prediction_file(path: str | Path) -> np.ndarray:
    """Read probabilities ``[C, H, W]`` or a map of class ids ``[H, W]``.

    Raises:
        ValueError: If the file holds neither, or several arrays without one named ``probs``.
    """
    path = Path(path)
    data = read_regular_file(path)
    if path.suffix == ".png":
        header = open_header(data, path)
        try:
            if header is not None and header.mode == "P":  # OpenCV would give the colours
                return np.asarray(header)
            labels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
        except (cv2.error, OSError, SyntaxError, ValueError):
            labels = None
        if labels is None or labels.ndim != 2:
            raise ValueError(f"'{path}' is no map of class ids: a PNG with a palette or one channel")
        return labels
    try:
        found = np.load(io.BytesIO(data), allow_pickle=False)
        arrays = {name: found[name] for name in found.files} if path.suffix == ".npz" else {"probs": np.asarray(found)}
    except Exception as error:  # damaged files raise what the parsers of zip archives and of Python literals raise
        raise ValueError(f"'{path}' cannot be read as numpy's {path.suffix} ({say_error(error)}); it may be cut off") from error
    if "probs" not in arrays and len(arrays) != 1:
        raise ValueError(f"'{path}' holds the arrays {', '.join(arrays)}; name the probabilities 'probs'")
    return arrays.get("probs", next(iter(arrays.values())))


def with_cache(settings: Mapping, folder: str | Path) -> dict:
    """Return a refiner's config whose mask source keeps its masks in a folder; one without a source as it is."""
    settings = copy.deepcopy(dict(settings))
    if settings["type"] == "mmstreet.SAMRefiner":
        settings.setdefault("cache", str(folder))
    elif "source" in settings and settings["source"]["type"] != "mmstreet.CachedMasks":
        settings["source"] = dict(type="mmstreet.CachedMasks", source=settings["source"], folder=str(folder))
    return settings


def refine_sources(
    refiner: Refiner,
    sources: Sequence[Source],
    predictions: str | Path,
    folder: PredictionFolder,
    *,
    palette: Sequence,
    threshold: float | None = None,
    orientation: str = "stored",
    progress: bool = True,
) -> Outcome:
    """Refine the saved predictions of some images into a folder; what fails is recorded and the rest goes on.

    Args:
        refiner: The refiner.
        sources: The images, finished ones left out.
        predictions: See :func:`find_prediction`.
        folder: Where the results go.
        palette: RGB of each class, for overlays.
        threshold: Probability above which a pixel is of class 1, for the probabilities of a binary head.
        orientation: How the images were turned for the predictions; see :func:`~mmstreet.files.images.read_image`.
        progress: Show a bar with the time left.
    """
    outcome, colors = Outcome(), np.asarray(palette, np.uint8)
    for source in tqdm(sources, desc="refine", unit="img", disable=None if progress else True):
        try:
            image = as_rgb(source.path, orientation=orientation)
            prediction = read_prediction_file(find_prediction(predictions, source.name))
            refined, record = refiner(image, shift_probs(prediction, threshold) if prediction.ndim == 3 else prediction)
            changes = json.loads(record.to_json())
            folder.write_image(source, image, Result(refined, refiner.classes, colors, changes=changes))
        except Exception as error:  # whatever is wrong with one file, the rest goes on
            outcome.fail(source, error, folder)
        else:
            outcome.done += 1
    return outcome


def summarize_changes(sums: ResultSums, total: int) -> dict:
    """Return the summary of all images with the changes added up.

    Args:
        sums: Sums over the results.
        total: Number of all images.
    """
    changes = sums.changes or {"pixels": 0, "changed_px": 0, "protected_px": 0, "per_class": {}, "regions": {}}
    pixels = changes.pop("pixels")
    percent = 100 * changes["changed_px"] / pixels if pixels else None
    return sums.to_summary(total) | {"changes": {"changed_px": changes.pop("changed_px"), "changed_percent": percent, **changes}}
