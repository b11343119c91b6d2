"""Code blocks of a document, as the files that it tells its reader to write."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^```python ([\w./]+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def write_blocks(document: str, folder: Path) -> list[str]:
    """Write every block whose fence names a file, and return the names."""
    blocks = _BLOCK.findall((DOCS / document).read_text(encoding="utf-8"))
    for name, text in blocks:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return [name for name, _ in blocks]
