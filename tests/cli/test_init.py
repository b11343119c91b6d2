"""``mmstreet init`` describes data sets as they are published, and the other commands read what it writes."""

import json

import numpy as np
import pytest
import yaml
from PIL import Image

from mmstreet.cli.commands import main
from mmstreet.datasets.data_file import is_data_file, read_data_file
from mmstreet.datasets.inventory import inventories_of_data
from mmstreet.datasets.verify import verify
from mmstreet.formats.label_files import read_labels
from tests.helpers import published_sets
from tests.helpers.published_sets import MAPS, Pictures

PIXELS = published_sets.HW[0] * published_sets.HW[1]
EXPECTED = {
    # kind, images and labels of train and val, number of classes, names of the classes that have training pixels
    "cityscapes": ("Cityscapes, label ids", {"train": (3, 3), "val": (2, 2), "test": (1, 0)}, 19, "road building person car"),
    "bdd100k_10k": ("BDD100K, 10k images", {"train": (3, 3), "val": (2, 2), "test": (1, 0)}, 19, "road building vegetation car"),
    "bdd100k_2018": ("BDD100K, release of 2018", {"train": (3, 3), "val": (2, 2)}, 19, "road building vegetation car"),
    "camvid": ("CamVid, 32 classes as published", {"train": (17, 17), "val": (3, 3)}, 9, "Car Road Sky"),
    "camvid_segnet": ("CamVid, 11 classes, SegNet's folders", dict.fromkeys(("train", "val", "test"), (2, 2)), 11, "sky road car"),
    "idd": ("India Driving Dataset, level 3 ids", {"train": (3, 3), "val": (2, 2)}, 26, "road drivable-fallback car sky"),
    "vistas": ("Mapillary Vistas 1.2", {"train": (3, 3), "val": (2, 2), "test": (1, 0)}, 2, "road car"),
    "wilddash2": ("WildDash 2", {"train": (8, 8), "val": (2, 2)}, 25, "road person pickup roadmarking"),
    "acdc": ("ACDC, label ids", {"train": (8, 8), "val": (4, 4), "test": (4, 0)}, 19, "road building person car"),
    "cvat": ("CVAT or Pascal VOC, segmentation masks", {"train": (4, 4), "val": (2, 2)}, 4, "background road car"),
    "voc": ("CVAT or Pascal VOC, segmentation masks", {"train": (3, 3), "val": (2, 2)}, 21, "background car person"),
    "plain_ids": ("folders of images and label maps", {"train": (4, 4), "val": (2, 2)}, 3, "road sidewalk Traffic_Light"),
    "plain_rgb": ("folders of images and label maps", {"train": (8, 8), "val": (2, 2)}, 19, "road building car"),
}


def describe(folder, maker, *options):
    maker(folder / "set")
    assert main(["init", str(folder / "set"), "--out", str(folder / "data.yaml"), "--workers", "1", *options]) == 0
    return yaml.safe_load((folder / "data.yaml").read_text())


@pytest.mark.parametrize("name", MAPS)
def test_published_folders_are_described_without_a_question(name, tmp_path, capsys):
    content = describe(tmp_path, MAPS[name])
    kind, counts, num_classes, present = EXPECTED[name]
    assert content["kind"] == kind
    assert {split: (row["images"], row["labels"]) for split, row in content["counts"].items()} == counts
    assert content["image_hw"] == list(published_sets.HW)
    assert len(content["classes"]) == num_classes
    shares = {row["name"].replace(" ", "-"): row["share"] for row in content["classes"]}
    assert [row for row, share in shares.items() if share] == present.split()
    assert sum(shares.values()) == pytest.approx(100, abs=0.1)
    assert is_data_file(tmp_path / "data.yaml")
    assert kind in capsys.readouterr().out


@pytest.mark.parametrize("name", MAPS)
def test_verify_finds_nothing_wrong_with_what_init_describes(name, tmp_path):
    content = describe(tmp_path, MAPS[name])
    report = verify(*inventories_of_data(tmp_path / "data.yaml"), workers=1, progress=False)
    assert report["problems"] == []
    labelled = sum(counts["labels"] for counts in content["counts"].values())
    assert sum(row["pixels"] for row in report["classes"]) + report["void"] == labelled * PIXELS
    train = dict(zip((row["name"] for row in report["classes"]), report["splits"]["train"]["pixels"]))
    assert train == content["counts"]["train"]["pixels"]


