"""What a prediction costs beside the network: reading, resizing, class maps at the image's own size, and three files written per image.

The bare forward pass starts from a prepared tensor and ends with the head's output at its own stride; MMSegmentation's own ``predict``
starts there too and ends with label maps in memory. Processor seconds of one thread, which other programs on the machine do not lengthen
much. A processor's clock changes within seconds, so every way is compared with forward passes next to it: of the same image a moment
before, or of all images before and after; the median of these ratios counts. A video is read and written by threads beside the network's:
the elapsed time is compared, on a machine that does nothing else, and processor time stands in the note. Weights are random but for the
classifier, which least squares fit to the images' labels: label maps then have regions, as those of trained networks have. The images are
rendered by the mini set's generator, and read from JPEG. With numba, labels are found by the compiled loops from the first image on, as a
process does after its first 36 large ones.
"""

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import torch

from mmstreet.engine.launch import load_config
from mmstreet.mini.drive import render_drive
from mmstreet.mini.picture import Picture
from mmstreet.models import label_resizing
from mmstreet.predict import Predictor
from mmstreet.predict.folder import PredictionFolder
from mmstreet.predict.inference import build_model
from mmstreet.predict.job import predict_sources
from mmstreet.predict.sources import Source, find_sources
from mmstreet.predict.video import open_video

CONFIGS = Path(__file__).parents[1] / "configs"
CASES = {
    "R18 256x128, 19 cl": ("deeplabv3_mini_v1.py", (640, 360)),
    "R18 512x256, 6 cl": ("deeplabv3_mini_v3.py", (640, 360)),
    "R50 1024x512, 6 cl": ("deeplabv3_bdd_v3.py", (1280, 720)),
}
"""Backbone, input and classes of each network, with its config and the size of the images."""
_REPEATED = 4
"""How often a video shows the images, for what it costs to begin and to end it is shared by its frames."""

_Time = np.ndarray
"""Processor seconds and elapsed seconds, ``[2]``."""


