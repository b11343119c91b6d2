"""Run folders with one file damaged: the page is written, or one sentence says which file cannot be used."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mmstreet.files.atomic import write_json
from mmstreet.report.page import write_page
from tests.helpers.run_folders import write_instances, write_logs, write_refinement, write_test
from tests.hostile.kinds import Cases, hostile
from tests.hostile.labels import damaged, texts

RECORD = {
    "commands": [{"kind": "train", "command": "a", "started": "2026-01-01T10:00:00", "ended": "2026-01-01T10:30:00+00:00"}],
    "config": {"file": "a.py", "question": "Why?", "base": "b.py", "changes": [["model.depth", "50", None]]},
    "environment": {"torch": "2"},
}


@hostile("run folders", errors=(ValueError,))
def run_folders(folder: Path, rng: np.random.Generator) -> Cases:
    runs = [write_refinement(write_test(write_logs(folder / "run"))), write_instances(write_logs(folder / "masks"))]
    write_json(RECORD, runs[0] / "run.json")
    for run in runs:
        for path in sorted(path for path in run.rglob("*") if path.suffix in (".json", ".py", ".png")):
            sound = path.read_bytes()
            if path.suffix == ".json" and path.name != "scalars.json":
                cases = texts(json.loads(sound), rng, 8)
            elif path.name == "scalars.json":
                rows = [json.loads(line) for line in sound.splitlines()[-3:]]
                cases = ((label, data[1:-1].replace(b"}, {", b"}\n{")) for label, data in texts(rows, rng, 20))
            else:
                cases = list(damaged(sound, rng, 2).items())[:: 1 if path.suffix == ".py" else 4]
            for label, data in cases:
                path.write_bytes(data)
                yield f"{path.relative_to(folder)}, {label}", _write(run, folder / "page.html")
            path.write_bytes(sound)


def _write(run: Path, out: Path) -> Callable[[], None]:
    def write() -> None:
        page = write_page([run], out).read_text(encoding="utf-8")
        assert not re.search(r'style="[^"]*url\(|src="(?!data:)', page)

    return write
