"""Verification finds each kind of damage that is planted, counts every pixel, and agrees with itself on any number of processes."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mmstreet.datasets import verify as module
from mmstreet.datasets.inventory import inventory_of_root
from mmstreet.datasets.verify import count_ids, verify
from mmstreet.files.atomic import write_json
from mmstreet.labels import BDD100K_SEM19
from tests.helpers.street_files import make_root, truncate, write_image, write_labels

RNG = np.random.default_rng(0)


@pytest.fixture
def root(tmp_path):
    return make_root(tmp_path, "bdd100k_10k", {"train": ["a", "b", "c", "d"], "val": ["z"]})


def mask(root, name, split="train"):
    return root / f"labels/sem_seg/masks/{split}/{name}.png"


def check(root, **settings):
    return verify(inventory_of_root(root), workers=1, progress=False, **settings)


def test_a_sound_data_set_has_no_problem(root):
    report = check(root)
    assert report["ok"]
    assert report["problems"] == []
    assert report["splits"]["train"]["sizes"] == {"32x24": 4}


def test_pixels_are_counted_per_split_and_class(root):
    expected = {"train": np.zeros(256, int), "val": np.zeros(256, int)}
    for split, names in (("train", "abcd"), ("val", "z")):
        for name in names:
            labels = RNG.choice([*range(19), 255], (24, 32))
            write_labels(mask(root, name, split), labels)
            for value in labels.ravel():
                expected[split][value] += 1
    report = check(root)
    for split in expected:
        assert report["splits"][split]["pixels"] == expected[split][:19].tolist()
        assert report["splits"][split]["void"] == expected[split][255]
    total = expected["train"] + expected["val"]
    for row, name, pixels in zip(report["classes"], BDD100K_SEM19.names, total):
        assert (row["name"], row["pixels"], row["files"]) == (name, pixels, 5)
        assert row["percent"] == pytest.approx(100 * pixels / total[:19].sum())
    assert report["void"] == total[255]


def test_every_kind_of_damage_is_found_by_name(root):
    truncate(root / "images/10k/train/a.jpg")
    truncate(mask(root, "b"), 0.7)
    write_labels(mask(root, "c"), np.zeros((12, 16)))
    labels = np.zeros((24, 32), np.uint8)
    labels[3, 7] = labels[9, 1] = 19
    labels[5, 0] = 77
    write_labels(mask(root, "d"), labels)
    write_image(root / "images/10k/val/alone.jpg")
    write_labels(mask(root, "widow", "val"), np.zeros((24, 32)))
    report = check(root)
    assert not report["ok"]
    found = {(p["kind"], p["split"], p["file"].rsplit("/", 1)[-1]) for p in report["problems"]}
    assert found == {
        ("unreadable image", "train", "a.jpg"),
        ("unreadable label", "train", "b.png"),
        ("wrong size", "train", "c.png"),
        ("id outside the table", "train", "d.png"),
        ("image without label", "val", "alone.jpg"),
        ("label without image", "val", "widow.png"),
    }
    ids = [(p["label_id"], p["y"], p["x"], p["count"]) for p in report["problems"] if p["kind"] == "id outside the table"]
    assert ids == [(19, 3, 7, 2), (77, 5, 0, 1)]


@pytest.mark.parametrize(("values", "kind"), [((0, 255), "black and white masks"), ((255, 255), "nothing labelled")])
def test_maps_that_hold_no_classes_are_named(values, kind, root):
    for name in "abcd":
        write_labels(mask(root, name), np.repeat(values, 12)[:, None].repeat(32, 1))
    (problem,) = check(root)["problems"]
    assert (problem["kind"], problem["split"]) == (kind, "train")


def test_unlisted_ids_can_be_void(root):
    write_labels(mask(root, "a"), np.full((24, 32), 77))
    inventory = inventory_of_root(root)
    inventory.reading = replace(inventory.reading, unlisted="ignore")
    report = verify(inventory, workers=1, progress=False)
    assert report["ok"]
    assert report["void"] == 24 * 32


def test_images_without_labels_are_read_too(root):
    truncate(write_image(root / "images/10k/test/t.jpg"))
    (problem,) = check(root)["problems"]
    assert (problem["kind"], problem["split"]) == ("unreadable image", "test")


def test_several_processes_give_the_same_report(root, monkeypatch):
    truncate(mask(root, "b"), 0.7)
    write_labels(mask(root, "a"), RNG.integers(0, 30, (24, 32)))
    monkeypatch.setattr(module, "_WORTH_A_PROCESS", 1)
    assert verify(inventory_of_root(root), workers=2, progress=False) == check(root)


def test_the_report_is_plain_json(root):
    report = check(root)
    assert json.loads(json.dumps(report)) == report


def test_counts_are_exact_above_what_float32_holds():
    labels = np.zeros((4097, 4097), np.uint8)  # 2^24 is the last integer that float32 counts to
    labels[0, 0] = 3
    counts = count_ids(labels)
    assert (counts[0], counts[3], counts.sum()) == (4097 * 4097 - 1, 1, 4097 * 4097)


def test_images_with_an_orientation_tag_are_named(root):
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("RGB", (32, 24)).save(root / "images/10k/train/a.jpg", exif=exif)
    exif[0x0112] = 1
    Image.new("RGB", (32, 24)).save(root / "images/10k/train/b.jpg", exif=exif)
    (problem,) = check(root)["problems"]
    assert problem["kind"] == "orientation tag"
    assert "a.jpg has orientation tag 3" in problem["message"]


def test_labels_of_turned_pictures_fit_where_the_loader_turns_them(root):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (24, 32)).save(root / "images/10k/train/a.jpg", exif=exif)  # 32x24 when it is turned, as its label
    inventory = inventory_of_root(root)
    kinds = {}
    for orientation in ("stored", "exif"):
        inventory.reading = replace(inventory.reading, orientation=orientation)
        kinds[orientation] = [p["kind"] for p in verify(inventory, workers=1, progress=False)["problems"]]
    assert kinds == {"stored": ["orientation tag", "wrong size"], "exif": ["orientation tag"]}


def test_files_that_never_end_or_need_too_much_memory_are_named(root, monkeypatch):
    monkeypatch.setenv("MMSTREET_MAX_PIXELS", "2000")
    for path in (root / "images/10k/train/a.jpg", mask(root, "b"), root / "images/10k/train/c.jpg", mask(root, "d")):
        path.unlink()
    (root / "images/10k/train/a.jpg").symlink_to("/dev/zero")
    os.mkfifo(mask(root, "b"))
    write_image(root / "images/10k/train/c.jpg", (100, 100))
    write_labels(mask(root, "d"), np.zeros((100, 100)))
    found = [(p["kind"], p["file"][-5:], p["message"]) for p in check(root)["problems"]]
    expected = [("unreadable image", "a.jpg", "no regular file"), ("unreadable image", "c.jpg", "the limit is 2,000")]
    expected += [("unreadable label", "b.png", "no regular file"), ("unreadable label", "d.png", "the limit is 2,000")]
    assert [(kind, file) for kind, file, _ in found] == [(kind, file) for kind, file, _ in expected]
    assert all(part in message for (_, _, message), (_, _, part) in zip(found, expected))


def test_a_name_that_is_not_utf8_is_verified_and_written_down(root, tmp_path):
    name = os.fsdecode(b"caf\xe9")
    write_image(root / f"images/10k/train/{name}.jpg")
    report = check(root)
    (problem,) = json.loads(write_json(report, tmp_path / "dataset.json").read_text(encoding="utf-8"))["problems"]
    assert os.fsencode(problem["file"]).endswith(b"caf\xe9.jpg")
