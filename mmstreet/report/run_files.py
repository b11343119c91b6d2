"""The files of a run, read from its work dir as JSON, CSV and text; no framework is needed and nothing is executed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmstreet.files import image_confusions
from mmstreet.files.config_text import parse_config
from mmstreet.files.image_confusions import ImageConfusions
from mmstreet.files.label_ids import IGNORE_INDEX
from mmstreet.report import shapes
from mmstreet.report.run_folder import RunFolder
from mmstreet.report.run_logs import Scalars, read_scalars


@dataclass(frozen=True)
class Evaluation:
    """One folder with a ``metrics.json``.

    Attributes:
        name: The folder within the work dir, such as ``'test'`` or ``'test/scene'``.
        folder: Where it is.
        content: What the file holds: ``metrics``, ``checkpoint`` and perhaps ``safety``.
        semantic: The evaluation of a semantic metric.
        instances: The evaluation of an instance metric, by protocol.
        kept: The images that were kept, as ``images/index.json`` lists them, with ``folder``; ``None`` without any.
    """

    name: str
    folder: Path
    content: Mapping
    semantic: Mapping | None
    instances: Mapping | None
    kept: Mapping | None

    def score(self, name: str) -> float | None:
        """A scalar of this evaluation; that of a metric with a prefix is under its prefix, which is also its folder."""
        metrics = self.content["metrics"]
        return metrics.get(f"{self.folder.name}/{name}", metrics.get(name))


@dataclass(frozen=True)
class Run:
    """One work dir, or the folder of a test.

    Attributes:
        name: Its last part.
        folder: Reads its files; names those that were left out.
        scalars: What was logged.
        evaluations: The tests, the one in ``test/`` first, a training split last.
        config: Values of the config of the training as mmengine dumped it; of the test where nothing was trained; empty without one.
        config_text: Its text.
        record: ``run.json``; empty if there is none.
        environment_text: The environment as mmengine logged it, for runs without ``run.json``.
        refinement: ``refinement.json`` of the first folder that has one, with ``folder``, where it is, and ``kept``.
    """

    name: str
    folder: RunFolder
    scalars: Scalars
    evaluations: Sequence[Evaluation]
    config: Mapping
    config_text: str
    record: Mapping
    environment_text: str
    refinement: Mapping

    @property
    def main(self) -> Evaluation | None:
        """The evaluation that speaks for the run."""
        return next((one for one in self.evaluations if one.semantic or one.instances), self.evaluations[0] if self.evaluations else None)

    def image_counts(self, one: Evaluation | None) -> ImageConfusions | None:
        """Counts of every image of an evaluation; ``None`` without a file, or where they are not those of its scores."""
        if one is None or one.semantic is None:
            return None
        semantic, path = one.semantic, one.folder / image_confusions.FILE
        found = self.folder.image_confusions(path, num_classes=len(semantic["classes"]))
        if found is None or found.scored(semantic["scope"]).sum(0).tolist() == semantic["confusion"]:
            return found
        return self.folder.leave_out(path, ValueError("its counts do not add up to the confusion in metrics.json"))


def read_run(work_dir: str | Path, *, name: str | None = None) -> Run:
    """Read a work dir.

    Args:
        work_dir: The folder that training or testing wrote into.
        name: What to call the run; default: the folder's name.

    Raises:
        ValueError: If the folder does not exist, or holds neither logs nor results that can be read.
    """
    folder = RunFolder(work_dir)
    if not folder.path.is_dir():
        raise ValueError(f"'{folder.path}' is no folder; give the work dir of a run, e.g. work_dirs/deeplabv3_mini_v3")
    scalars = read_scalars(folder)
    evaluations = _read_evaluations(folder)
    if not (scalars.train or scalars.val or evaluations):
        raise ValueError(
            f"nothing to report in '{folder.path}': it has neither logs (<start>/vis_data/scalars.json) nor results (test/metrics.json); "
            "train or test a config with --work-dir pointing there first" + "".join(f"; {problem}" for problem in folder.problems[:3])
        )
    config_text = _find_config(folder)
    return Run(
        name=name or folder.path.resolve().name,
        folder=folder,
        scalars=scalars,
        evaluations=evaluations,
        config=_read_config(config_text, folder),
        config_text=config_text,
        record=folder.json(folder.path / "run.json", shapes.RECORD) or {},
        environment_text=_find_environment(folder),
        refinement=_find_refinement(folder, [one.folder for one in evaluations]),
    )


def _read_evaluations(folder: RunFolder) -> list[Evaluation]:
    found = []
    for depth in ("", "*/", "*/*/", "*/*/*/"):
        for file in sorted(folder.path.glob(f"{depth}metrics.json")):
            content = folder.json(file, shapes.EVALUATION)
            if content and not (content.get("calibration") or {"measured": [1]})["measured"]:
                content = folder.leave_out(file, ValueError("'calibration.measured' should not be empty"))
            if content is not None:
                parts = content.get("evaluation") or {}
                found.append(
                    Evaluation(
                        file.parent.relative_to(folder.path).as_posix() if depth else file.parent.resolve().name,
                        file.parent,
                        content,
                        _read_semantic(folder, file, parts) if "confusion" in parts else None,
                        _read_instances(folder, file, parts) if "protocols" in parts else None,
                        _read_kept(folder, file.parent / "images"),
                    )
                )
    if any(one.name.partition("/")[0] == "test" for one in found):
        found = [one for one in found if one.name.partition("/")[0] != "validation"]  # the end of the training, measured again
    return sorted(found, key=_rank)


def _read_semantic(folder: RunFolder, file: Path, content: Mapping) -> Mapping | None:
    try:
        shapes.check_shape(content, shapes.SEMANTIC, "evaluation")
        size = len(content["classes"])
        if [len(row) for row in content["confusion"]] != [size + 1] * (size + 1):
            raise ValueError(f"'evaluation.confusion' should have {size + 1} rows and columns for {size} classes")
        _check_limits(content)
        for row in (row for rows in content.get("slices", {}).values() for row in rows):
            if not len(row["IoU"]) == len(row["truth_pixels"]) == size or (row["interval"] and len(row["interval"]) != 2):
                raise ValueError(f"'evaluation.slices' should have {size} values of each slice, one per class, and two limits")
        if [row["class"] for row in content["per_class"]] != content["classes"]:
            raise ValueError("'evaluation.per_class' should have one row for each of 'evaluation.classes'")
    except ValueError as error:
        return folder.leave_out(file, error)
    return content


def _check_limits(content: Mapping) -> None:
    if any(limits and len(limits) != 2 for limits in content.get("intervals", {}).get("scores", {}).values()):
        raise ValueError("'evaluation.intervals.scores' should have two limits for each score")


def _read_instances(folder: RunFolder, file: Path, content: Mapping) -> Mapping | None:
    try:
        shapes.check_shape(content, shapes.INSTANCES, "evaluation")
        _check_limits(content)
        parts = [part for values in content.get("by", {}).values() for found in values.values() for part in found.values()]
        if any(part.get("interval") and len(part["interval"]) != 2 for part in parts):
            raise ValueError("'evaluation.by' should have two limits in each 'interval'")
        for name, part in content["protocols"].items():
            if any(len(values["precision"]) != len(part["curve"]["recall"]) for values in part["curve"]["classes"].values()):
                raise ValueError(f"'evaluation.protocols.{name}.curve' should have as many values of 'precision' as of 'recall'")
    except ValueError as error:
        return folder.leave_out(file, error)
    return content


def _read_kept(folder: RunFolder, path: Path) -> Mapping | None:
    content = folder.json(path / "index.json", shapes.KEPT_IMAGES)
    if content and len(content["classes"]) >= IGNORE_INDEX:
        content = folder.leave_out(path / "index.json", ValueError(f"'classes' should be fewer than {IGNORE_INDEX}"))
    return content and content | {"folder": path}


def _rank(one: Evaluation) -> tuple:
    """What speaks for a run comes first: its test, or the test's validation split; the training split comes last."""
    parts = one.name.split("/")
    return one.name not in ("test", "validation"), "train" in parts, parts[0] != "test", one.name


