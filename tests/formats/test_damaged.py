"""Damaged files end in one sentence that names them, or are counted; nothing half-written is left, and nothing is lost in silence."""

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mmstreet.formats import semantic, yolo
from mmstreet.formats.catalogue import READERS, WRITERS, get_reader, get_writer
from mmstreet.formats.coco import CocoWriter
from mmstreet.formats.convert import convert
from mmstreet.formats.detect import detect_format
from mmstreet.formats.records import ImageRecord
from mmstreet.labels import CITYSCAPES19
from tests.helpers.label_scenes import MemoryReader, make_instance, png_bytes

BOTH = sorted(set(READERS) & set(WRITERS))
ENDINGS = {"cvat": ".zip", "coco": ".json", "scalabel": ".json"}


def images(number=3):
    mask = np.zeros((6, 9), bool)
    mask[1:4, 2:6] = True
    return tuple(ImageRecord(f"train/{i}.png", (6, 9), {}, (make_instance(mask, 26),), picture=png_bytes()) for i in range(number))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Every format, written well."""
    root = tmp_path_factory.mktemp("written")
    for name in BOTH:
        writer = get_writer(name)(root / f"{name}{ENDINGS.get(name, '')}", CITYSCAPES19)
        convert(MemoryReader(images()), writer, workers=1, progress=False, copy_images=name == "yolo")
    return root


def read(name, path, out):
    reader = get_reader(name)
    table = reader.find_table(path) or CITYSCAPES19
    return convert(reader(path, table, None), CocoWriter(out, table), workers=1, progress=False)


@pytest.mark.parametrize("name", BOTH)
def test_each_format_is_recognised(written, name):
    assert detect_format(written / f"{name}{ENDINGS.get(name, '')}") == name


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("damage", ["empty", "half", "noise", "text"])
def test_damaged_files_are_named_or_counted(written, tmp_path, name, damage):
    good = written / f"{name}{ENDINGS.get(name, '')}"
    files = [good] if good.is_file() else sorted(path for path in good.rglob("*") if path.is_file())
    rng = np.random.default_rng(0)
    for file in files:
        copy = tmp_path / good.name
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copy(good, copy) if good.is_file() else shutil.copytree(good, copy)
        victim = copy / file.relative_to(good) if good.is_dir() else copy
        data = bytearray(victim.read_bytes())
        for place in rng.integers(0, len(data), max(1, len(data) // 20)).tolist() if damage == "noise" else ():
            data[place] ^= int(rng.integers(1, 256))
        victim.write_bytes({"empty": b"", "half": data[: len(data) // 2], "noise": data, "text": b'[{"a": {}}, 3, null]\n'}[damage])
        try:
            report = read(name, copy, tmp_path / "out.json")
        except (ValueError, OSError) as error:
            assert any(part in str(error) for part in (str(copy), victim.name)), f"{victim.name}: {error}"  # noqa: PT017
            assert not (tmp_path / "out.json").exists()
        else:
            assert json.loads((tmp_path / "out.json").read_text())["images"] is not None
            assert report.images_in == report.images_out + report.skipped_images.total()
            (tmp_path / "out.json").unlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == [good.name]


@pytest.mark.parametrize("name", ["semantic", "yolo", "cvat", "webdataset", "coco-panoptic"])
def test_a_full_disk_leaves_nothing(tmp_path, name, monkeypatch):
    writer = get_writer(name)(tmp_path / "out", CITYSCAPES19)
    rendered = []

    def full(self, image, report):
        rendered.append(image.name)
        if len(rendered) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(self, image, report)

    original = type(writer).render
    monkeypatch.setattr(type(writer), "render", full)
    with pytest.raises(OSError, match=r"disk full: .* was not written"):
        convert(MemoryReader(images()), writer, workers=1, progress=False)
    assert len(rendered) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_ignores_capitals_is_not_written_over(tmp_path, monkeypatch):
    a, b, *_ = images()
    pair = (ImageRecord("A.png", (6, 9), {}, a.instances), ImageRecord("a.png", (6, 9), {}, b.instances))
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: exists(path) or (path.parent.is_dir() and path.name.lower() in names(path.parent)))

    def names(folder):
        return {entry.name.lower() for entry in folder.iterdir()}

    for writer in (semantic.SemanticWriter(tmp_path / "maps", CITYSCAPES19), yolo.YoloWriter(tmp_path / "yolo", CITYSCAPES19)):
        with pytest.raises(OSError, match="names that differ in capitals only are one"):
            convert(MemoryReader(pair), writer, workers=1, progress=False)
    assert not list(tmp_path.iterdir())


def test_names_that_become_one_are_counted(tmp_path):
    pair = [
        ImageRecord(name, (6, 9), {}, images()[0].instances, picture=png_bytes()) for name in ("a.png", "a.jpg", "b%2Ec.png", "b.c.png")
    ]
    report = convert(MemoryReader(tuple(pair)), get_writer("webdataset")(tmp_path / "out", CITYSCAPES19), workers=1, progress=False)
    assert (report.images_out, report.skipped_images, report.skipped_instances) == (2, {"duplicate image": 2}, {"duplicate image": 2})
