"""How a model's scores fall under noise, blur, weather and compression: a file per cell of kind and severity, so that a run can go on."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.dist import all_gather_object, broadcast_object_list, get_rank, get_world_size, is_main_process
from mmengine.hooks import EMAHook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.registry import METRICS
from mmengine.runner import Runner, autocast
from mmengine.structures import BaseDataElement
from torch.utils.data import DataLoader, Dataset, Subset

from mmstreet.engine.errors import LaunchError
from mmstreet.evaluation.corruption_summary import CLEAN, FOLDER, Cell, format_cells, list_cells, list_pictures, read_cell, summarize_cells
from mmstreet.evaluation.kept_images import MapRules
from mmstreet.evaluation.result_folder import ResultFolder
from mmstreet.evaluation.semantic_metrics import first_semantic
from mmstreet.files.atomic import write_json
from mmstreet.files.contained import path_inside
from mmstreet.files.dataset_parts import dataset_parts
from mmstreet.files.pictures import write_label_map, write_photo
from mmstreet.files.tables import write_csv
from mmstreet.metrics.semantic import StreetIoUMetric
from mmstreet.predict.reading import reading_of
from mmstreet.transforms.corruptions import GROUPS, KINDS, MOVES_LABELS, SEVERITIES, CorruptImage, CorruptLabels, corrupt_image

QUICK_SEVERITIES, QUICK_IMAGES = (1, 3, 5), 40
PICTURE_PX = 320


def choose_kinds(names: Sequence[str]) -> list[str]:
    """Return the kinds that are named by themselves or by their group, in the order of the table; of no name all.

    Raises:
        LaunchError: If a name is neither.
    """
    for name in names:
        if name not in KINDS and name not in GROUPS:
            raise LaunchError(f"there is no corruption '{name}'; choose groups ({', '.join(GROUPS)}) or kinds ({', '.join(KINDS)})")
    chosen = {kind for name in names or GROUPS for kind in ([name] if name in KINDS else [one.__name__ for one in GROUPS[name]])}
    return [kind for kind in KINDS if kind in chosen]


def run_corruptions(runner: Runner, kinds: Sequence[str], *, out: str | Path, quick: bool = False) -> None:
    """Score a model on its corrupted test set and write ``corruptions/`` beside the results of its test.

    Every process takes its share of the images; a cell whose file is there for the same weights, images and settings is not run again.

    Args:
        runner: After its test, so that weights are loaded.
        kinds: See :func:`choose_kinds`.
        out: Folder of the results.
        quick: Three severities, and up to 40 images spread over the test set.

    Raises:
        LaunchError: If the config has no semantic metric of this package, or a folder of ``out`` is a link to elsewhere.
    """
    work = _Work.prepare(runner, out=Path(out), quick=quick)
    severities = QUICK_SEVERITIES if quick else SEVERITIES
    cells = [Cell(CLEAN, 0), *(Cell(kind, severity) for kind in kinds for severity in severities)]
    shown = {cells[0], *(Cell(kind, severities[len(severities) // 2]) for kind in kinds)}
    missing = [[cell for cell in cells if read_cell(work.folder, cell, work.identity) is None]]
    broadcast_object_list(missing)  # one process decides for all
    if len(missing[0]) < len(cells):
        print_log(f"corruptions: {len(cells) - len(missing[0])} of {len(cells)} cells are there already", "current")
    averaged = [hook for hook in runner.hooks if isinstance(hook, EMAHook)]  # a test takes their weights, and puts them away at its end
    for hook in averaged:
        hook.before_test_epoch(runner)
    try:
        for number, cell in enumerate(missing[0], 1):
            started = time.monotonic()
            work.run(cell, keep_pictures=cell in shown)
            seconds = time.monotonic() - started
            print_log(f"corruptions: {cell}, {number} of {len(missing[0])} cells, {seconds:.0f} s each", "current")
    finally:
        for hook in averaged:
            hook.after_test_epoch(runner)
    if is_main_process():
        files = work.write(cells, shown)
        ResultFolder(out, runner.cfg.get("load_from")).add(files)


@dataclass(frozen=True, eq=False)
class _Work:
    """What all cells share."""

    runner: Runner
    model: torch.nn.Module
    metric: StreetIoUMetric
    folder: Path
    images: Sequence[int]
    identity: str

    @classmethod
    def prepare(cls, runner: Runner, *, out: Path, quick: bool) -> _Work:
        cfg = runner.cfg
        settings = first_semantic(cfg)
        if settings is None:
            raise LaunchError("--corruptions compares the mIoU of mmstreet.StreetIoUMetric, and the config's test_evaluator has none")
        settings = {key: value for key, value in settings.items() if key not in ("by", "attributes", "prefix")}
        dataset = runner.test_loop.dataloader.dataset
        count = len(dataset)
        images = np.linspace(0, count - 1, min(count, QUICK_IMAGES) if quick else count).round().astype(int).tolist()
        paths = [str(dataset.get_data_info(i)["img_path"]) for i in images]
        try:
            folder = path_inside(out, FOLDER)
        except ValueError as error:
            raise LaunchError(f"the results were not written: {error}") from error
        facts = [
            ResultFolder(out, cfg.get("load_from")).checkpoint,
            paths,
            settings,
            cfg.test_dataloader.dataset,
            cfg.model,
            cfg.get("test_cfg"),
        ]
        metric = METRICS.build(settings)
        metric.dataset_meta = dataset.metainfo
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        return cls(runner, model, metric, folder, images, hashlib.sha256(repr(facts).encode("utf-8", "replace")).hexdigest())

    @torch.no_grad()
    def run(self, cell: Cell, *, keep_pictures: bool) -> None:
        """Count one cell, each process its share of the images, and write the file of the cell."""
        cfg, rank = self.runner.cfg, get_rank()
        size = len(self.metric.names) + 1
        total = np.zeros((size, size), np.int64)
        half = bool((cfg.get("test_cfg") or {}).get("fp16"))
        with corrupted(self.runner.test_loop.dataloader.dataset, cell) as dataset:
            loader = DataLoader(
                Subset(dataset, self.images[rank :: get_world_size()]),
                batch_size=cfg.test_dataloader.get("batch_size", 1),
                num_workers=cfg.test_dataloader.get("num_workers", 0),
                collate_fn=pseudo_collate,
            )
            for number, batch in enumerate(loader):
                with autocast(enabled=half):
                    outputs = self.model.test_step(batch)
                if keep_pictures and rank == number == 0:
                    self._write_pictures(cell, outputs[0])
                self.metric.process(batch, [one.to_dict() for one in outputs])
        self.metric.flush()  # a GPU may still be counting the last batch
        total += sum(counts for _, counts, _ in self.metric.results)
        self.metric.results.clear()
        total = sum(all_gather_object(total))
        if rank == 0:
            write_json({"identity": self.identity, "confusion": total}, self.folder / cell.file)

    def write(self, cells: Sequence[Cell], shown: Collection[Cell]) -> list[Path]:
        """Write what all cells say together, and return every file of the folder."""
        cfg, folder = self.runner.cfg, self.folder
        counts = {cell: read_cell(folder, cell, self.identity) for cell in cells}
        content = {"config": cfg.filename, "checkpoint": cfg.get("load_from")} | summarize_cells(
            counts, self.metric, images=len(self.images)
        )
        write_json(content, folder / "metrics.json")
        write_csv(list_cells(content["corruptions"]), folder / "cells.csv")
        write_json(list_pictures(folder, [cell for cell in cells if cell in shown], MapRules.of(self.metric)), folder / "pictures.json")
        print_log(f"written to '{folder}'\n{format_cells(content['corruptions'])}", "current")
        return [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]

    def _write_pictures(self, cell: Cell, output: BaseDataElement) -> None:
        """Keep what the model saw of the first image, what it made of it, and the truth where it is new."""
        image = reading_of(self.runner.cfg).read(output.img_path)
        if cell.kind != CLEAN:
            image = corrupt_image(image, cell.kind, cell.severity, name=Path(output.img_path).name)
        write_photo(image, self.folder / f"{cell}_image.jpg", width_px=PICTURE_PX)
        maps = {"prediction": output.pred_sem_seg}
        if cell.kind == CLEAN or cell.kind in MOVES_LABELS:
            maps["truth"] = output.gt_sem_seg
        rules = MapRules.of(self.metric)
        for title, found in maps.items():
            ids = found.data.reshape(found.data.shape[-2:]).to(torch.int64)
            step = -(-ids.shape[1] // PICTURE_PX)
            path = self.folder / f"{cell}_{title}.png"
            write_label_map(ids[::step, ::step].cpu().numpy(), rules.palette, path, ignore_index=rules.ignore_index)


@contextlib.contextmanager
def corrupted(dataset: Dataset, cell: Cell) -> Iterator[Dataset]:
    """Put the corruption into the pipelines of a data set for a while: of images right after they are loaded, of labels alike.

    Raises:
        LaunchError: If a pipeline does not load images by one step of a known name.
    """
    pipelines = [part.pipeline for part in dataset_parts(dataset)]
    before = [pipeline.transforms for pipeline in pipelines]
    try:
        for pipeline in pipelines:
            pipeline.transforms = _corrupted_steps(pipeline.transforms, cell)
        yield dataset
    finally:
        for pipeline, steps in zip(pipelines, before):
            pipeline.transforms = steps


def _corrupted_steps(steps: Sequence[Callable], cell: Cell) -> list[Callable]:
    if cell.kind == CLEAN:
        return list(steps)
    added = {"LoadImage": CorruptImage, "LoadImageFromFile": CorruptImage, "LoadLabels": CorruptLabels, "LoadAnnotations": CorruptLabels}
    changed = []
    for step in steps:
        kind = added.get(type(step).__name__)
        changed += [step] if kind is None else [step, kind(kind=cell.kind, severity=cell.severity)]
    if [type(step) for step in changed].count(CorruptImage) != 1:
        raise LaunchError("--corruptions needs one LoadImage or LoadImageFromFile in the test pipeline, to work on what it loads")
    return changed
