"""Label files with one entry damaged: COCO, Scalabel, bitmasks, lists of images, image-level labels and text embeddings."""

from __future__ import annotations

import copy
import io
import json
import math
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmstreet.datasets.folders import read_list
from mmstreet.datasets.image_labels import ImageLabels, load_image_labels
from mmstreet.datasets.label_arrays import read_label_arrays
from mmstreet.datasets.layouts import Layout
from mmstreet.datasets.pairs import Pair, list_pairs
from mmstreet.datasets.vistas import read_vistas_table
from mmstreet.formats.bitmask import BitmaskReader
from mmstreet.formats.bitmask_codec import encode_bitmask
from mmstreet.formats.coco import CocoReader
from mmstreet.formats.convert import coco_dict
from mmstreet.formats.records import Reader
from mmstreet.formats.scalabel import ScalabelReader
from mmstreet.models.text_embeddings import load_text_embeddings, save_text_embeddings
from tests.helpers.instance_labels import SIZE_HW, random_frames
from tests.hostile.kinds import Cases, hostile

OURS = (ValueError, FileNotFoundError)
VALUES = (
    *(None, True, False, 0, 1, -1, 7, 1.5, 2**70, -(2**70), 1e308, math.nan, math.inf),
    *("", " ", "x", "0", "false", "TRUE", "../a.jpg", "a\0b", "\ud800", "9" * 400),
    *([], {}, [[]], [None], [[1, 2], [3]], {"a": {}}, {"id": 1}, [1, 2, 3, 4], "LLCC"),
)
"""What may stand in the place of any value."""
ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1")


