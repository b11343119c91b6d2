"""Everything that a run left in its work dir, read from JSON, CSV and text; no framework is needed and nothing is executed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmstreet.files.config_text import parse_config
from mmstreet.report.run_logs import Scalars, read_scalars


@dataclass(frozen=True)
class Evaluation:
    """One folder with a ``metrics.json``.

    Attributes:
        name: The folder within the work dir, such as ``'test'`` or ``'test/scene'``.
        folder: Where it is.
        content: What the file holds: ``metrics``, and of ``evaluation``, ``safety`` what there is.
        worst: Rows of the worst images: ``images`` and ``legend``; empty where there are none.
    """

    name: str
    folder: Path
    content: Mapping
    worst: Mapping

    @property
    def semantic(self) -> Mapping | None:
        """The evaluation of a semantic metric."""
        evaluation = self.content.get("evaluation") or {}
        return evaluation if "confusion" in evaluation else None

    @property
    def instances(self) -> Mapping | None:
        """The evaluation of an instance metric, by protocol."""
        evaluation = self.content.get("evaluation") or {}
        return evaluation if "protocols" in evaluation else None

    @property
    def safety(self) -> Mapping | None:
        """The road-safety score of the set."""
        return self.content.get("safety")


@dataclass(frozen=True)
class Run:
    """One work dir.

    Attributes:
        name: Its last part.
        path: The folder.
        scalars: What was logged.
        evaluations: The tests, the one in ``test/`` first, a training split last.
        config_text: The config of the training as mmengine dumped it; of the test where nothing was trained; empty if there is none.
        record: ``run.json``; empty if there is none.
        environment_text: The environment as mmengine logged it, for runs without ``run.json``.
        refinement: ``refinement.json`` of the first evaluation that has one, with ``folder``, where it lies.
    """

    name: str
    path: Path
    scalars: Scalars
    evaluations: Sequence[Evaluation]
    config_text: str
    record: Mapping
    environment_text: str
    refinement: Mapping

    @property
    def config(self) -> dict:
        """The dumped config's values; empty without a config that can be read."""
        try:
            return parse_config(self.config_text)
        except SyntaxError:
            return {}

    @property
    def main(self) -> Evaluation | None:
        """The evaluation that speaks for the run."""
        return next((one for one in self.evaluations if one.semantic or one.instances), self.evaluations[0] if self.evaluations else None)


def read_run(work_dir: str | Path, *, name: str | None = None) -> Run:
    """Read a work dir.

    Args:
        work_dir: The folder that training or testing wrote into.
        name: What to call the run; default: the folder's name.

    Raises:
        ValueError: If the folder does not exist, or holds neither logs nor results.
    """
    path = Path(work_dir)
    if not path.is_dir():
        raise ValueError(f"'{path}' is no folder; give the work dir of a run, e.g. work_dirs/deeplabv3_mini_v3")
    scalars = read_scalars(path)
    evaluations = _read_evaluations(path)
    if not (scalars.train or scalars.val or evaluations):
        raise ValueError(
            f"nothing to report in '{path}': it has neither logs (<start>/vis_data/scalars.json) nor results (test/metrics.json); "
            "train or test a config with --work-dir pointing there first"
        )
    return Run(
        name=name or path.resolve().name,
        path=path,
        scalars=scalars,
        evaluations=evaluations,
        config_text=_find_config(path),
        record=_read_json(path / "run.json") or {},
        environment_text=_find_environment(path),
        refinement=_find_refinement([one.folder for one in evaluations]),
    )


def _read_evaluations(path: Path) -> list[Evaluation]:
    found = []
    for depth in ("*", "*/*", "*/*/*"):
        for file in path.glob(f"{depth}/metrics.json"):
            content = _read_json(file)
            if content and isinstance(content.get("metrics"), dict):
                found.append(
                    Evaluation(str(file.parent.relative_to(path)), file.parent, content, _read_json(file.parent / "worst/index.json") or {})
                )
    if any(one.name.partition("/")[0] == "test" for one in found):
        found = [one for one in found if one.name.partition("/")[0] != "validation"]  # the end of the training, measured again
    return sorted(found, key=_rank)


def _rank(one: Evaluation) -> tuple:
    """What speaks for a run comes first: its test, or the test's validation split; the training split comes last."""
    return one.name not in ("test", "validation"), one.name.endswith("train"), one.name.partition("/")[0] != "test", one.name


def _find_refinement(folders: Sequence[Path]) -> dict:
    for folder in folders:
        found = _read_json(folder / "refinement.json")
        if found and found.get("systems"):
            return found | {"folder": folder}
    return {}


def _find_config(path: Path) -> str:
    dumped = [file.parent / "config.py" for file in sorted(path.glob("*/vis_data/scalars.json")) if file.stat().st_size]
    files = [*reversed(dumped), *sorted(path.glob("*.py"))]
    return next((file.read_text(encoding="utf-8") for file in files if file.is_file()), "")


def _find_environment(path: Path) -> str:
    for log in sorted(path.glob("*/*.log")):
        with open(log, encoding="utf-8", errors="replace") as file:
            head = file.read(20_000)
        _, found, rest = head.partition("System environment:\n")
        if found:
            lines = [line.strip() for line in rest.partition("\n----")[0].splitlines()]
            return "\n".join(line for line in lines if line and len(line) < 200 and not line.startswith("- "))
    return ""


def _read_json(path: Path) -> dict | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