def test_every_pixel_gets_the_class_whose_colour_it_has(tmp_path):
    describe(tmp_path, published_sets.camvid)
    data = read_data_file(tmp_path / "data.yaml")
    path = sorted((tmp_path / "set/LabeledApproved_full").glob("*"))[0]
    names = {tuple(map(int, row.split()[:3])): row.split()[3] for row in published_sets.CAMVID_COLORS.splitlines()}
    labels, colors = read_labels(path, data.parts[0].table), np.array(Image.open(path))
    expected = np.array([[names[tuple(color)] for color in row] for row in colors])
    assert set(np.unique(expected)) == {"Road", "Sky", "Void", "Car"}
    assert (np.array([*data.table.names, *["Void"] * 247], object)[labels] == expected).all()


def test_frames_of_one_film_are_not_on_both_sides(tmp_path):
    describe(tmp_path, published_sets.camvid)
    sides = {side: (tmp_path / f"data_splits/{side}.txt").read_text().split() for side in ("train", "val")}
    assert {name.split("_")[0] for name in sides["val"]} == {"0016E5"}
    assert {name.split("_")[0] for name in sides["train"]} == {"0001TP", "Seq05VD"}


def test_unknown_things_are_listed_with_what_is_nearest(tmp_path):
    def make(root):
        published_sets.cvat(root)
        Pictures(root).colors("SegmentationClass/shot0.png", [(128, 64, 128), (128, 64, 129)])
        (root / "JPEGImages/shot5.jpg").unlink()

    content = describe(tmp_path, make)
    said = "\n".join(content["suspicions"])
    assert "trafic light (nearest: traffic light)" in said
    assert "colour (128, 64, 129), 12 % of the training" not in said
    assert "colour (128, 64, 129)" in said
    assert "nearest is (128, 64, 128) of 'road'" in said
    assert "val: 1 labels have no image" in said
    assert [row["name"] for row in content["classes"]][-1] == "rgb_128_64_129"


def test_a_wrong_guess_is_one_edit_away(tmp_path, capsys):
    def make(root):
        for i in range(6):
            Pictures(root).photo(f"images/{i}a.jpg")
            Pictures(root).ids(f"masks/{i}a.png", [0, 2, 13, 255])

    content = describe(tmp_path, make)
    assert [row["name"] for row in content["classes"]] == ["class_0", "class_2", "class_13"]
    assert "bdd100k_sem19" in "\n".join(content["suspicions"])
    text = (tmp_path / "data.yaml").read_text()
    start, end = text.index("classes:"), text.index("counts:")
    (tmp_path / "data.yaml").write_text(f"{text[:start]}classes: bdd100k_sem19\n{text[end:]}")
    assert read_data_file(tmp_path / "data.yaml").table.names[13] == "car"
    assert main(["verify", str(tmp_path / "data.yaml"), "--workers", "1", "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out/dataset.json").read_text())
    assert [row["name"] for row in report["classes"] if row["pixels"]] == ["road", "building", "car"]


def test_a_file_that_is_there_is_kept(tmp_path, capsys):
    describe(tmp_path, published_sets.plain_ids)
    before = (tmp_path / "data.yaml").read_text()
    (tmp_path / "data.yaml").write_text(f"{before}# mine\n")
    assert main(["init", str(tmp_path / "set"), "--out", str(tmp_path / "data.yaml")]) == 1
    assert "is there already; add --overwrite" in capsys.readouterr().err
    assert (tmp_path / "data.yaml").read_text() == f"{before}# mine\n"
    assert main(["init", str(tmp_path / "set"), "--out", str(tmp_path / "data.yaml"), "--overwrite"]) == 0
    assert (tmp_path / "data.yaml").read_text() == before


def test_the_data_yaml_of_yolo_is_never_replaced(tmp_path, capsys):
    published_sets.yolo(tmp_path / "set")
    path = (tmp_path / "set/dataset.yaml").rename(tmp_path / "set/data.yaml")
    before = path.read_text()
    assert main(["init", str(tmp_path / "set"), "--out", str(path), "--overwrite"]) == 1
    assert "describes no data for mmstreet, so it is kept; choose another --out" in capsys.readouterr().err
    assert path.read_text() == before
    assert main(["init", str(tmp_path / "set"), "--out", str(tmp_path / "set/street.yaml"), "--workers", "1"]) == 0
    assert read_data_file(tmp_path / "set/street.yaml").table.names == ("background", "car", "person")