def places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Every container and key, or position, in nested lists and dictionaries."""
    for key in list(content) if isinstance(content, dict) else range(len(content)):
        yield content, key
        if isinstance(content[key], (dict, list)):
            yield from places(content[key])


def mutations(content: Any, rng: np.random.Generator, number: int) -> Iterator[tuple[str, Any]]:
    """Copies of JSON content with an entry replaced, left out, given twice, or spelt otherwise; every third has two faults."""
    changed = content
    for i in range(number):
        changed = copy.deepcopy(changed if i % 3 == 2 else content)
        every = list(places(changed)) or [([None], 0)]
        container, key = every[rng.integers(len(every))]
        action = rng.choice(["replace", "replace", "replace", "drop", "repeat"])
        if action == "replace":
            container[key] = VALUES[rng.integers(len(VALUES))]
            yield f"{key} is {container[key]!r:.40}", changed
        elif action == "drop":
            del container[key]
            yield f"{key} is missing", changed
        elif isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
            yield f"{key} is given twice", changed
        else:
            container[key.upper()] = container.pop(key)
            yield f"{key} in capitals", changed


def texts(content: Any, rng: np.random.Generator, number: int) -> Iterator[tuple[str, bytes]]:
    """The bytes of damaged JSON files: one entry changed, cut off, in other encodings, or printed as Python does."""
    for label, changed in mutations(content, rng, number):
        yield label, json.dumps(changed).encode()
    whole = json.dumps(content, ensure_ascii=False)
    for share in (0, 0.02, 0.3, 0.7, 0.99):
        yield f"cut at {share:.0%}", whole.encode()[: int(len(whole) * share)]
    for encoding in ENCODINGS:
        yield encoding, whole.replace("a", "ä").encode(encoding)
    yield "printed by Python", repr(content).encode()
    yield "cut after printing by Python", repr(content).encode()[:-9]
    yield "deep brackets", b"[" * 200_000
    yield "a long number", b"[" + b"9" * 6000 + b"]"
    yield "random bytes", rng.bytes(500)
    yield "zero bytes", bytes(500)


def damaged(data: bytes, rng: np.random.Generator, flips: int) -> dict[str, bytes]:
    """The bytes of a binary file cut off, with single bits flipped, and of no such file at all."""
    files = {f"cut at {share:.0%}": data[: int(len(data) * share)] for share in (0, 0.02, 0.3, 0.7, 0.99)}
    for place in rng.integers(len(data), size=flips):
        files[f"bit flipped at {place}"] = data[:place] + bytes([data[place] ^ 1 << int(rng.integers(8))]) + data[place + 1 :]
    return files | {"random bytes": rng.bytes(300), "zero bytes": bytes(300), "text": b"road,car"}


def _convert(reader: Reader) -> Callable[[], None]:
    def check() -> None:
        coco, report = coco_dict(reader)
        sizes = {image["id"]: (image["width"], image["height"]) for image in coco["images"]}
        for annotation in coco["annotations"]:
            (x, y, width, height), (right, bottom) = annotation["bbox"], sizes[annotation["image_id"]]
            assert 0 <= x < x + width <= right, annotation
            assert 0 <= y < y + height <= bottom, annotation
            assert set(map(type, annotation["attributes"].values())) == {bool}
        assert not any("\n" in sentence for kept in report.examples.values() for sentence in kept), report.examples

    return check


@hostile("labels: pipes, devices and folders", errors=(ValueError, OSError), refused=True)
def special_files(folder: Path, rng: np.random.Generator) -> Cases:
    os.mkfifo(folder / "pipe.json")
    (folder / "zeros.json").symlink_to("/dev/zero")
    (folder / "loop.json").symlink_to("loop.json")
    (folder / "folder.json").mkdir()
    readers = {
        "COCO": lambda path: coco_dict(CocoReader(path)),
        "Scalabel": lambda path: coco_dict(ScalabelReader(path)),
        "image labels": load_image_labels,
        "arrays": lambda path: read_label_arrays(path, classes=("car",)),
        "embeddings": lambda path: load_text_embeddings(path, classes=("car",)),
    }
    for name in ("pipe.json", "zeros.json", "loop.json", "folder.json", "absent.json"):
        for label, read in readers.items():
            yield f"{label}: {name}", lambda read=read, path=folder / name: read(path)


def _saved(save: Callable, *arrays: np.ndarray, **named: np.ndarray) -> bytes:
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


@hostile("labels: COCO", errors=OURS)
def coco_files(folder: Path, rng: np.random.Generator) -> Cases:
    (folder / "sound.json").write_text(json.dumps(random_frames(3)))
    content = coco_dict(ScalabelReader(folder / "sound.json"))[0]
    (folder / "coco.json").write_text(json.dumps(content))
    content["annotations"][0]["segmentation"] = [[1, 1, 9, 1, 9, 9]]
    content["annotations"][1]["segmentation"] = {"counts": [5, 3, SIZE_HW[0] * SIZE_HW[1] - 8], "size": list(SIZE_HW)}
    for i, (label, data) in enumerate(texts(content, rng, 260)):
        (folder / f"{i}.json").write_bytes(data)
        yield label, _convert(CocoReader(folder / f"{i}.json"))
    results = [{"image_id": 1, "category_id": 1, "score": 0.5, "bbox": [1, 1, 2, 2]}]
    for i, (label, data) in enumerate(texts(results, rng, 30)):
        (folder / f"r{i}.json").write_bytes(data)
        yield f"results: {label}", _convert(CocoReader(folder / "coco.json", predictions=folder / f"r{i}.json"))


@hostile("labels: Scalabel", errors=OURS)
def scalabel_files(folder: Path, rng: np.random.Generator) -> Cases:
    frames = [frame for frame in random_frames(9) if len(frame["labels"] or ()) > 1][:2]
    frames[0]["labels"][0] |= {"box2d": {"x1": 1, "y1": 1, "x2": 5, "y2": 5}, "score": 0.5}
    frames[0]["labels"][1]["rle"] = {"counts": "0Q1", "size": list(SIZE_HW)}
    whole = {"frames": frames, "config": {"imageSize": {"width": SIZE_HW[1], "height": SIZE_HW[0]}}, "groups": None}
    old = {
        "name": "a",
        "attributes": {},
        "frames": [{"objects": [{"id": 1, "category": "car", "poly2d": [[2, 2, "L"], [6, 2, "L"], [6, 5, "L"]]}]}],
    }
    for name, content, number in (("list", frames, 120), ("object", whole, 120), ("one frame", frames[0], 40), ("2018", old, 60)):
        for i, (label, data) in enumerate(texts(content, rng, number)):
            path = folder / f"{name}{i}.json"
            path.write_bytes(data)
            yield f"{name}: {label}", _convert(ScalabelReader(path, default_size_hw=SIZE_HW))


@hostile("labels: bitmasks", errors=OURS)
def bitmask_files(folder: Path, rng: np.random.Generator) -> Cases:
    owner = np.zeros(SIZE_HW, int)
    owner[3:20, 5:30], owner[10:30, 20:50] = 1, 2
    sound = encode_bitmask(owner, [3, 1], [300, 7], occluded=[True, False])

    def png(array: np.ndarray, mode: str | None = None) -> bytes:
        file = io.BytesIO()
        image = Image.fromarray(array)
        (image.convert(mode) if mode else image).save(file, format="PNG")
        return file.getvalue()

    data = png(sound)
    files = damaged(data, rng, 60) | {f"mode {mode}": png(sound, mode) for mode in ("RGB", "L", "P", "LA", "1")}
    files |= {"BGRA": png(sound[..., [2, 1, 0, 3]]), "random pixels": png(rng.integers(0, 256, (9, 9, 4), np.uint8))}
    files["size of 65535×65535"] = data[:16] + struct.pack(">II", 65535, 65535) + data[24:]
    for i, (label, content) in enumerate(files.items()):
        (folder / str(i)).mkdir()
        (folder / str(i) / "a.png").write_bytes(content)
        yield label, _convert(BitmaskReader(folder / str(i)))


@hostile("labels: list files", errors=OURS)
def list_files(folder: Path, rng: np.random.Generator) -> Cases:
    layout = Layout("own", "images", "labels", ".png", ".png", table="street6")
    for kind in ("images", "labels"):
        (folder / kind / "train").mkdir(parents=True)
        for name in "ab":
            Image.new("L", (4, 4)).save(folder / kind / "train" / f"{name}.png")
    lines = (
        "a",
        "b",
        "a.png",
        "train/a",
        "./train/a",
        "# a",
        "",
        "val/a",
        "../a",
        "/etc/passwd",
        "a\0",
        "ä",
        "x" * 300,
        "a b",
        "train//a",
        ".",
        "..",
    )
    files = {f"lines {i}": "\n".join(rng.choice(lines, 3)).encode() for i in range(60)}
    files |= {encoding: "a\nä".encode(encoding) for encoding in ENCODINGS} | damaged(b"a\nb\n", rng, 20)
    for i, (label, content) in enumerate(files.items()):
        (folder / f"{i}.txt").write_bytes(content)
        yield label, lambda path=folder / f"{i}.txt": _check_pairs(folder, list_pairs(folder, layout, "train", read_list(path)))


def _check_pairs(folder: Path, pairs: list[Pair]) -> None:
    for pair in pairs:
        assert folder in Path(pair.image_path).resolve().parents, pair
        assert Path(pair.label_path).is_file(), pair


@hostile("labels: classes of Mapillary Vistas", errors=OURS)
def vistas_files(folder: Path, rng: np.random.Generator) -> Cases:
    rows = [("construction--flat--road", "Road", True), ("object--vehicle--car", "Car", True), ("void--dynamic", "Dynamic", False)]
    entries = [{"name": a, "readable": b, "color": [1, 2, i], "instances": True, "evaluate": c} for i, (a, b, c) in enumerate(rows)]
    for i, (label, data) in enumerate(texts({"labels": entries}, rng, 120)):
        (folder / f"{i}.json").write_bytes(data)
        yield label, lambda path=folder / f"{i}.json": read_vistas_table(path).names


@hostile("labels: image-level JSON", errors=OURS)
def image_label_files(folder: Path, rng: np.random.Generator) -> Cases:
    for i, (label, data) in enumerate(texts({"classes": ["road", "car", "sky"], "labels": {"a": [0, 2], "b": [], "c": [1]}}, rng, 120)):
        (folder / f"{i}.json").write_bytes(data)
        yield label, lambda path=folder / f"{i}.json": _check_image_labels(load_image_labels(path))


@hostile("labels: image-level arrays", errors=OURS)
def label_array_files(folder: Path, rng: np.random.Generator) -> Cases:
    contents = {"sound": {"a": np.array([1, 0, 1]), "b": np.zeros(3, np.float32)}, "no dictionary": [1], "a number": 3}
    vectors = (None, 3, "x", [1, 0, 1], np.zeros(2), np.full(3, np.nan), np.array("x"), np.array([None, 1, 2], object))
    contents |= {f"vector of {value!r:.30}": {"a": value} for value in vectors}
    files = {label: _saved(np.save, np.array(content, object)) for label, content in contents.items()}
    files |= damaged(files["sound"], rng, 80) | {"an array of numbers": _saved(np.save, np.zeros((3, 3)))}
    for i, (label, content) in enumerate(files.items()):
        (folder / f"{i}.npy").write_bytes(content)
        yield label, lambda path=folder / f"{i}.npy": _check_image_labels(read_label_arrays(path, classes=("road", "car", "sky")))


def _check_image_labels(labels: ImageLabels) -> None:
    assert labels.matrix().shape == (len(labels), len(labels.classes))


@hostile("text embeddings", errors=OURS)
def text_embedding_files(folder: Path, rng: np.random.Generator) -> Cases:
    classes, rows = ("road", "car"), np.eye(2, 4, dtype=np.float32)
    save_text_embeddings(folder / "sound.npz", rows, classes=classes, prompts=classes, model="none")
    files = damaged((folder / "sound.npz").read_bytes(), rng, 40) | {"pickle": b"\x80\x04K\x03."}
    for array in (rows * math.nan, rows * 2, rows[:1], rows[0], np.float32(1), rows.astype(str), rows.astype(object), rows.astype(complex)):
        files[f"embeddings {array!r:.40}"] = _saved(np.savez, embeddings=array, classes=np.array(classes))
    for names in (np.array("road"), np.arange(2), np.array(classes, object), np.array(classes)[::-1]):
        files[f"classes {names!r:.40}"] = _saved(np.savez, embeddings=rows, classes=names)
    files |= {"array alone": _saved(np.save, rows), "objects alone": _saved(np.save, rows.astype(object))}
    for i, (label, content) in enumerate(files.items()):
        (folder / f"{i}.npz").write_bytes(content)
        yield label, lambda path=folder / f"{i}.npz": _check_embeddings(load_text_embeddings(path, classes=classes))


def _check_embeddings(rows: np.ndarray) -> None:
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-2)
