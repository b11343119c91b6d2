"""Street data sets in the folders in which their publishers leave them, with small generated pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

HW = (32, 48)


class Pictures:
    """Writes photographs (noise) and label maps (blocks) of one size."""

    def __init__(self, root: Path, *, seed: int = 0):
        self.root = root
        self.generator = np.random.default_rng(seed)

    def photo(self, path: str) -> str:
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(self.generator.integers(0, 255, (*HW, 3), np.uint8)).save(full)
        return path

    def blocks(self, values: list) -> np.ndarray:
        """An array [H, W] in which each value has a stripe of its own."""
        return np.repeat(np.array(values), -(-HW[1] // len(values)), axis=0)[: HW[1]][None].repeat(HW[0], 0)

    def ids(self, path: str, values: list[int], *, palette: list | None = None) -> str:
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(self.blocks(values).astype(np.uint8), "P" if palette else None)
        if palette:
            image.putpalette([part for color in palette for part in color])
        image.save(full)
        return path

    def colors(self, path: str, colors: list) -> str:
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.array(colors, np.uint8)[self.blocks(list(range(len(colors))))]).save(full)
        return path

    def text(self, path: str, content: object) -> str:
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(content if isinstance(content, str) else json.dumps(content))
        return path


def cityscapes(root: Path, *, kinds: tuple[str, ...] = ("labelIds", "labelTrainIds", "instanceIds", "color")) -> None:
    make = Pictures(root)
    for split, city, count in (("train", "aachen", 3), ("val", "ulm", 2), ("test", "bonn", 1)):
        for i in range(count):
            stem = f"{split}/{city}/{city}_{i:06d}_000019"
            make.photo(f"leftImg8bit/{stem}_leftImg8bit.png")
            if split == "test" and "polygons" not in kinds:
                continue
            values = {"labelIds": [0, 7, 11, 24, 26], "labelTrainIds": [255, 0, 2, 11, 13], "instanceIds": [0, 7, 11, 24, 26]}
            for kind in kinds:
                if kind in values:
                    make.ids(f"gtFine/{stem}_gtFine_{kind}.png", values[kind])
                elif kind == "color":
                    make.colors(f"gtFine/{stem}_gtFine_color.png", [(0, 0, 0), (128, 64, 128), (70, 70, 70)])
                else:
                    make.text(f"gtFine/{stem}_gtFine_polygons.json", polygons())


def polygons(*more: str) -> dict:
    def box(label: str, left: int, top: int, right: int, bottom: int) -> dict:
        return {"label": label, "polygon": [[left, top], [right, top], [right, bottom], [left, bottom]]}

    objects = [box("road", 0, 16, 47, 31), box("sky", 0, 0, 47, 15), box("car", 4, 14, 13, 23), box("static", 40, 0, 47, 7)]
    objects += [box(label, 20, 4 * i, 30, 4 * i + 6) for i, label in enumerate(more)]
    return {"imgHeight": HW[0], "imgWidth": HW[1], "objects": objects}


def bdd100k_10k(root: Path) -> None:
    make = Pictures(root)
    for split, count in (("train", 3), ("val", 2), ("test", 1)):
        for i in range(count):
            name = f"{split}/{i:08x}-{i:08x}"
            make.photo(f"images/10k/{name}.jpg")
            if split != "test":
                make.ids(f"labels/sem_seg/masks/{name}.png", [0, 2, 8, 13, 255])
                make.colors(f"labels/sem_seg/colormaps/{name}.png", [(128, 64, 128), (70, 70, 70)])


def bdd100k_2018(root: Path) -> None:
    make = Pictures(root)
    for split, count in (("train", 3), ("val", 2)):
        for i in range(count):
            make.photo(f"seg/images/{split}/{i:08x}-{i:08x}.jpg")
            make.ids(f"seg/labels/{split}/{i:08x}-{i:08x}_train_id.png", [0, 2, 8, 13, 255])
            make.colors(f"seg/color_labels/{split}/{i:08x}-{i:08x}_train_color.png", [(128, 64, 128), (70, 70, 70)])


CAMVID_COLORS = "64 128 64\tAnimal\n0 128 192\tBicyclist\n128 0 0\tBuilding\n64 0 128\tCar\n128 64 128\tRoad\n192 192 128\tColumn_Pole\n"
CAMVID_COLORS += "128 0 192\tLaneMkgsDriv\n128 128 128\tSky\n0 0 0\tVoid\n128 128 0\tTree\n"


def camvid(root: Path) -> None:
    """``701_StillsRaw_full``, ``LabeledApproved_full`` and ``label_colors.txt``."""
    make = Pictures(root)
    for film, count in (("0001TP_0", 8), ("0016E5_0", 3), ("Seq05VD_f0", 9)):
        for i in range(count):
            make.photo(f"701_StillsRaw_full/{film}{i:04d}.png")
            make.colors(f"LabeledApproved_full/{film}{i:04d}_L.png", [(128, 64, 128), (128, 128, 128), (0, 0, 0), (64, 0, 128)])
    make.text("label_colors.txt", CAMVID_COLORS)


def camvid_segnet(root: Path) -> None:
    make = Pictures(root)
    for split, film in (("train", "0001TP"), ("val", "0016E5"), ("test", "Seq05VD")):
        for i in range(2):
            make.photo(f"{split}/{film}_{i:06d}.png")
            make.ids(f"{split}annot/{film}_{i:06d}.png", [3, 0, 8, 11])


def idd(root: Path, *, drawn: bool = True) -> None:
    make = Pictures(root)
    for split, count in (("train", 3), ("val", 2)):
        for i in range(count):
            stem = f"{split}/{200 + i}/frame{i:04d}"
            make.photo(f"leftImg8bit/{stem}_leftImg8bit.jpg")
            make.text(f"gtFine/{stem}_gtFine_polygons.json", polygons("autorickshaw", "parking", "animal"))
            if drawn:
                make.ids(f"gtFine/{stem}_gtFine_labellevel3Ids.png", [0, 1, 9, 25, 255])


def vistas(root: Path) -> None:
    make = Pictures(root)
    entries = [("construction--flat--road", "Road", (128, 64, 128), False, True), ("object--vehicle--car", "Car", (0, 0, 142), True, True)]
    entries += [("void--unlabeled", "Unlabeled", (0, 0, 0), False, False)]
    keys = ("name", "readable", "color", "instances", "evaluate")
    make.text("config_v1.2.json", {"labels": [dict(zip(keys, entry)) for entry in entries]})
    for folder, count in (("training", 3), ("validation", 2), ("testing", 1)):
        for i in range(count):
            make.photo(f"{folder}/images/k{i}-{folder}.jpg")
            if folder != "testing":
                make.ids(f"{folder}/v1.2/labels/k{i}-{folder}.png", [0, 1, 2], palette=[x[2] for x in entries])
                make.ids(f"{folder}/v1.2/instances/k{i}-{folder}.png", [0, 1, 2])


def wilddash2(root: Path) -> None:
    make = Pictures(root)
    for i in range(10):
        name = f"{'abcdefghij'[i]}{i}x"
        make.photo(f"images/{name}.jpg")
        make.ids(f"labels/{name}.png", [0, 7, 24, 34, 38])
        make.colors(f"panoptic/{name}.png", [(1, 0, 0), (2, 0, 0)])
    make.text("panoptic.json", {"images": [], "annotations": [], "categories": []})


def acdc(root: Path) -> None:
    make = Pictures(root)
    for weather in ("fog", "night", "rain", "snow"):
        for split, count in (("train", 2), ("val", 1), ("test", 1)):
            for i in range(count):
                stem = f"{weather}/{split}/GOPR0475/GOPR0475_frame_{i:06d}"
                make.photo(f"rgb_anon/{stem}_rgb_anon.png")
                if split != "test":
                    make.ids(f"gt/{stem}_gt_labelIds.png", [0, 7, 11, 24, 26])
                    make.ids(f"gt/{stem}_gt_labelTrainIds.png", [255, 0, 2, 11, 13])
                    make.colors(f"gt/{stem}_gt_labelColor.png", [(0, 0, 0), (128, 64, 128)])
            make.photo(f"rgb_anon/{weather}/{split}_ref/GOPR0475/GOPR0475_frame_000000_ref_rgb_anon.png")


def cvat(root: Path) -> None:
    """CVAT's "Segmentation mask 1.1": ``labelmap.txt``, ``ImageSets``, ``SegmentationClass``, ``SegmentationObject``."""
    make = Pictures(root)
    make.text(
        "labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128,64,128::\ncar:0,0,142::\ntrafic light:250,170,30::\n"
    )
    for i in range(6):
        make.photo(f"JPEGImages/shot{i}.jpg")
        make.colors(f"SegmentationClass/shot{i}.png", [(0, 0, 0), (128, 64, 128), (0, 0, 142)])
        make.colors(f"SegmentationObject/shot{i}.png", [(0, 0, 0), (128, 0, 0), (0, 128, 0)])
    make.text("ImageSets/Segmentation/train.txt", "".join(f"shot{i}\n" for i in range(4)))
    make.text("ImageSets/Segmentation/val.txt", "shot4\nshot5\n")


