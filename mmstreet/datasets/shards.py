"""Training from WebDataset's tar shards, without unpacking them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmstreet.datasets.folders import describe_folder
from mmstreet.datasets.layouts import Layout
from mmstreet.datasets.sem_seg import StreetSemSeg
from mmstreet.files.tar_members import address_of, index_tar, shard_paths
from mmstreet.formats.class_lists import CLASSES, read_class_list
from mmstreet.formats.shards import pick_members
from mmstreet.labels import LabelTable
from mmstreet.registry import DATASETS

_SHARDS = Layout("webdataset", "", "", ".jpg", ".png")


@DATASETS.register_module()
class ShardedSemSeg(StreetSemSeg):
    """Samples in tar files: ``KEY.jpg`` with ``KEY.label.png`` in train ids, as ``mmstreet convert --to webdataset`` writes them.

    The heads of the archives are read once; after that each sample is reached by its place, in any order. So samplers, shuffling and exact
    resuming work as with files, and the order does not depend on the number of workers. ``mmstreet.LoadImage`` and ``mmstreet.LoadLabels``
    read the members.

    Args:
        data_root: Folder of ``SPLIT-*.tar`` and ``classes.json``, or one ``.tar`` file.
        split: Beginning of the archives' names; ``'.'`` takes all.
        classes: Rows of the class table of the label maps; None takes ``classes.json``.
        table: Class table of the labels when the pipeline is done with them, a name or rows. None takes that of the label maps.
        pipeline: Transforms.
        indices: The first so many samples, or the chosen ones.
        test_mode: A transform that gives up on an image is an error, and no other image takes its place.
        lazy_init: Read the archives at first use.
        serialize_data: Keep the list of samples as one array that worker processes share.
        max_refetch: How many other images are tried in the place of one that was skipped.
        cache: Keep images and label maps in memory, see :class:`mmstreet.datasets.sem_seg.StreetSemSeg`.

    Raises:
        FileNotFoundError: If there is no archive, or neither ``classes`` nor ``classes.json``.
        ValueError: If an archive is damaged or compressed, or a sample has no image or no label map; the message names both.
    """

    packed = True
    """Whether the files lie in archives, whose members have no paths of their own."""

    def __init__(
        self,
        *,
        data_root: str,
        split: str = "train",
        classes: Sequence[Mapping] | None = None,
        table: str | Sequence[Mapping] | None = None,
        pipeline: Sequence = (),
        indices: int | Sequence[int] | None = None,
        test_mode: bool = False,
        lazy_init: bool = False,
        serialize_data: bool = True,
        max_refetch: int = 1000,
        cache: bool = False,
    ):
        super().__init__(
            data_root=data_root,
            split=split,
            classes=classes,
            table=table,
            pipeline=pipeline,
            indices=indices,
            test_mode=test_mode,
            lazy_init=lazy_init,
            serialize_data=serialize_data,
            max_refetch=max_refetch,
            cache=cache,
        )

    def load_data_list(self) -> list[dict]:
        """List the samples in the order of the archives; their paths are addresses of members."""
        found = shard_paths(self.data_root)
        own = [path for path in found if self.split == "." or path.name.startswith(f"{self.split}-") or len(found) == 1]
        if not own:
            raise FileNotFoundError(f"no '{self.split}-*.tar' in '{self.data_root}': {describe_folder(self.data_root)}")
        data = []
        for shard in own:
            for key, members in index_tar(shard).items():
                image, label, _ = pick_members(key, members, shard)
                if label is None:
                    raise ValueError(f"{shard}: sample '{key}' has no label map, only {', '.join(members)}")
                paths = dict(img_path=address_of(shard, image), seg_map_path=address_of(shard, label))
                data.append(dict(**paths, label_map=None, reduce_zero_label=False, seg_fields=[]))
        return data

    def _choose_layout(self, root: str, layout: str | Mapping | None, *, needed: bool) -> Layout:
        return _SHARDS

    def _layout_table(self, root: str, table: str | Sequence[Mapping] | None) -> LabelTable:
        folder = Path(root) if Path(root).is_dir() else Path(root).parent
        found = read_class_list(folder)
        if found is None:
            raise FileNotFoundError(f"there is no {CLASSES} in '{folder}'; give classes=[dict(name=…), …], in the order of the ids")
        return found
