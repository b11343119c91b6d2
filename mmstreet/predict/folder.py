"""The folder of a prediction: where each file goes, which results are finished, and the summary of all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from mmstreet.files.atomic import atomic_path, write_json, write_text
from mmstreet.files.images import write_image
from mmstreet.files.pictures import write_label_map
from mmstreet.files.rle import counts_from_mask, encode_counts
from mmstreet.predict.exported import fingerprint_of
from mmstreet.predict.identity import identify_file, is_same_file, read_object
from mmstreet.predict.result import OPACITY, Result
from mmstreet.predict.sources import Source, refuse_address

SETTINGS = "run.json"
SUMMARY = "summary.json"
RESULTS = ("labels", "overlays", "records", "probs", "confidence", "entropy", "videos", "frames")
"""Folders of results."""
_JPEG_QUALITY = 90


class PredictionFolder:
    """Files of a prediction.

    ``labels/NAME.png`` holds train ids as an indexed PNG, ``overlays/NAME.jpg`` the colours over the image, ``records/NAME.json`` all
    numbers, on request ``probs/NAME.npz`` the class probabilities, ``confidence/NAME.png`` and ``entropy/NAME.png`` how sure the model
    is, 0 to 255; a video has ``labels/NAME.zip`` with a PNG for each frame, ``videos/NAME.mp4`` and ``frames/NAME.jsonl``. The record is
    written last. A result is finished when its record has no error, names these settings and the files that it was made from, and these
    files are still the same.

    Args:
        root: The folder; made if it is missing.
        settings: What decides the results, as plain data; a folder takes results of one setting only.
        inputs_of: Gives the files that a source's results are made from; default: the source itself.
        labels: Write label maps.
        overlays: Write overlays.
        probs: Write class probabilities of images, half precision, compressed.
        confidence: Write confidence and entropy of the pixels of images, as grey PNG files, 255 for 1.
        opacity: Weight of the colours in overlays.
        legend: Name the colours below overlays.
        overwrite: Replace results of other settings and of other files, and predict finished ones again.

    Attributes:
        known: Records that were read or written since :meth:`open`, by source; whoever sums them up clears it.

    Raises:
        ValueError: If the folder holds results of other settings, or files of these names that no prediction wrote.
    """

    def __init__(
        self,
        root: str | Path,
        settings: Mapping,
        *,
        inputs_of: Callable[[Source], Sequence[Path]] = lambda source: [source.path],
        labels: bool = True,
        overlays: bool = True,
        probs: bool = False,
        confidence: bool = False,
        opacity: float = OPACITY,
        legend: bool = True,
        overwrite: bool = False,
    ) -> None:
        refuse_address(root, "give a folder")
        self.root = Path(root)
        self.settings = dict(settings)
        self.inputs_of = inputs_of
        self.labels, self.overlays, self.probs = labels, overlays, probs
        self.confidence = confidence
        self.opacity, self.legend = opacity, legend
        self.overwrite = overwrite
        self.known: dict[Source, dict] = {}
        self._has_settings = False
        self.run = fingerprint_of(json.dumps(self.settings, sort_keys=True, default=str).encode())
        there = [name for name in RESULTS if (self.root / name).exists()]
        path = self.root / SETTINGS
        if not path.is_file():
            if there:
                raise ValueError(f"'{root}' has '{there[0]}' but no {SETTINGS}: no prediction wrote that; choose another --out")
            return
        before = read_object(path)
        if before is None and not overwrite:
            raise ValueError(f"'{path}' is damaged; choose another --out, or add --overwrite to predict everything again")
        differing = [name for name in {**(before or {}), **self.settings} if (before or {}).get(name) != self.settings.get(name)]
        if differing and not overwrite:
            name = differing[0]
            raise ValueError(
                f"'{root}' holds predictions with other settings ({name}: {before.get(name)} there, {self.settings.get(name)} now); choose "
                "another --out, or add --overwrite to replace them"
            )

    def record_path(self, source: Source) -> Path:
        """Return where the record of a source goes."""
        return self.root / "records" / f"{source.name}.json"

    def label_path(self, source: Source) -> Path:
        """Return where the label map of an image goes, or the archive of a video's label maps, one PNG for each frame."""
        return self.root / "labels" / f"{source.name}.{'zip' if source.is_video else 'png'}"

    def probs_path(self, source: Source) -> Path:
        """Return where the class probabilities of an image go."""
        return self.root / "probs" / f"{source.name}.npz"

    def confidence_paths(self, source: Source) -> dict[str, Path]:
        """Return where ``confidence`` and ``entropy`` of an image go."""
        return {name: self.root / name / f"{source.name}.png" for name in ("confidence", "entropy")}

    def overlay_path(self, source: Source) -> Path:
        """Return where the overlay of an image or a video goes."""
        return self.root / (f"videos/{source.name}.mp4" if source.is_video else f"overlays/{source.name}.jpg")

    def frames_path(self, source: Source) -> Path:
        """Return where the numbers of each frame of a video go."""
        return self.root / "frames" / f"{source.name}.jsonl"

    def open(self, sources: Sequence[Source]) -> None:
        """Begin with the results of some sources, those of all processes.

        Raises:
            ValueError: If the folder holds results of other settings that this run would leave beside its own.
        """
        self._refuse_mixture(sources)
        self.known.clear()

    def choose(self, sources: Sequence[Source]) -> list[Source]:
        """Return those of some sources that are still to be done, failed ones too; the records of the others are in :attr:`known`.

        Raises:
            ValueError: If the folder holds results that this run would replace without being asked to.
        """
        waiting = [source for source in sources if self.overwrite or not self.is_finished(source)]
        for source in waiting:
            self._refuse_others(source)
        if not self._has_settings:
            write_json(self.settings, self.root / SETTINGS)
            self._has_settings = True
        return waiting

    def _refuse_mixture(self, sources: Sequence[Source]) -> None:
        ours, records = {source.name for source in sources}, self.root / "records"
        strange = sorted(name for name in _names_below(records, ".json") if name not in ours and self._is_strange(records / f"{name}.json"))
        if strange:
            raise ValueError(
                f"'{self.root}' holds {len(strange)} results of other settings that are not predicted now, e.g. '{strange[0]}'; choose "
                "another --out, or predict them too"
            )

    def _is_strange(self, path: Path) -> bool:
        return (read_object(path) or {}).get("run") != self.run

    def _refuse_others(self, source: Source) -> None:
        """Refuse to write over results of another source: of a file elsewhere, of a video in place of a folder, or the other way round."""
        record = self._read(self.record_path(source)) or {}
        for known, path in zip(_inputs_in(record), self._identify(source, lambda path: path)):
            if known["path"] != os.path.abspath(path) and not self.overwrite and not is_same_file(known, path):
                raise ValueError(
                    f"'{self.root}' holds the result '{source.name}' of '{known['path']}', not of '{path}'; choose another --out, or add "
                    "--overwrite to replace it"
                )

    def is_finished(self, source: Source) -> bool:
        """Tell whether all results of a source are there, of these settings and of these files."""
        record = self.read_record(source)
        if record is None or "error" in record or source.camera is not None:
            return False
        wanted = [self.overlay_path(source)] if self.overlays else []
        if self.labels:
            wanted.append(self.label_path(source))
        if self.probs and not source.is_video:
            wanted.append(self.probs_path(source))
        if self.confidence and not source.is_video:
            wanted += self.confidence_paths(source).values()
        if not all(path.is_file() for path in wanted):
            return False
        self.known[source] = record
        return True

    def read_record(self, source: Source) -> dict | None:
        """Return the record of a source, ``None`` if there is none, it is damaged, or of other settings or other files."""
        record = self._read(self.record_path(source))
        if record is None or record.get("run") != self.run or "started" in record:
            return None
        known, now = _inputs_in(record), self._identify(source, lambda path: path)
        same = len(known) == len(now) and all(is_same_file(one, path) for one, path in zip(known, now))
        return record if same or ("error" in record and not known) else None

    def _read(self, path: Path) -> dict | None:
        return read_object(path) if path.is_file() else None

    def _identify(self, source: Source, describe: Callable[[Path], object]) -> list:
        """Describe the files of a source; an empty list if one cannot be read, as that of a failed source may be."""
        try:
            return [describe(path) for path in self.inputs_of(source)]
        except OSError:
            return []

    def write_image(self, source: Source, image: np.ndarray, result: Result, **more: object) -> None:
        """Write all results of an image; ``more`` goes into its record."""
        if self.labels:
            write_label_map(result.labels, result.palette, self.label_path(source), fast=True)
        if self.probs:
            with atomic_path(self.probs_path(source)) as temporary:
                np.savez_compressed(temporary, probs=result.probs.astype(np.float16))
        for name, path in self.confidence_paths(source).items() if self.confidence else ():
            write_image(np.rint(255 * getattr(result, name)).astype(np.uint8), path)
        if self.overlays:
            overlay = cv2.cvtColor(result.render_overlay(image, opacity=self.opacity, legend=self.legend), cv2.COLOR_RGB2BGR)
            write_image(overlay, self.overlay_path(source), settings=[cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        record = result.to_dict()
        if result.instances is not None:
            for row, mask in zip(record["instances"], result.instances.masks):
                row["mask"] = {"size": list(mask.shape), "counts": encode_counts(counts_from_mask(mask))}
        self.write_record(source, {**record, **more})

    def write_record(self, source: Source, record: Mapping) -> None:
        """Write a record; that finishes the source, unless it holds an ``error``."""
        about = {"source": str(source.path), "run": self.run, "inputs": self._identify(source, identify_file), "video": source.is_video}
        self.known[source] = about | dict(record)
        write_text(json.dumps(self.known[source], allow_nan=False) + "\n", self.record_path(source))

    def start_video(self, source: Source) -> None:
        """Claim a video, so that a result which was cut off is known as such."""
        self.write_record(source, {"started": True})


def _names_below(folder: Path, suffix: str) -> Iterator[str]:
    """Yield the paths of files below a folder without their suffix, one by one: there may be very many."""
    for directory, _, files in os.walk(folder):
        inside = os.path.relpath(directory, folder).replace(os.sep, "/")
        prefix = "" if inside == "." else f"{inside}/"
        yield from (prefix + name.removesuffix(suffix) for name in files if name.endswith(suffix))


def _inputs_in(record: Mapping) -> list[dict]:
    """Return what a record says of its files, nothing if it is malformed."""
    inputs, keys = record.get("inputs"), {"path", "bytes", "mtime_ns", "sha256"}
    return inputs if isinstance(inputs, list) and all(isinstance(one, dict) and keys <= one.keys() for one in inputs) else []