def test_a_folder_without_labels_is_refused_with_what_it_holds(tmp_path, capsys):
    Pictures(tmp_path / "set").photo("pictures/a.jpg")
    assert main(["init", str(tmp_path / "set"), "--out", str(tmp_path / "data.yaml")]) == 1
    assert "holds no images with labels that are recognised" in capsys.readouterr().err
    assert main(["init", str(tmp_path / "nowhere")]) == 1
    assert "is no folder" in capsys.readouterr().err
    assert not (tmp_path / "data.yaml").exists()


def test_broken_files_are_counted_not_fatal(tmp_path):
    def make(root):
        published_sets.plain_ids(root)
        whole = (root / "train/masks/0.png").read_bytes()
        (root / "train/masks/0.png").write_bytes(whole[: len(whole) // 2])
        (root / "train/masks/1.png").unlink()

    content = describe(tmp_path, make)
    said = "\n".join(content["suspicions"])
    assert "train: 1 label files cannot be read" in said
    assert "train: 1 images have no label, first" in said
    assert content["counts"]["train"]["labels"] == 3


LEARNED = {
    # kind, learned classes with training pixels and the share of each
    "cityscapes_polygons": ("Cityscapes, polygons", {"road", "sky", "car"}),
    "idd_polygons": ("India Driving Dataset, polygons", {"road", "sky", "car", "autorickshaw", "drivable fallback", "person"}),
    "coco": ("COCO instances", {"background", "car", "person"}),
    "coco_panoptic": ("COCO panoptic", {"road", "car"}),
    "yolo": ("YOLO, segmentation", {"background", "car", "person"}),
}


def expected_map(name, root):
    """The map of one training image, as class names, drawn the obvious way."""
    height, width = published_sets.HW
    names = np.full((height, width), "void", object)
    if name.endswith("polygons"):
        content = json.loads(sorted((root / "gtFine/train").rglob("*.json"))[0].read_text())
        single = {"parking": "drivable fallback", "animal": "person", "static": "void"}
        labels = sorted({single.get(item["label"], item["label"]) for item in content["objects"]})
        drawn = published_sets.draw_polygons(
            content, {item["label"]: labels.index(single.get(item["label"], item["label"])) for item in content["objects"]}
        )
        return np.array([*labels, *["void"] * (256 - len(labels))], object)[drawn]
    if name == "coco":
        names[:] = "background"
        names[4:20, 4:20], names[10:30, 10:16] = "car", "person"
    elif name == "coco_panoptic":
        names[:, 16:32], names[:, 32:] = "road", "car"
    else:
        names[:] = "background"
        names[8:24, 12:24], names[:, 36:] = "car", "person"
    return names


@pytest.mark.parametrize("name", published_sets.SHAPES)
def test_outlines_are_drawn_pixel_by_pixel(name, tmp_path):
    content = describe(tmp_path, published_sets.SHAPES[name])
    kind, present = LEARNED[name]
    assert content["kind"] == f"{kind}; label maps are drawn to data_maps"
    assert {split: row["labels"] for split, row in content["counts"].items() if split != "test"} == {"train": 3, "val": 2}
    data = read_data_file(tmp_path / "data.yaml")
    assert {row.name for row in data.table.labels if row.share} == present
    (part,) = data.parts
    pair = part.pairs("train")[0]
    learned = {source: (part.mapping or {}).get(source, "void" if part.mapping else source) for source in part.table.names}
    names = np.array([*(learned[source] for source in part.table.names), *["void"] * (256 - len(part.table))], object)
    assert (names[read_labels(pair.label_path, part.table)] == expected_map(name, tmp_path / "set")).all()
    assert verify(*inventories_of_data(tmp_path / "data.yaml"), workers=1, progress=False)["ok"]


def test_images_on_which_nothing_is_are_background(tmp_path):
    def make(root):
        published_sets.yolo(root)
        Pictures(root).photo("images/train/empty.jpg")

    content = describe(tmp_path, make)
    assert content["counts"]["train"] == {**content["counts"]["train"], "images": 4, "labels": 4}
    assert (np.array(Image.open(tmp_path / "data_maps/train/empty.png")) == 2).all()


def test_two_coco_files_of_one_image_folder_become_lists(tmp_path):
    def make(root):
        published_sets.coco(root)
        (root / "train2017").rename(root / "images")
        for path in sorted((root / "val2017").iterdir()):
            path.rename(root / "images" / f"v{path.name}")
        path = root / "annotations/instances_val2017.json"
        path.write_text(path.read_text().replace('"file_name": "', '"file_name": "v'))

    content = describe(tmp_path, make)
    assert content["layout"]["image_dir"] == "images"
    assert {split: row["images"] for split, row in content["counts"].items()} == {"train": 3, "val": 2}
    assert sorted((tmp_path / "data_splits/val.txt").read_text().split()) == [f"v{i:012d}" for i in range(2)]


def test_a_folder_in_the_way_of_the_maps_is_kept(tmp_path, capsys):
    published_sets.yolo(tmp_path / "set")
    Pictures(tmp_path).photo("data_maps/mine.png")
    assert main(["init", str(tmp_path / "set"), "--out", str(tmp_path / "data.yaml")]) == 1
    assert "data_maps" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "data_maps").iterdir()] == ["mine.png"]
    assert not (tmp_path / "data.yaml").exists()