def _find_refinement(folder: RunFolder, places: Sequence[Path]) -> dict:
    for place in places:
        found = folder.json(place / "refinement.json", shapes.REFINEMENT)
        if found and any(limits and len(limits) != 2 for one in found["systems"] for limits in one.get("differences", {}).values()):
            found = folder.leave_out(place / "refinement.json", ValueError("'systems.differences' should have two limits for each score"))
        if found and found["systems"]:
            labels = [[row["class"] for row in system["per_class"]] for system in found["systems"]]
            if labels.count(labels[0]) == len(labels):
                return found | {"kept": _read_kept(folder, place / "refinement")}
            folder.leave_out(place / "refinement.json", ValueError("'systems' should all have the same classes in 'per_class'"))
    return {}


def _find_config(folder: RunFolder) -> str:
    dumped = [
        file.parent / "config.py" for file in sorted(folder.path.glob("*/vis_data/scalars.json")) if file.is_file() and file.stat().st_size
    ]
    files = [*reversed(dumped), *sorted(folder.path.glob("*.py"))]
    return next((text for file in files if (text := folder.text(file)) is not None), "")


def _read_config(text: str, folder: RunFolder) -> Mapping:
    try:
        return parse_config(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        folder.problems.append(f"the config of the run cannot be read ({type(error).__name__}: {error}); it is shown as text only")
        return {}


def _find_environment(folder: RunFolder) -> str:
    for log in sorted(folder.path.glob("*/*.log")):
        _, found, rest = (folder.text(log, limit=20_000) or "").partition("System environment:\n")
        if found:
            lines = [line.strip() for line in rest.partition("\n----")[0].splitlines()]
            return "\n".join(line for line in lines if line and len(line) < 200 and not line.startswith("- "))
    return ""
