"""The folder of a prediction: where each file goes, which results are finished, and the summary of all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from mmstreet.files.atomic import atomic_path, write_json, write_text
from mmstreet.files.images import write_image
from mmstreet.files.rle import counts_from_mask, encode_counts
from mmstreet.predict.result import Result
from mmstreet.predict.sources import Source

SETTINGS = "run.json"
SUMMARY = "summary.json"
_JPEG_QUALITY = 90
_PNG = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
"""Label maps are runs of equal ids: this is the smallest of zlib's ways, and as fast as any."""


class PredictionFolder:
    """Files of a prediction.

    ``labels/NAME.png`` holds train ids, ``overlays/NAME.jpg`` the colours over the image, ``records/NAME.json`` all numbers, on request
    ``probs/NAME.npz`` the class probabilities; a video has a folder ``labels/NAME/`` of numbered frames, ``videos/NAME.mp4`` and
    ``frames/NAME.jsonl``. The record is written last: what has one is finished.

    Args:
        root: The folder; made if it is missing.
        settings: What decides the results, as plain data; a folder takes results of one setting only.
        labels: Write label maps.
        overlays: Write overlays.
        probs: Write class probabilities of images, half precision, compressed.
        overwrite: Delete results of other settings, and predict finished ones again.

    Raises:
        ValueError: If the folder holds results of other settings; the message says which setting differs.
    """

    def __init__(
        self,
        root: str | Path,
        settings: Mapping,
        *,
        labels: bool = True,
        overlays: bool = True,
        probs: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.root = Path(root)
        self.labels, self.overlays, self.probs = labels, overlays, probs
        self.overwrite = overwrite
        path = self.root / SETTINGS
        if path.is_file() and not overwrite:
            before = json.loads(path.read_text())
            differing = [name for name in {**before, **settings} if before.get(name) != settings.get(name)]
            if differing:
                name = differing[0]
                raise ValueError(
                    f"'{root}' holds predictions with other settings ({name}: {before.get(name)} there, {settings.get(name)} now); choose "
                    "another --out, or add --overwrite to replace them"
                )
        write_json(settings, path)

    def record_path(self, source: Source) -> Path:
        """Return where the record of a source goes."""
        return self.root / "records" / f"{source.name}.json"

    def label_path(self, source: Source, frame: int | None = None) -> Path:
        """Return where the label map of an image, or of one frame of a video, goes."""
        return self.root / "labels" / (f"{source.name}.png" if frame is None else f"{source.name}/{frame:06d}.png")

    def probs_path(self, source: Source) -> Path:
        """Return where the class probabilities of an image go."""
        return self.root / "probs" / f"{source.name}.npz"

    def overlay_path(self, source: Source) -> Path:
        """Return where the overlay of an image or a video goes."""
        return self.root / (f"videos/{source.name}.mp4" if source.is_video else f"overlays/{source.name}.jpg")

    def frames_path(self, source: Source) -> Path:
        """Return where the numbers of each frame of a video go."""
        return self.root / "frames" / f"{source.name}.jsonl"

    def start(self, sources: Sequence[Source]) -> list[Source]:
        """Return those of a process's own sources that are still to be done; failed ones are tried again."""
        if self.overwrite:
            for source in sources:
                self.record_path(source).unlink(missing_ok=True)
        return [source for source in sources if not self.is_finished(source)]

    def is_finished(self, source: Source) -> bool:
        """Tell whether all results of a source are there."""
        record = self.read_record(source)
        if record is None or "error" in record:
            return False
        wanted = [self.overlay_path(source)] if self.overlays else []
        if self.labels:
            wanted.append(self.label_path(source, 0 if source.is_video else None))
        if self.probs and not source.is_video:
            wanted.append(self.probs_path(source))
        return all(path.is_file() for path in wanted)

    def read_record(self, source: Source) -> dict | None:
        """Return the record of a source, ``None`` if there is none."""
        path = self.record_path(source)
        return json.loads(path.read_text()) if path.is_file() else None

    def write_image(self, source: Source, image: np.ndarray, result: Result, **more: object) -> None:
        """Write all results of an image; ``more`` goes into its record."""
        if self.labels:
            write_labels(self.label_path(source), result.labels)
        if self.probs:
            with atomic_path(self.probs_path(source)) as temporary:
                np.savez_compressed(temporary, probs=result.probs.astype(np.float16))
        if self.overlays:
            overlay = cv2.cvtColor(result.draw(image), cv2.COLOR_RGB2BGR)
            write_image(overlay, self.overlay_path(source), settings=[cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        record = result.to_dict()
        if result.instances is not None:
            for row, mask in zip(record["instances"], result.instances.masks):
                row["mask"] = {"size": list(mask.shape), "counts": encode_counts(counts_from_mask(mask))}
        self.write_record(source, {**record, **more})

    def write_record(self, source: Source, record: Mapping) -> None:
        """Write a record; that finishes the source, unless it holds an ``error``."""
        write_text(json.dumps({"source": str(source.path), **record}, allow_nan=False) + "\n", self.record_path(source))

    def clear_frames(self, source: Source) -> None:
        """Delete the label maps of an earlier, unfinished look at a video: it may have had other frames."""
        shutil.rmtree(self.label_path(source, 0).parent, ignore_errors=True)

    def summarize(self, sources: Sequence[Source]) -> str:
        """Return the account of all sources, as JSON text, from what is on the disk."""
        done, failed, pending, pixels = [], [], 0, {}
        for source in sources:
            record = self.read_record(source)
            if record is None:
                pending += 1
            elif "error" in record:
                failed.append({"source": str(source.path), "error": record["error"]})
            else:
                done.append(record)
        for record in done:
            weight = record["size_hw"][0] * record["size_hw"][1] * record.get("frames", 1)
            for name, share in record["shares"].items():
                pixels.setdefault(name, []).append((share, weight))
        summary: dict = {"sources": len(sources), "done": len(done), "failed": failed, "pending": pending}
        summary["shares"] = {name: sum(s * w for s, w in rows) / sum(w for _, w in rows) for name, rows in pixels.items()}
        scored = sorted((r["safety"]["score"], r["source"]) for r in done if r.get("safety") and r["safety"]["score"] is not None)
        if scored:
            scores = [score for score, _ in scored]
            summary["safety"] = {"mean": sum(scores) / len(scores), "lowest": scored[:5], "highest": scored[-5:][::-1]}
        return json.dumps(summary, indent=2, allow_nan=False) + "\n"


def write_labels(path: Path, labels: np.ndarray) -> None:
    """Write train ids, uint8 ``[H, W]``, as a grey PNG."""
    write_image(labels, path, settings=_PNG)
