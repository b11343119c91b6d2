"""Shards give the samples that the files give, in the same order, whatever the number of workers and wherever a run was stopped."""

import itertools
import tarfile

import numpy as np
import pytest
import torch
from mmengine.registry import DATA_SAMPLERS, DATASETS
from PIL import Image
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from mmstreet.datasets.inventory import inventory_of_config
from mmstreet.datasets.sem_seg import BDD100KSemSeg
from mmstreet.datasets.shard_sampler import ShardSampler, shuffle_shards
from mmstreet.datasets.shards import ShardedSemSeg
from mmstreet.datasets.verify import verify
from mmstreet.engine.replay import SeededBatches, seeded_loader
from mmstreet.files.images import write_image
from mmstreet.files.tar_members import Member, address_of, index_tar, is_address, read_member
from mmstreet.formats import shards
from mmstreet.formats.convert import convert
from mmstreet.formats.semantic import SemanticReader
from mmstreet.formats.shards import ShardWriter

LOAD = [dict(type="mmstreet.LoadImage"), dict(type="mmstreet.LoadLabels")]


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name in (*(f"train/{i}" for i in range(5)), "val/0"):
        write_image(rng.integers(0, 256, (24, 32, 3), np.uint8), root / f"files/images/10k/{name}.jpg")
        write_image(rng.choice([0, 7, 18, 255], (24, 32)).astype(np.uint8), root / f"files/labels/sem_seg/masks/{name}.png")
    reader = SemanticReader(root / "files/labels/sem_seg/masks", image_root=root / "files/images/10k")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "MAX_BYTES", 9000)  # several archives
        convert(reader, ShardWriter(root / "shards"), workers=1, progress=False)
    assert len(list((root / "shards").glob("train-*.tar"))) > 1
    return root / "files", root / "shards"


def test_samples_are_those_of_the_files(roots):
    files, packed = (kind(data_root=str(root), pipeline=LOAD) for kind, root in zip((BDD100KSemSeg, ShardedSemSeg), roots))
    assert (len(packed), packed.metainfo["classes"]) == (5, files.metainfo["classes"])
    for one, other in zip(files, packed):
        np.testing.assert_array_equal(one["img"], other["img"])
        np.testing.assert_array_equal(one["gt_seg_map"], other["gt_seg_map"])
        assert other["img_path"].endswith(one["img_path"].rpartition("/")[2])
    assert len(DATASETS.build(dict(type="mmstreet.ShardedSemSeg", data_root=str(roots[1]), split="val"))) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_order_and_random_numbers_depend_on_seed_and_place_alone(roots, workers):
    def names(skip, number):
        data = ShardedSemSeg(data_root=str(roots[1]), pipeline=[*LOAD, dict(type="RandomFlip", prob=0.5)])
        sampler = RandomSampler(data, generator=torch.Generator().manual_seed(3))
        batches = SeededBatches(BatchSampler(sampler, 1, drop_last=False), seed=7, rank=0, world_size=1)
        batches.skip = skip
        loader = seeded_loader(DataLoader(data, batch_size=1, num_workers=number, collate_fn=list), batches)
        return [(sample["img_path"], sample["flip"]) for batch in loader for sample in batch]

    whole = names(0, 0)
    assert len({path for path, _ in whole}) == 5
    assert names(0, workers) == whole
    assert names(3, workers) == whole[3:]


def test_the_sampler_shuffles_within_a_window_of_shards(roots):
    data = ShardedSemSeg(data_root=str(roots[1]))
    shards = [data.get_data_info(i)["img_path"].partition(".tar")[0] for i in range(len(data))]
    sampler = DATA_SAMPLERS.build(dict(type="mmstreet.ShardSampler", window=1, seed=3), default_args=dict(dataset=data))
    orders = set()
    for epoch in range(20):
        sampler.set_epoch(epoch)
        order = list(sampler)
        assert sorted(order) == list(range(5))
        assert list(sampler) == order
        changes = sum(shards[a] != shards[b] for a, b in itertools.pairwise(order))
        assert changes == len(set(shards)) - 1  # each shard in one stretch
        orders.add(tuple(order))
    assert len(orders) > 5


def test_shards_are_mixed_in_windows_and_every_sample_comes_once():
    shards = [np.arange(10 * i, 10 * i + 10) for i in range(6)]
    order = shuffle_shards(shards, window=2, seed=(0, 1))
    assert sorted(order.tolist()) == list(range(60))
    stretches = [set((order[start : start + 20] // 10).tolist()) for start in (0, 20, 40)]
    assert [len(stretch) for stretch in stretches] == [2, 2, 2]
    assert set.union(*stretches) == set(range(6))
    assert shuffle_shards(shards, window=2, seed=(0, 2)).tolist() != order.tolist()


def test_processes_share_the_order_out(roots, monkeypatch):
    data = ShardedSemSeg(data_root=str(roots[1]))
    whole, parts = list(ShardSampler(data, window=2, seed=1)), []
    for rank in range(2):
        monkeypatch.setattr("mmengine.dataset.sampler.get_dist_info", lambda rank=rank: (rank, 2))
        parts.append(list(ShardSampler(data, window=2, seed=1)))
    assert [len(part) for part in parts] == [3, 3]
    assert [index for pair in zip(*parts) for index in pair] == [*whole, whole[0]]
    with pytest.raises(ValueError, match="window must be 1 or more shards, got 0"):
        ShardSampler(data, window=0)
    files = BDD100KSemSeg(data_root=str(roots[0]))
    with pytest.raises(ValueError, match="needs images in tar files"):
        list(ShardSampler(files))


def test_verify_reads_the_members(roots, tmp_path):
    config = tmp_path / "config.py"
    parts = [dict(type="mmstreet.ShardedSemSeg", data_root=str(roots[1]), split=split) for split in ("train", "val")]
    config.write_text("".join(f"{part['split']}_dataloader = dict(dataset={part!r})\n" for part in parts))
    found = verify(inventory_of_config(config), workers=1, progress=False)
    labels = [np.asarray(Image.open(path)) for path in sorted((roots[0] / "labels").rglob("*.png"))]
    assert found["problems"] == []
    assert [row["pixels"] for row in found["classes"]] == [int(sum((x == i).sum() for x in labels)) for i in range(19)]


def test_what_no_shard_is_is_named(roots, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no 'test-\*\.tar' in .* holds"):
        ShardedSemSeg(data_root=str(roots[1]), split="test")
    (tmp_path / "train-0.tar").write_bytes(b"no archive")
    (tmp_path / "train-1.tar").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"no classes\.json"):
        ShardedSemSeg(data_root=str(tmp_path))
    with pytest.raises(ValueError, match=r"train-0\.tar is no whole, uncompressed tar archive"):
        ShardedSemSeg(data_root=str(tmp_path), classes=[dict(name="road")])


def test_a_member_is_read_by_its_address(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"content")
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name in ("d.e/k.txt", "d.e/k.cls.json"):
            archive.add(tmp_path / "a.txt", name)
    members = index_tar(tmp_path / "x.tar")
    assert {key: set(found) for key, found in members.items()} == {"d.e/k": {"txt", "cls.json"}}
    address = address_of(tmp_path / "x.tar", members["d.e/k"]["txt"])
    assert is_address(address)
    assert not is_address(tmp_path / "x.tar")
    assert read_member(address) == b"content"
    with pytest.raises(ValueError, match=r"ends inside 'a\.txt'"):
        read_member(address_of(tmp_path / "x.tar", Member("a.txt", 10**6, 7)))