def test_files_are_joined_with_a_remap_by_meaning(tmp_path, capsys):
    for name in ("bdd100k_10k", "camvid_segnet"):
        MAPS[name](tmp_path / name)
        assert main(["init", str(tmp_path / name), "--out", str(tmp_path / f"{name}.yaml"), "--workers", "1"]) == 0
    files = [str(tmp_path / f"{name}.yaml") for name in ("bdd100k_10k", "camvid_segnet")]
    assert main(["init", *files, "--out", str(tmp_path / "both.yaml")]) == 0
    content = yaml.safe_load((tmp_path / "both.yaml").read_text())
    assert content["sets"][0] == {"data": "bdd100k_10k.yaml"}
    expected = {"pavement": "sidewalk", "tree": "vegetation", "signsymbol": "traffic sign", "pedestrian": "person", "bicyclist": None}
    assert content["sets"][1] == {"data": "camvid_segnet.yaml", "remap": expected}
    assert "bicyclist (nearest: bicycle)" in capsys.readouterr().out
    data = read_data_file(tmp_path / "both.yaml")
    pixels = {"road": 3 * 320 + 2 * 384, "building": 3 * 320, "vegetation": 3 * 320, "car": 3 * 320 + 2 * 384, "sky": 2 * 384}
    assert {x.name: x.share for x in data.table.labels if x.share} == pytest.approx(
        {name: 100 * count / sum(pixels.values()) for name, count in pixels.items()}
    )
    assert main(["init", *files, "--out", str(tmp_path / "six.yaml"), "--classes", "street6"]) == 0
    assert read_data_file(tmp_path / "six.yaml").table.names == ("bicycle", "motorcycle", "pole", "car", "person", "vegetation")


def test_what_is_described_is_converted(tmp_path):
    describe(tmp_path, published_sets.camvid)
    text = (tmp_path / "data.yaml").read_text()
    (tmp_path / "data.yaml").write_text(f"{text}remap: {{to: [road, car], classes: {{LaneMkgsDriv: road}}}}\n")
    command = ["convert", str(tmp_path / "data.yaml"), str(tmp_path / "out"), "--to", "semantic", "--split", "val", "--workers", "1"]
    assert main(command) == 0
    found = sorted((tmp_path / "out").rglob("*.png"))
    assert [path.relative_to(tmp_path / "out").as_posix() for path in found] == [
        f"701_StillsRaw_full/0016E5_0{i:04d}.png" for i in range(3)
    ]
    colors = np.array(Image.open(tmp_path / f"set/LabeledApproved_full/{found[0].stem}_L.png"))
    ids = {(128, 64, 128): 0, (64, 0, 128): 1}
    assert np.array(Image.open(found[0])).tolist() == [[ids.get(tuple(color), 255) for color in row] for row in colors]
    assert main([*command[:3], "--to", "coco", "--split", "test"]) == 1


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda make: make.photo("masks/a.jpg"), "is a JPEG, which changes ids"),
        (lambda make: make.photo("masks/a.png"), "colours, as a photograph"),
        (lambda make: make.text("labels/a.txt", "0 0.5 0.5 0.1 0.1\n"), "holds YOLO's boxes, which have no outlines"),
    ],
)
def test_labels_that_are_none_are_named_with_the_reason(spoil, sentence, tmp_path, capsys):
    make = Pictures(tmp_path / "set")
    make.photo("images/a.jpg")
    spoil(make)
    assert main(["init", str(tmp_path / "set"), "--out", str(tmp_path / "data.yaml")]) == 1
    assert sentence in capsys.readouterr().err
