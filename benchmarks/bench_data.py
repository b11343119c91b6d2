"""The data path: remapping against a loop over classes, the v3 input pipeline and verification against decoding alone.

Processor seconds of one thread, which other programs on the machine do not lengthen much; the compared things take turns.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import mmseg.datasets.transforms  # noqa: F401 - registers them, whatever ran before
import numpy as np
from mmengine.dataset import Compose
from PIL import Image

from mmstreet.datasets.pairs import Pair
from mmstreet.datasets.verify import check_pair, count_ids
from mmstreet.formats.label_files import decode_labels
from mmstreet.labels import BDD100K_SEM19, REMAPS, STREET6
from mmstreet.transforms.functional import apply_lut, build_remap_lut

HW = (720, 1280)
SIZE_HW = (512, 1024)
NAMES = REMAPS["bdd100k_sem19", "street6"]
PAIRS = {BDD100K_SEM19.index(source): STREET6.index(target) for source, target in NAMES.items()}
FLIP = dict(type="mmseg.RandomFlip", prob=0.5)
OUR_JITTER, THEIR_JITTER = dict(type="mmstreet.ColorJitter"), dict(type="mmseg.PhotoMetricDistortion")
AFTER_JITTER = [
    dict(type="mmstreet.RandomGaussianBlur"),
    dict(type="mmseg.RandomCutOut", prob=0.3, n_holes=(1, 3), cutout_ratio=[(0.04, 0.06), (0.08, 0.08)], seg_fill_in=255),
    dict(type="mmseg.PackSegInputs"),
]
LOAD = [
    dict(type="mmstreet.LoadImage"),
    dict(type="mmstreet.LoadLabels", table="bdd100k_sem19"),
    dict(type="mmstreet.RemapLabels", source="bdd100k_sem19", target="street6"),
]
OURS = [dict(type="mmstreet.RandomScaleCrop", size_hw=SIZE_HW, prefer=(0, 1, 2))]
UPSTREAM = [
    dict(type="RandomResize", scale=SIZE_HW[::-1], ratio_range=(0.5, 2.0), keep_ratio=True, resize_type="mmseg.Resize"),
    dict(type="mmseg.RandomCrop", crop_size=SIZE_HW),
]


def run(quick: bool = False) -> list[dict]:
    """Measure remapping, the input pipeline and verification."""
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=False)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            samples = write_samples(Path(folder), 2 if quick else 8)
            rounds = 2 if quick else 12
            return [*bench_remap(samples, rounds), *bench_pipeline(samples, rounds), *bench_verify(samples, rounds)]
    finally:
        cv2.setNumThreads(threads)


def bench_remap(samples: list[Pair], rounds: int) -> list[dict]:
    """19 classes to six in a 1280x720 mask."""
    masks = [np.asarray(Image.open(pair.label_path)) for pair in samples]
    lut = build_remap_lut(PAIRS, num_source=len(BDD100K_SEM19))
    loop, ours = interleave([lambda: [remap_by_loop(m) for m in masks], lambda: [apply_lut(m, lut) for m in masks]], rounds)
    note = f"{1e3 * ours / len(masks):.2f} ms against {1e3 * loop / len(masks):.1f} ms a mask"
    return [dict(name="RemapLabels 19 to 6, faster than a loop over classes", value=loop / ours, unit="x", target=">= 6", note=note)]


def bench_pipeline(samples: list[Pair], rounds: int) -> list[dict]:
    """Images per second of the whole v3 input pipeline, in per cent of those of decoding the JPEG alone."""
    images = [Path(pair.image_path).read_bytes() for pair in samples]
    infos = [dict(img_path=p.image_path, seg_map_path=p.label_path, reduce_zero_label=False) for p in samples]
    ours = Compose([*LOAD, *OURS, FLIP, OUR_JITTER, *AFTER_JITTER])
    before = Compose([*LOAD, *OURS, FLIP, THEIR_JITTER, *AFTER_JITTER])
    upstream = Compose([*LOAD, *UPSTREAM, FLIP, THEIR_JITTER, *AFTER_JITTER])
    kept = Compose([*LOAD, *OURS, FLIP, OUR_JITTER, *AFTER_JITTER])
    for info in infos:
        for step in kept.transforms[:2]:
            step.hold(dict(info, label_table=BDD100K_SEM19))
    np.random.seed(0)  # noqa: NPY002 - what the transforms draw from
    ways = (ours, before, kept, upstream)
    decode_s, ours_s, before_s, kept_s, upstream_s = interleave(
        [
            lambda: [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in images],
            *(lambda way=way: [way(dict(info, seg_fields=[])) for info in infos] for way in ways),
        ],
        rounds,
    )
    ms = {name: 1e3 * s / len(images) for name, s in (("decode", decode_s), ("ours", ours_s), ("kept", kept_s), ("upstream", upstream_s))}
    return [
        dict(
            name="v3 input pipeline, share of JPEG decoding's speed",
            value=100 * decode_s / ours_s,
            unit="%",
            target=">= 19",
            before=13,
            note=f"{ms['ours']:.1f} ms an image, of them {ms['decode']:.1f} for decoding the JPEG",
        ),
        dict(name="the same with PhotoMetricDistortion", value=100 * decode_s / before_s, unit="%", target="", note=""),
        dict(
            name="the same, files kept in memory", value=100 * decode_s / kept_s, unit="%", target="", note=f"{ms['kept']:.1f} ms an image"
        ),
        dict(
            name="v3 input pipeline, speed against RandomResize and RandomCrop",
            value=upstream_s / ours_s,
            unit="x",
            target=">= 0.8",
            note=f"{ms['ours']:.1f} against {ms['upstream']:.1f} ms an image; theirs does not pad",
        ),
        *bench_jitter(rounds),
    ]


def bench_jitter(rounds: int) -> list[dict]:
    """Colour jitter of crops of 1024x512."""
    image = cv2.resize(np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8), SIZE_HW[::-1], interpolation=cv2.INTER_CUBIC)
    ours, theirs = Compose([OUR_JITTER]), Compose([THEIR_JITTER])
    times = 16

    def jitter(way: Compose) -> None:
        np.random.seed(0)  # noqa: NPY002 - the same draws on both sides
        for _ in range(times):
            way(dict(img=image))

    ours_s, theirs_s = interleave([lambda: jitter(ours), lambda: jitter(theirs)], rounds)
    note = f"{1e3 * ours_s / times:.2f} against {1e3 * theirs_s / times:.2f} ms an image"
    return [dict(name="ColorJitter / PhotoMetricDistortion", value=ours_s / theirs_s, unit="x", target="<= 0.62", note=note)]


def bench_verify(samples: list[Pair], rounds: int) -> list[dict]:
    """Masks per second that are checked and counted, in per cent of those that are only decoded; then image and mask likewise."""
    masks = [Path(pair.label_path).read_bytes() for pair in samples]
    decode_s, mask_s, both_s, pair_s = interleave(
        [
            lambda: [np.asarray(Image.open(io.BytesIO(data))) for data in masks],
            lambda: [count_ids(decode_labels(data, BDD100K_SEM19, path="")[0]) for data in masks],
            lambda: [(np.asarray(Image.open(pair.label_path)), cv2.imread(pair.image_path)) for pair in samples],
            lambda: [check_pair(pair, table=BDD100K_SEM19) for pair in samples],
        ],
        rounds,
    )
    rows = [("verification of masks", decode_s, mask_s), ("verification of images and masks", both_s, pair_s)]
    return [
        dict(
            name=f"{name}, share of the speed of decoding them",
            value=100 * floor / ours,
            unit="%",
            target=">= 60",
            note=f"{len(samples) / ours:.0f} against {len(samples) / floor:.0f} a second on one core",
        )
        for name, floor, ours in rows
    ]


def remap_by_loop(labels: np.ndarray) -> np.ndarray:
    """The way of MMSegmentation's ``label_map``: one boolean mask for each class of the source."""
    out = labels.copy()
    for source in range(len(BDD100K_SEM19)):
        out[labels == source] = PAIRS.get(source, 255)
    return out


