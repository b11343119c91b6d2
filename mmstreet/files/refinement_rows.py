"""The rows of a comparison of refiners, for the terminal and for the page: measures, and what became of regions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Intervals = list[list[float] | None]


def list_measures(report: Mapping) -> Iterator[tuple[str, list[float | None], Intervals | None]]:
    """List the measures of all systems of a ``refinement.json``.

    Args:
        report: ``boundary_radius_px``, and ``systems`` with ``mIoU``, ``boundary_IoU``, ``thin_IoU``, ``seconds_per_image``,
            ``changed_percent``, ``per_class`` and perhaps ``differences``, intervals by the name of the score.

    Yields:
        Title, a value per system, and of a score the interval of each system's difference to the first one, as far as it is known; ``None``
        where a difference means nothing.
    """
    systems = report["systems"]

    def limits(key: str) -> Intervals:
        return [system.get("differences", {}).get(key) for system in systems]

    scores = {"mIoU": "mIoU", f"boundary IoU, {report['boundary_radius_px']} px": "boundary_IoU", "IoU of thin classes": "thin_IoU"}
    for title, key in scores.items():
        yield title, [system[key] for system in systems], limits(key)
    yield "seconds per image", [system["seconds_per_image"] for system in systems], None
    yield "pixels changed, %", [system["changed_percent"] for system in systems], None
    for i, first in enumerate(systems[0]["per_class"]):
        yield f"IoU {first['class']}", [system["per_class"][i]["IoU"] for system in systems], limits(f"IoU/{first['class']}")


def list_regions(report: Mapping) -> Iterator[tuple[str, list[int]]]:
    """List how many regions each refiner accepted and refused, by verdict: all of them, then those of each class.

    Args:
        report: ``systems``, the baseline first, with ``regions`` (verdict to number) and ``regions_per_class`` (class to the same).
    """
    parts = [{"all": system.get("regions", {})} | system.get("regions_per_class", {}) for system in report["systems"][1:]]
    for name in dict.fromkeys(name for part in parts for name in part):
        for verdict in dict.fromkeys(verdict for part in parts for verdict in part.get(name, {})):
            yield f"{name}: {verdict}", [part.get(name, {}).get(verdict, 0) for part in parts]
