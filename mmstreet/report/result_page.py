"""The result page of one model: mean, weighted and category IoU of each split, the confusion matrices, and rows of examples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from mmstreet.files.tables import format_cell

SCORES = {
    "mIoU": "mean IoU",
    "fwIoU": "weighted IoU (by true pixels)",
    "catIoU": "category IoU",
    "aAcc": "pixel accuracy",
    "mAcc": "mean class accuracy",
}
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 76rem; margin: 1rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; } p { color: #777; overflow-wrap: anywhere; }
div { overflow-x: auto; } table { border-collapse: collapse; }
td, th { padding: .2rem .9rem .2rem 0; border-bottom: 1px solid #8884; text-align: left; }
td + td, th + th { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; height: auto; background: white; }
"""
_PICTURES = {"confusion_matrix.png": "Confusion matrix", "examples.png": "Input, prediction, truth", "worst.png": "Lowest mean IoU"}


def write_result_page(reports: Mapping[str, Mapping], *, folder: str | Path, config: str | None, checkpoint: str | None) -> Path:
    """Write ``results.html`` beside the splits' folders, whose pictures it shows.

    Args:
        reports: Evaluation of each split, as of :func:`mmstreet.metrics.summary.summarize`, with ``metrics``, ``categories`` and
            ``per_class``. The key is the folder of its pictures below ``folder``, such as ``val`` or ``val/scene``.
        folder: Where the page goes.
        config: Config file, named on the page.
        checkpoint: Checkpoint, named on the page.

    Returns:
        Path of the page. Values in per cent; ``n/a`` where nothing could be measured.
    """
    folder, splits = Path(folder), list(reports)
    scores = [[words, *(report["metrics"].get(key) for report in reports.values())] for key, words in SCORES.items()]
    groups = dict.fromkeys(name for report in reports.values() for name in report["categories"])
    categories = [[name, *(report["categories"].get(name) for report in reports.values())] for name in groups]
    ious = [{row["class"]: row["IoU"] for row in report["per_class"]} for report in reports.values()]
    names = dict.fromkeys(name for found in ious for name in found)
    parts = [
        f"<h1>{escape(Path(config).stem if config else 'Results')}</h1>",
        f"<p>{escape(str(config))}<br>{escape(str(checkpoint))}</p>",
        _table("per cent", splits, [row for row in scores if any(value is not None for value in row[1:])]),
    ]
    if categories:
        parts += ["<h2>IoU per category</h2>", _table("category", splits, categories)]
    parts += ["<h2>IoU per class</h2>", _table("class", splits, [[name, *(found.get(name) for found in ious)] for name in names])]
    for picture, words in _PICTURES.items():
        for split in splits:
            if (folder / split / picture).exists():
                title = f"{words}: {split}"
                parts.append(f'<h2>{escape(title)}</h2>\n<img src="{escape(split)}/{picture}" alt="{escape(title)}">')
    head = f'<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n<title>Results</title>\n<style>{_STYLE}</style>'
    path = folder / "results.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    page = ['<!doctype html>\n<html lang="en">\n<head>', head, "</head>\n<body>", *parts, "</body>\n</html>\n"]
    path.write_text("\n".join(page), encoding="utf-8")
    return path


def _table(corner: str, header: Sequence[str], rows: Iterable[Sequence]) -> str:
    def line(cells: Iterable[object], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(format_cell(cell))}</{tag}>" for cell in cells) + "</tr>"

    return "\n".join(["<div><table>", line([corner, *header], "th"), *(line(row, "td") for row in rows), "</table></div>"])