def interleave(jobs: list[Callable[[], object]], rounds: int) -> list[float]:
    """Run the jobs in turn and return each one's mean time, in processor seconds; random pipelines draw anew in every round."""
    total = [0.0] * len(jobs)
    for job in jobs:
        job()
    for _ in range(rounds):
        for i, job in enumerate(jobs):
            start = time.process_time()
            job()
            total[i] += time.process_time() - start
    return [seconds / rounds for seconds in total]


def write_samples(folder: Path, count: int) -> list[Pair]:
    """Write street-like pictures of 1280x720, about as large on disk as BDD100K's, and masks with blobs of all 19 classes."""
    rng = np.random.default_rng(0)
    pairs = []
    for i in range(count):
        layers = [cv2.resize(rng.normal(0, 60 / 2**k, (9 * 2**k, 16 * 2**k, 3)), HW[::-1], interpolation=cv2.INTER_CUBIC) for k in range(6)]
        image = np.clip(128 + sum(layers), 0, 255).astype(np.uint8)
        labels = cv2.resize(rng.integers(0, 19, (18, 32), np.uint8), HW[::-1], interpolation=cv2.INTER_NEAREST)
        labels[:, ::97] = BDD100K_SEM19.index("pole")
        pair = Pair("train", str(folder / f"{i}.jpg"), str(folder / f"{i}.png"))
        Image.fromarray(image).save(pair.image_path, quality=85)
        Image.fromarray(labels).save(pair.label_path)
        pairs.append(pair)
    return pairs


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:<64} {row['value']:>8.3g} {row['unit']:<4} {row['target'] or '':<8} {row['note']}")