def voc_color(index: int) -> tuple[int, ...]:
    """The colour map of the VOC development kit, bit by bit."""
    color = [0, 0, 0]
    for shift in range(7, -1, -1):
        for channel in range(3):
            color[channel] |= ((index >> channel) & 1) << shift
        index >>= 3
    return tuple(color)


def voc(root: Path) -> None:
    make = Pictures(root)
    for i in range(5):
        make.photo(f"JPEGImages/2007_00{i:04d}.jpg")
        make.ids(f"SegmentationClass/2007_00{i:04d}.png", [0, 7, 15, 255], palette=[voc_color(n) for n in range(256)])
    make.text("ImageSets/Segmentation/train.txt", "".join(f"2007_00{i:04d}\n" for i in range(3)))
    make.text("ImageSets/Segmentation/val.txt", "2007_000003\n2007_000004\n")


def coco(root: Path) -> None:
    make = Pictures(root)
    for split, count in (("train", 3), ("val", 2)):
        images, annotations = [], []
        for i in range(count):
            images.append({"id": i + 1, "file_name": f"{i:012d}.jpg", "height": HW[0], "width": HW[1]})
            make.photo(f"{split}2017/{i:012d}.jpg")
            for number, (category, box) in enumerate(((3, (4, 4, 20, 20)), (1, (10, 10, 16, 30)))):
                left, top, right, bottom = box
                outline = [left, top, right, top, right, bottom, left, bottom]
                area = (right - left) * (bottom - top)
                row = {"id": 10 * i + number + 1, "image_id": i + 1, "category_id": category, "segmentation": [outline], "area": area}
                annotations.append({**row, "bbox": [left, top, right - left, bottom - top], "iscrowd": 0})
        categories = [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        make.text(f"annotations/instances_{split}2017.json", content)
        make.text(f"annotations/captions_{split}2017.json", {"images": images, "annotations": [{"id": 1, "caption": "a street"}]})


def coco_panoptic(root: Path) -> None:
    make = Pictures(root)
    for split, count in (("train", 3), ("val", 2)):
        images, annotations = [], []
        for i in range(count):
            images.append({"id": i + 1, "file_name": f"{i:012d}.jpg", "height": HW[0], "width": HW[1]})
            make.photo(f"{split}2017/{i:012d}.jpg")
            make.colors(f"annotations/panoptic_{split}2017/{i:012d}.png", [(0, 0, 0), (5, 0, 0), (6, 1, 0)])
            segments = [{"id": 5, "category_id": 149, "iscrowd": 0}, {"id": 6 + 256, "category_id": 3, "iscrowd": 0}]
            segments = [{**x, "bbox": [16, 0, 16, 32], "area": 512} for x in segments]
            annotations.append({"image_id": i + 1, "file_name": f"{i:012d}.png", "segments_info": segments})
        categories = [{"id": 3, "name": "car", "isthing": 1}, {"id": 149, "name": "road", "isthing": 0}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        make.text(f"annotations/panoptic_{split}2017.json", content)


def yolo(root: Path) -> None:
    make = Pictures(root)
    make.text("dataset.yaml", "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: car\n  1: person\n")
    for split, count in (("train", 3), ("val", 2)):
        for i in range(count):
            make.photo(f"images/{split}/{i}.jpg")
            make.text(f"labels/{split}/{i}.txt", "0 0.25 0.25 0.5 0.25 0.5 0.75 0.25 0.75\n1 0.75 0 1 0 1 1 0.75 1\n")


def plain_ids(root: Path) -> None:
    make = Pictures(root)
    for split, count in (("train", 4), ("valid", 2)):
        for i in range(count):
            make.photo(f"{split}/images/{i}.jpg")
            make.ids(f"{split}/masks/{i}.png", [0, 1, 2])
    make.text("classes.txt", "road\nsidewalk\nTraffic_Light\n")


def plain_rgb(root: Path) -> None:
    """Images and masks side by side in one folder, Cityscapes' colours, no names anywhere."""
    make = Pictures(root)
    for i in range(10):
        make.photo(f"all/street{'abcdefghij'[i]}.png")
        make.colors(f"all/street{'abcdefghij'[i]}_mask.png", [(128, 64, 128), (70, 70, 70), (0, 0, 142)])


MAPS: dict[str, Callable[[Path], None]] = {
    maker.__name__: maker
    for maker in (
        cityscapes,
        bdd100k_10k,
        bdd100k_2018,
        camvid,
        camvid_segnet,
        idd,
        vistas,
        wilddash2,
        acdc,
        cvat,
        voc,
        plain_ids,
        plain_rgb,
    )
}
"""Sets whose labels are maps."""


def cityscapes_polygons(root: Path) -> None:
    cityscapes(root, kinds=("polygons",))


def idd_polygons(root: Path) -> None:
    idd(root, drawn=False)


SHAPES: dict[str, Callable[[Path], None]] = {
    maker.__name__: maker for maker in (cityscapes_polygons, idd_polygons, coco, coco_panoptic, yolo)
}
"""Sets whose labels are outlines or segments of objects."""


def draw_polygons(content: dict, ids: dict[str, int]) -> np.ndarray:
    """A label map as Cityscapes' own script draws it: in order, with Pillow; 255 where no polygon is or its class has no id."""
    picture = Image.new("L", (content["imgWidth"], content["imgHeight"]), 255)
    for item in content["objects"]:
        ImageDraw.Draw(picture).polygon([tuple(point) for point in item["polygon"]], fill=ids.get(item["label"], 255))
    return np.array(picture)
