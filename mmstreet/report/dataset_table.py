"""A data set's verification as text: counts, pixels per class, suggested weights, problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from mmstreet.files.tables import markdown_table


def format_verification(report: Mapping, *, max_problems: int = 10) -> str:
    """Lay out a verification report.

    Args:
        report: What ``mmstreet.datasets.verify.verify`` returns, with ``weight`` in its classes if weights are suggested.
        max_problems: Problems of each kind that are written out; all are in the JSON file.

    Returns:
        Text of several paragraphs.
    """
    splits = [
        [name, split["images"], split["labels"], ", ".join(f"{size} ({count})" for size, count in list(split["sizes"].items())[:3])]
        for name, split in report["splits"].items()
    ]
    weighted = any("weight" in row for row in report["classes"])
    classes = [
        [row["name"], f"{row['pixels']:,}", f"{row['percent']:.2f} %", row["files"], *([row.get("weight")] if weighted else [])]
        for row in report["classes"]
    ]
    total = sum(row["pixels"] for row in report["classes"])
    parts = [
        f"{report['source']}, class table {report['table']}",
        markdown_table(["split", "images", "labels", "sizes"], splits),
        markdown_table(["class", "pixels", "share", "files", *(["weight"] if weighted else [])], classes),
        f"{total:,} labelled pixels, {report['void']:,} void ({100 * report['void'] / max(1, total + report['void']):.1f} %)",
    ]
    if weighted:
        parts.append(f"weights: {report['weights']}")
    kinds = Counter(problem["kind"] for problem in report["problems"])
    for kind, count in kinds.items():
        listed = [problem["message"] for problem in report["problems"] if problem["kind"] == kind][:max_problems]
        more = [f"  … and {count - len(listed)} more"] if count > len(listed) else []
        parts.append("\n".join([f"{kind}: {count}", *(f"  {message}" for message in listed), *more]))
    count = len(report["problems"])
    parts.append(f"{count or 'no'} problem{'s' * (count > 1)} found")
    return "\n\n".join(parts)
