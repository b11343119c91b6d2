"""Exported models, images, saved predictions, mask caches and run folders that are damaged, foreign or malformed."""

from __future__ import annotations

import io
import json
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from mmstreet.files.images import as_rgb
from mmstreet.predict.refining import read_prediction_file
from mmstreet.refine.cache import read_masks, write_masks
from mmstreet.refine.prediction import read_prediction
from mmstreet.refine.proposals import Masks
from tests.hostile.checkpoints import damaged
from tests.hostile.kinds import Cases, hostile

METADATA = {
    "format": 1,
    "classes": ["red", "green", "blue"],
    "palette": [[200, 0, 0], [0, 200, 0], [0, 0, 200]],
    "threshold": None,
    "orientation": "stored",
    "resize": {"scale_wh": [31, 23], "keep_ratio": True, "interpolation": "bilinear"},
    "size_divisor": 8,
    "pad_rgb": [100.0, 110.0, 120.0],
    "size_hw": None,
    "align_corners": False,
}
SIZE_HW = (12, 18)


def write_onnx(path: Path, text: str | None, *, names: tuple[str, str] = ("image", "logits"), channels: int = 3) -> Path:
    """Write a network that gives the colours back as logits, with any text as metadata."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.eye(3, dtype=np.float32)[:channels].reshape(channels, 3, 1, 1), "weight")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", c, "h", "w"]) for name, c in zip(names, (3, channels))]
    graph = helper.make_graph([helper.make_node("Conv", [names[0], "weight"], [names[1]])], "colors", ends[:1], ends[1:], [weight])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    proto.ir_version = 8
    if text is not None:
        helper.set_model_props(proto, {"mmstreet": text})
    onnx.save(proto, str(path))
    return path


def malformed(sound: dict) -> Iterator[tuple[str, str]]:
    """Metadata as text in which one thing is wrong at a time."""
    for text in ("", "{", "[]", "null", "3", '"text"', "{}", "nan", "\u2028", "[" * 3000):
        yield f"text {text[:9]!r}", text
    for name in sound:
        yield f"without {name}", json.dumps({key: value for key, value in sound.items() if key != name})
        for value in (None, -1, 0, 1.5, True, "x", [], [[]], {}, [1], [1, 2, 3], {"scale_wh": [0, 5]}, 10**400, float("nan")):
            yield f"{name}={str(value)[:20]}", json.dumps({**sound, name: value})
    for scale in ([0, 4], [-3, 4], [4.5, 4], ["4", "4"], [4], [10**9, 10**9], None):
        yield f"scale {scale}", json.dumps({**sound, "resize": {**sound["resize"], "scale_wh": scale}})
    yield "a colour of 300", json.dumps({**sound, "palette": [[300, 0, 0]] * 3})
    yield "two colours", json.dumps({**sound, "palette": [[3, 0, 0]] * 2})
    yield "two classes", json.dumps({**sound, "classes": ["a", "b"], "palette": [[3, 0, 0]] * 2})
    yield "classes of numbers", json.dumps({**sound, "classes": [1, 2, 3]})


@hostile("exported models: metadata", errors=(ValueError, OSError, ImportError))
def metadata(folder: Path, rng: np.random.Generator) -> Cases:
    image = rng.integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8)
    for i, (label, text) in enumerate(malformed(METADATA)):
        yield label, _predict_with(write_onnx(folder / f"{i}.onnx", text), image)
    sound = json.dumps(METADATA)
    yield "no metadata", _predict_with(write_onnx(folder / "none.onnx", None), image)
    yield "other names", _predict_with(write_onnx(folder / "names.onnx", sound, names=("x", "y")), image)
    yield "two channels", _predict_with(write_onnx(folder / "two.onnx", sound, channels=2), image)


def _predict_with(path: Path, image: np.ndarray) -> Callable[[], None]:
    def predict() -> None:
        from mmstreet.predict import Predictor

        predictor = Predictor(path, device="cpu")
        labels = predictor(image).labels
        assert labels.shape == image.shape[:2]
        assert labels.max() < len(predictor.classes), "labels are no classes"

    return predict


@hostile("exported models: damaged", errors=(ValueError, OSError))
def damaged_models(folder: Path, rng: np.random.Generator) -> Cases:
    import torch

    data = write_onnx(folder / "sound.onnx", json.dumps(METADATA)).read_bytes() + b"PK\x01\x02"  # where `damaged` stops flipping
    script = io.BytesIO()
    torch.jit.save(torch.jit.trace(torch.nn.Conv2d(3, 3, 1), torch.zeros(1, 3, 4, 4)), script, {"mmstreet": json.dumps(METADATA)})
    image = rng.integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8)
    for suffix, content in ((".onnx", data), (".torchscript", script.getvalue())):
        for i, (label, broken) in enumerate(damaged(content, rng)):
            path = folder / f"{i}{suffix}"
            path.write_bytes(broken)
            yield f"{suffix}: {label}", _predict_with(path, image)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header announces any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def broken_pictures(rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Pictures that are cut, flipped, of another format, or announce a size that nobody has memory for."""
    image = rng.integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8)
    for suffix in (".png", ".jpg", ".bmp", ".tif", ".webp"):
        data = cv2.imencode(suffix, image)[1].tobytes()
        for share in (0, 0.02, 0.3, 0.7, 0.98):
            yield f"{suffix} cut at {share:.0%}", data[: int(len(data) * share)]
        for i in range(10):
            place = int(rng.integers(len(data)))
            yield f"{suffix} flip {i}", data[:place] + bytes([data[place] ^ 1 << int(rng.integers(8))]) + data[place + 1 :]
    for side in ((65535, 65535), (0, 5), (1, 2**31 - 1), (2**31 - 1, 2**31 - 1), (20000, 20000)):
        yield f"PNG of {side}", png_of_size(*side)
    yield "text", b"no picture"


