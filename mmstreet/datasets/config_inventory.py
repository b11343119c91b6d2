"""The inventory of the data sets that a config names."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mmstreet.datasets.inventory import Inventory, Orphan
from mmstreet.datasets.layouts import SPLITS, Layout, list_files, name_pairs, no_images_message, read_list
from mmstreet.datasets.loading import LoadLabels
from mmstreet.files.config_files import find_config
from mmstreet.files.dataset_parts import dataset_parts


def inventory_of_config(path: str | Path) -> Inventory:
    """List the data that a config trains, validates and tests on, each data set once.

    Data sets of this package are listed by their layout or list file; another one is asked for its files, and needs
    ``mmstreet.LoadLabels(table=...)`` in its pipeline to say what its ids mean.

    Args:
        path: Config file, or the name of a config that comes with the package.

    Raises:
        FileNotFoundError: If a data set has no image or its list file does not exist.
        ValueError: If no data set is found, if a data set does not say its class table, or if two differ in it.
    """
    cfg = Config.fromfile(find_config(path))
    init_default_scope(cfg.get("default_scope", "mmseg"))
    inventory, seen = None, []
    for split in SPLITS:
        for leaf in dataset_parts((cfg.get(f"{split}_dataloader") or {}).get("dataset")):
            dataset = DATASETS.build({**leaf, "lazy_init": True})
            files = (str(dataset.data_prefix), dataset.ann_file, getattr(dataset, "split", None))
            if files in seen:
                continue
            seen.append(files)
            reading = _reading(dataset)
            if inventory is None:
                inventory = Inventory(str(path), **reading)
            elif reading != {key: getattr(inventory, key) for key in reading}:
                raise ValueError(f"the data sets of {path} are read in different ways; check each data root by itself instead")
            _add_dataset(inventory, dataset, split)
    if inventory is None:
        raise ValueError(f"{path} has no train_dataloader, val_dataloader or test_dataloader with a dataset; give a config that trains")
    return inventory


def _add_dataset(inventory: Inventory, dataset, name: str) -> None:
    layout = getattr(dataset, "layout", None)
    if isinstance(layout, Layout) and not dataset.ann_file:
        folder = Path(dataset.data_root) / layout.image_dir / dataset.split
        if not list_files(folder, layout.image_suffix):
            raise FileNotFoundError(no_images_message(folder, layout.image_suffix))
        inventory.add_folder(Path(dataset.data_root), layout, dataset.split, name)
        return
    if isinstance(layout, Layout):
        listed = [(p.image_path, p.label_path) for p in name_pairs(dataset.data_root, layout, dataset.split, read_list(dataset.ann_file))]
    else:
        dataset.full_init()
        infos = (dataset.get_data_info(i) for i in range(len(dataset)))
        listed = [(info["img_path"], info.get("seg_map_path")) for info in infos]
    there = {image: label for image, label in listed if Path(image).is_file()}
    inventory.orphans += [Orphan("listed image does not exist", name, image) for image, _ in listed if image not in there]
    label_of = {image: label for image, label in there.items() if label and Path(label).is_file()}
    inventory.add(name, {image: image for image in there}, label_of, labelled=any(label for _, label in listed))


def _reading(dataset) -> dict[str, str]:
    """How the label files of a data set are to be read, from its ``LoadLabels`` step or its layout."""
    layout = getattr(dataset, "layout", None)
    table, unlisted = (layout.table, layout.unlisted_ids) if isinstance(layout, Layout) else (None, "error")
    for step in dataset.pipeline.transforms:
        if isinstance(step, LoadLabels):
            return dict(table=step.label_table or table, palette=step.palette, unlisted=step.unlisted)
    if table is None:
        raise ValueError(
            f"{type(dataset).__name__} does not say which class table its label files follow; "
            "load them with dict(type='mmstreet.LoadLabels', table=...)"
        )
    return dict(table=table, palette="color", unlisted=unlisted)
