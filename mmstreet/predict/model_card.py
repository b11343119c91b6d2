"""The page of a published model: what it predicts, how well, on what it was trained, and under which licence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

_HUB_LICENCES = (
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0"),
    *("gpl-3.0", "agpl-3.0", "lgpl-3.0", "mpl-2.0", "openrail", "unlicense"),
)
"""Licences by the names that the hub knows; others are written as ``other`` with their name."""
_SCORES = ("mIoU", "mAcc", "aAcc", "fwIoU")


def render_card(
    *,
    name: str,
    licence: str,
    classes: Sequence[str],
    architecture: str,
    files: Mapping[str, str],
    usage: str,
    metrics: Mapping[str, float] | None = None,
    data: str | None = None,
) -> str:
    """Return the card as Markdown with the header that the Hugging Face hub reads.

    Args:
        name: Name of the model.
        licence: Its licence, by its SPDX name where there is one.
        classes: Class names in the order of their ids.
        architecture: The network, in words.
        files: What each file of the folder is.
        usage: Python code that loads the model.
        metrics: Scores in per cent by name, ``IoU/<class>`` among them; ``None`` where it was not tested.
        data: What it was tested on.
    """
    known = licence.lower() in _HUB_LICENCES
    head: dict = {
        "license": licence.lower() if known else "other",
        **({} if known else {"license_name": licence}),
        "library_name": "mmstreet",
        "pipeline_tag": "image-segmentation",
        "tags": ["semantic-segmentation", "street-scenes", "mmstreet"],
    }
    metrics = {key: value for key, value in (metrics or {}).items() if isinstance(value, int | float)}
    scores = {key: metrics[key] for key in _SCORES if key in metrics}
    if scores:
        results = [{"type": "mean_iou" if key == "mIoU" else key, "name": key, "value": round(value, 2)} for key, value in scores.items()]
        dataset = {"name": data or "own data", "type": "image"}
        task = {"type": "image-segmentation", "name": "Semantic segmentation"}
        head["model-index"] = [{"name": name, "results": [{"task": task, "dataset": dataset, "metrics": results}]}]
    # JSON is YAML, and json.dumps escapes what a name may hold.
    lines = [
        "---",
        *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()),
        "---",
        "",
        f"# {' '.join(name.split())}",
        "",
    ]
    lines += [
        f"{architecture}, {len(classes)} classes of the street. Licence: {' '.join(licence.split())}.",
        "",
        "```python",
        usage.strip(),
        "```",
        "",
    ]
    if scores:
        lines += ["## Scores", "", f"Measured with `mmstreet test`{f' on {data}' if data else ''}, in per cent.", ""]
        lines += [f"| {' | '.join(scores)} |", f"|{'---|' * len(scores)}", f"| {' | '.join(f'{v:.2f}' for v in scores.values())} |", ""]
    lines += ["## Classes", "", "| id | class | IoU |", "|---|---|---|"]
    for i, label in enumerate(classes):
        value = metrics.get(f"IoU/{label}")
        shown = label.replace("|", r"\|")
        lines.append(f"| {i} | {shown} | {'–' if value is None else f'{value:.1f}'} |")
    lines += ["", "## Files", "", *(f"- `{file}`: {what}" for file, what in files.items()), ""]
    return "\n".join(lines)