def run(quick: bool) -> list[dict]:
    """Return rows of name, value, unit, target and note."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows = []
    for name, (config, size_wh) in CASES.items():
        large = name.startswith("R50")
        if quick and large:
            continue
        count, rounds = (2, 1) if quick else (1, 2) if large else (12, 3)
        with tempfile.TemporaryDirectory() as folder, patch.object(label_resizing, "COMPILED_FROM", 0):
            rows += _measure(name, config, size_wh, Path(folder), count=count, rounds=rounds)
    return rows


def _measure(name: str, config: str, size_wh: tuple[int, int], folder: Path, *, count: int, rounds: int) -> list[dict]:
    (folder / "images").mkdir()
    pictures = list(render_drive(frames=count, size_wh=size_wh))
    for i, picture in enumerate(pictures):
        cv2.imwrite(str(folder / "images" / f"{i}.jpg"), cv2.cvtColor(picture.image, cv2.COLOR_RGB2BGR))
    frames = _REPEATED * pictures
    with open_video(folder / "drive.mp4", fps=10) as video:
        for frame in frames:
            video.write(frame.image)
    cfg = load_config(CONFIGS / config, launcher="none")
    torch.manual_seed(0)
    torch.save({"state_dict": build_model(cfg).state_dict()}, folder / "random.pth")
    predictor = Predictor(CONFIGS / config, folder / "random.pth", device="cpu")
    sources = find_sources(folder / "images")
    images = [cv2.cvtColor(cv2.imread(str(source.path)), cv2.COLOR_BGR2RGB) for source in sources]
    fit_classifier(predictor, pictures)

    def in_memory(image: np.ndarray) -> None:
        predictor.predict_batch([image])

    def without_numba(image: np.ndarray) -> None:
        with patch.object(label_resizing, "COMPILED_FROM", math.inf):
            predictor.predict_batch([image])

    def write_files(chosen: list[Source], name: str) -> None:
        out = PredictionFolder(folder / name, {}, overwrite=True)
        out.choose(chosen)
        predict_sources(predictor, chosen, out, progress=False)

    @torch.inference_mode()
    def forward(image: np.ndarray, finish: Callable | None = None) -> _Time:
        ((_, batch),) = predictor.model.make_batches([image], 1.0)
        model, inputs, samples = predictor.model.model, batch["inputs"], batch["data_samples"]
        return _timed(lambda: model(inputs, mode="tensor") if finish is None else finish(model, inputs, samples))

    drive = find_sources(folder / "drive.mp4")
    in_memory(images[0])  # the loops are compiled, or read from disk, once
    ways = {
        "mmseg, tensor to labels": lambda image: forward(image, lambda model, inputs, samples: model.predict(inputs, samples)),
        "array to labels": lambda image: _timed(in_memory, image),
        "array to labels without numba": lambda image: _timed(without_numba, image),
    }
    passes: list[_Time] = []
    ratios: dict[str, list[np.ndarray]] = {}
    for image in rounds * images:
        for way, run_way in ways.items():
            passes.append(forward(image))
            ratios.setdefault(way, []).append(run_way(image) / passes[-1])
    for _ in range(rounds):
        for way, chosen, number in (("file to files", sources, count), ("video to files", drive, len(frames))):
            before = [forward(image) for image in images]
            taken = _timed(write_files, chosen, way) / number
            ratios.setdefault(way, []).append(taken / np.mean(before + [forward(image) for image in images], axis=0))
    cpu, wall = np.median(passes, axis=0)
    median = {way: np.median(measured, axis=0) for way, measured in ratios.items()}
    return [
        {"name": f"{name}: forward", "value": 1e3 * cpu, "unit": "ms", "note": f"{1 / wall:.3g} images per second"},
        *(
            {
                "name": f"{name}: {way} / forward",
                "value": median[way][0],
                "unit": "x",
                "target": "<= 1.15" if way in ("array to labels", "file to files") else None,
                "before": 1.44 if way == "array to labels" and "256x128" in name else None,
            }
            for way in (*ways, "file to files")
        ),
        {
            "name": f"{name}: video to files / forward, elapsed",
            "value": median["video to files"][1],
            "unit": "x",
            "target": "<= 1.15",
            "note": f"{median['video to files'][0]:.2f} of its processor time",
        },
    ]


def _timed(work: Callable, *given: object) -> _Time:
    wall, cpu = time.perf_counter(), time.process_time()
    work(*given)
    return np.array([time.process_time() - cpu, time.perf_counter() - wall])


@torch.inference_mode()
def fit_classifier(predictor: Predictor, pictures: Sequence[Picture]) -> None:
    """Fit the last layer of the network to the labels of the pictures, by least squares with a penalty."""
    model = predictor.model.model
    head, seen, wanted = model.decode_head, [], []
    handle = head.conv_seg.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for picture in pictures:
        for _, batch in predictor.model.make_batches([picture.image], 1.0):
            model(batch["inputs"], mode="tensor")
        size_wh = seen[-1].shape[:1:-1]
        wanted.append(torch.from_numpy(cv2.resize(picture.labels, size_wh, interpolation=cv2.INTER_NEAREST)).flatten().long())
    handle.remove()
    features = torch.cat([feat[0].flatten(1).T for feat in seen]).double()
    labels = torch.cat(wanted)
    known, count = labels < head.num_classes, head.num_classes
    features, targets = features[known], torch.nn.functional.one_hot(labels[known], count).double()
    mean = features.mean(0)
    scatter = (features - mean).T @ (features - mean)
    penalty = 1e-3 * scatter.diagonal().mean() * torch.eye(len(scatter), dtype=torch.float64)
    weight = torch.linalg.solve(scatter + penalty, (features - mean).T @ targets).T
    head.conv_seg.weight.copy_(weight[:, :, None, None])
    head.conv_seg.bias.copy_(targets.mean(0) - weight @ mean)
