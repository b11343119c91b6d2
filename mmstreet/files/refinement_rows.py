"""The rows of a comparison of refiners, for the terminal and for the page: measures, and what became of regions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def list_measures(report: Mapping) -> Iterator[tuple[str, list[float | None], bool]]:
    """List the measures of all systems of a ``refinement.json``.

    Args:
        report: ``boundary_radius_px``, and ``systems`` with ``mIoU``, ``boundary_IoU``, ``thin_IoU``, ``seconds_per_image``,
            ``changed_percent`` and ``per_class``.

    Yields:
        Title, a value per system, and whether it is a score, so that its difference to the first system means something.
    """
    systems = report["systems"]
    scores = {"mIoU": "mIoU", f"boundary IoU, {report['boundary_radius_px']} px": "boundary_IoU", "IoU of thin classes": "thin_IoU"}
    for title, key in scores.items():
        yield title, [system[key] for system in systems], True
    yield "seconds per image", [system["seconds_per_image"] for system in systems], False
    yield "pixels changed, %", [system["changed_percent"] for system in systems], False
    for i, first in enumerate(systems[0]["per_class"]):
        yield f"IoU {first['class']}", [system["per_class"][i]["IoU"] for system in systems], True


def list_regions(report: Mapping) -> Iterator[tuple[str, list[int]]]:
    """List how many regions each refiner accepted and refused, by verdict: all of them, then those of each class.

    Args:
        report: ``systems``, the baseline first, with ``regions`` (verdict to number) and ``regions_per_class`` (class to the same).
    """
    parts = [{"all": system.get("regions", {})} | system.get("regions_per_class", {}) for system in report["systems"][1:]]
    for name in dict.fromkeys(name for part in parts for name in part):
        for verdict in dict.fromkeys(verdict for part in parts for verdict in part.get(name, {})):
            yield f"{name}: {verdict}", [part.get(name, {}).get(verdict, 0) for part in parts]