@hostile("images: damaged", errors=(ValueError,))
def images(folder: Path, rng: np.random.Generator) -> Cases:
    for i, (label, data) in enumerate(broken_pictures(rng)):
        path = folder / f"{i}.png"
        path.write_bytes(data)
        yield label, lambda path=path: as_rgb(path)


def broken_arrays(rng: np.random.Generator) -> Iterator[tuple[str, str, bytes]]:
    """Probabilities that are cut, flipped, not finite, of other shapes and types, or hold objects; label, suffix, content."""

    def saved(array: object, *, pack: bool = False, **settings) -> bytes:
        file = io.BytesIO()
        (np.savez_compressed if pack else np.save)(file, **({"probs": array} if pack else {"arr": array}), **settings)
        return file.getvalue()

    probs = rng.dirichlet(np.ones(3), SIZE_HW).transpose(2, 0, 1).astype(np.float32)
    for suffix, sound in ((".npy", saved(probs)), (".npz", saved(probs, pack=True))):
        for share in (0, 0.01, 0.1, 0.5, 0.99):
            yield f"{suffix} cut at {share:.0%}", suffix, sound[: int(len(sound) * share)]
        for i in range(60):
            place = int(rng.integers(len(sound)))
            yield f"{suffix} flip {i}", suffix, sound[:place] + bytes([sound[place] ^ 1 << int(rng.integers(8))]) + sound[place + 1 :]
    for value in (np.nan, np.inf, -1):
        broken = probs.copy()
        broken[1, 3, 4] = value
        yield f"holds {value}", ".npy", saved(broken)
    for array in (np.zeros(()), np.zeros(SIZE_HW), probs[:2], probs[:, :4], probs.astype(np.complex64), np.array(["a"]), probs > 0.3):
        yield f"{array.dtype} {array.shape}", ".npy", saved(array)
    yield "objects", ".npy", saved(np.array([{}, None], object), allow_pickle=True)
    yield "a pickle", ".npy", b"\x80\x04cos\nsystem\n."
    yield "an archive named .npy", ".npy", saved(probs, pack=True)
    yield "an array named .npz", ".npz", saved(probs)
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    yield "an empty archive", ".npz", empty.getvalue()
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3, %d, %d), }"
    yield "a huge array", ".npy", (header % (10**7, 10**7)).ljust(127) + b"\n"
    yield "a header that is no literal", ".npy", b"\x93NUMPY\x01\x00v\x00".ljust(128, b"(")


@hostile("predictions to refine: damaged", errors=(ValueError, OSError))
def predictions(folder: Path, rng: np.random.Generator) -> Cases:
    for i, (label, suffix, data) in enumerate(broken_arrays(rng)):
        yield label, _read_prediction(folder / f"{i}{suffix}", data)
    for i, (label, data) in enumerate(broken_pictures(rng)):
        yield label, _read_prediction(folder / f"map{i}.png", data)


def _read_prediction(path: Path, data: bytes) -> Callable[[], None]:
    def read() -> None:
        path.write_bytes(data)
        found = read_prediction(read_prediction_file(path), size_hw=SIZE_HW, num_classes=3)
        assert found.labels.shape == SIZE_HW
        assert found.probs is None or np.isfinite(found.probs).all(), "unsound probabilities"

    return read


@hostile("mask caches: damaged")
def mask_caches(folder: Path, rng: np.random.Generator) -> Cases:
    write_masks(Masks.from_full(rng.random((3, *SIZE_HW)) > 0.5), folder / "sound.npz")
    sound = (folder / "sound.npz").read_bytes()
    contents = [sound[: int(len(sound) * share)] for share in (0, 0.01, 0.1, 0.5, 0.99)]
    for place in rng.integers(0, len(sound), 100).tolist():
        contents.append(sound[:place] + bytes([sound[place] ^ 1 << int(rng.integers(8))]) + sound[place + 1 :])
    contents += [data for _, _, data in broken_arrays(rng)]
    for i, data in enumerate(contents):
        path = folder / f"{i}.npz"
        path.write_bytes(data)
        yield f"content {i}", lambda path=path: read_masks(path)


@hostile("prediction folders: run.json", errors=(ValueError,))
def prediction_folders(folder: Path, rng: np.random.Generator) -> Cases:
    (folder / "images").mkdir()
    cv2.imwrite(str(folder / "images/a.png"), rng.integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8))
    (folder / "refiner.py").write_text(
        "refiner = dict(type='mmstreet.VoteRefiner', source=dict(type='mmstreet.SuperpixelMasks', area_px=9))"
    )
    for i, (label, text) in enumerate(
        malformed({"classes": ["red", "green", "blue"], "threshold": None, "orientation": "exif", "resize": {}})
    ):
        predictions = folder / f"predictions{i}"
        cv2.imwrite(str(predictions.mkdir() or predictions / "a.png"), rng.integers(0, 3, SIZE_HW, dtype=np.uint8))
        (predictions / "run.json").write_text(text, encoding="utf-8")
        yield label, _refine(folder, predictions)


def _refine(folder: Path, predictions: Path) -> Callable[[], None]:
    def refine() -> None:
        from mmstreet.cli.commands import main

        settings = ["--refine", str(folder / "refiner.py"), "--out", str(predictions) + ".out", "--no-cache", "--no-overlays"]
        if main(["refine", str(folder / "images"), str(predictions), *settings]):
            said = [line for line in sys.stderr.getvalue().splitlines() if line.startswith(("mmstreet refine: ", "failed: "))]
            sys.exit("\n".join(said) or "nothing was said")

    return refine
