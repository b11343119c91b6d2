"""``RemapLabels``: from the classes of one table to those of another, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mmcv.transforms import BaseTransform

from mmstreet.labels import IGNORE_INDEX, REMAPS, LabelTable, get_table, outside_message
from mmstreet.registry import TRANSFORMS
from mmstreet.transforms.functional import apply_lut, build_remap_lut, first_outside

BACKGROUND = "background"


@TRANSFORMS.register_module()
class RemapLabels(BaseTransform):
    """Turn the label map's train ids of one class table into those of another, many to one.

    Args:
        source: Table of the labels that come in, a name or rows.
        target: Table of the labels that go out, a name or rows.
        mapping: Source class name to target class name, as a dict or as pairs. None takes ``labels.REMAPS[(source, target)]``.
        unlisted: What becomes of a source class that ``mapping`` does not name: ``'ignore'`` (255), ``'background'`` (the
            target's class of that name), or ``'error'`` (every class has to be named).

    255 stays 255. A data set of this package then says ``table=target``; one of MMSegmentation is wrapped in
    ``mmstreet.RemappedSemSeg``, since its own ``metainfo`` would name the wrong classes or rename ids once more.

    Raises:
        KeyError: If a table, a class name or the pair of tables is unknown.
        ValueError: If the mapping contradicts itself, leaves a class unnamed under ``'error'``, or, being a known one, leaves
            ``background`` without a source; at run time, if a label file holds an id that ``source`` does not have.
    """

    def __init__(
        self,
        *,
        source: str | Sequence[Mapping],
        target: str | Sequence[Mapping],
        mapping: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        unlisted: str = "ignore",
    ):
        self.source, self.target = get_table(source), get_table(target)
        if mapping is None:
            pair = (self.source.name, self.target.name)
            if pair not in REMAPS:
                known = "; ".join(f"{a} to {b}" for a, b in REMAPS)
                raise KeyError(f"no remap from '{pair[0]}' to '{pair[1]}' is known ({known}); pass mapping=")
            mapping = REMAPS[pair]
            mapping = dict(mapping)
            if unlisted == "ignore" and BACKGROUND in self.target.names and BACKGROUND not in mapping.values():
                raise ValueError(f"class '{BACKGROUND}' of table '{self.target.name}' would get no pixel; pass unlisted='{BACKGROUND}'")
        self.mapping = _merge(mapping.items() if isinstance(mapping, Mapping) else mapping)
        self.unlisted = unlisted
        self.lut = build_remap_lut(
            {self.source.index(a): self.target.index(b) for a, b in self.mapping.items()},
            num_source=len(self.source),
            unlisted=self._unlisted_id(),
            ignore_index=IGNORE_INDEX,
        )

    @property
    def label_table(self) -> LabelTable:
        """The table that labels are in after this step."""
        return self.target

    def transform(self, results: dict) -> dict:
        """Remap ``results['gt_seg_map']``, uint8 ``[H, W]``."""
        if results.get("label_map") is not None:
            raise ValueError(
                "the data set's metainfo names classes, so MMSegmentation has renamed the ids already, and RemapLabels would do it again; "
                "take classes out of metainfo and wrap the data set: dict(type='mmstreet.RemappedSemSeg', dataset=dict(…))"
            )
        came = get_table(results.get("label_table", self.source))
        if came.names != self.source.names:
            raise ValueError(f"RemapLabels expects labels in table '{self.source.name}', but they are in '{came.name}'; change source=")
        labels = results["gt_seg_map"]
        mapped = apply_lut(labels, self.lut)
        outside = first_outside(labels, mapped)
        if outside:
            label_id, y, x, count = outside
            path = results.get("seg_map_path", "an unnamed label map")
            raise ValueError(outside_message(self.source, label_id, path=path, y=y, x=x, count=count))
        results["gt_seg_map"] = mapped
        results["label_table"] = self.target
        return results

    def _unlisted_id(self) -> int:
        if self.unlisted == "ignore":
            return IGNORE_INDEX
        if self.unlisted == BACKGROUND:
            if BACKGROUND not in self.target.names:
                raise ValueError(
                    f"unlisted='{BACKGROUND}' needs a class of that name in table '{self.target.name}', "
                    f"which has: {', '.join(self.target.names)}; choose another target or unlisted='ignore'"
                )
            return self.target.index(BACKGROUND)
        if self.unlisted != "error":
            raise ValueError(f"unlisted must be 'ignore', '{BACKGROUND}' or 'error', not {self.unlisted!r}")
        left = [name for name in self.source.names if name not in self.mapping]
        if left:
            raise ValueError(f"classes of '{self.source.name}' are not named in the mapping: {', '.join(left)}")
        return IGNORE_INDEX

    def __repr__(self) -> str:
        return f"RemapLabels(source='{self.source.name}', target='{self.target.name}', mapping={self.mapping}, unlisted='{self.unlisted}')"


def _merge(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    merged: dict[str, str] = {}
    for source, target in pairs:
        if merged.setdefault(source, target) != target:
            raise ValueError(f"the mapping sends class '{source}' both to '{merged[source]}' and to '{target}'; keep one")
    return merged
