"""The mini set on disk: reproducible, consistent across its label formats, and shaped like BDD100K."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mmstreet.formats.bitmask import read_bitmask
from mmstreet.formats.bitmask_codec import decode_bitmask
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.records import read_images
from mmstreet.formats.scalabel import ScalabelReader
from mmstreet.labels import BDD100K_INS8, BDD100K_SEM19, STREET6
from mmstreet.mini.sheet import write_contact_sheet
from mmstreet.mini.writer import MARKER, MiniSettings, parse_size, render_scene, write_mini_dataset

SIZE = (160, 90)


def contents(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Two training pictures and the 40 validation pictures of the default set, small."""
    root = tmp_path_factory.mktemp("mini") / "set"
    write_mini_dataset(root, MiniSettings(train=2, val=40, size_wh=SIZE))
    return root


@pytest.fixture(scope="module")
def masks(dataset):
    return {path.stem: np.array(Image.open(path)) for path in sorted((dataset / "labels/sem_seg/masks/val").iterdir())}


def test_same_seed_gives_same_bytes_whatever_the_workers(tmp_path):
    settings = MiniSettings(train=5, val=1, seed=3, size_wh=(64, 36))
    write_mini_dataset(tmp_path / "one", settings)
    write_mini_dataset(tmp_path / "two", settings, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_scene_depends_on_seed_split_and_index():
    settings = MiniSettings(size_wh=(64, 36))
    images = [
        render_scene(settings, "train", 0)[1].image,
        render_scene(settings, "val", 0)[1].image,
        render_scene(settings, "train", 1)[1].image,
        render_scene(MiniSettings(seed=1, size_wh=(64, 36)), "train", 0)[1].image,
    ]
    assert all((a != b).any() for i, a in enumerate(images) for b in images[:i])


def test_the_set_grows_without_changing_what_is_there(tmp_path):
    write_mini_dataset(tmp_path / "short", MiniSettings(train=1, val=1, size_wh=(64, 36)))
    write_mini_dataset(tmp_path / "long", MiniSettings(train=2, val=1, size_wh=(64, 36)))
    name = "images/10k/train/train_00000.jpg"
    assert contents(tmp_path / "short")[name] == contents(tmp_path / "long")[name]


def test_files_lie_in_bdd100k_layout(dataset, masks):
    assert len(masks) == 40
    image = Image.open(dataset / "images/10k/val/val_00000.jpg")
    assert (image.size, image.mode) == (SIZE, "RGB")
    assert masks["val_00000"].dtype == np.uint8
    assert masks["val_00000"].shape == SIZE[::-1]
    assert read_bitmask(dataset / "labels/ins_seg/bitmasks/val/val_00000.png").shape == (*SIZE[::-1], 4)


def test_all_classes_occur_in_validation_and_nothing_else(masks):
    ids = np.unique(np.stack(list(masks.values())))
    assert set(ids.tolist()) - {255} == set(range(19))


def test_the_first_four_validation_pictures_show_the_six_classes(masks):
    ids = np.unique(np.stack([masks[f"val_{i:05d}"] for i in range(4)]))
    assert {BDD100K_SEM19.index(name) for name in STREET6.names} <= set(ids.tolist())


def test_class_shares_have_the_order_of_magnitude_of_bdd100k(masks):
    counts = np.bincount(np.stack(list(masks.values())).ravel(), minlength=256)
    shares = 100 * counts[:19] / counts[:19].sum()
    factor = {label.name: round(share / label.share, 2) for label, share in zip(BDD100K_SEM19.labels, shares)}
    assert all(1 / 6 < f < 6 for f in factor.values()), factor
    assert all(0.6 < factor[name] < 1.6 for name in ("road", "building", "vegetation", "sky", "car")), factor


def test_thing_pixels_are_the_union_of_their_instances(dataset, masks):
    for stem, mask in masks.items():
        rgba = read_bitmask(dataset / f"labels/ins_seg/bitmasks/val/{stem}.png")
        for label in BDD100K_INS8.labels:
            train_id = BDD100K_SEM19.index({"pedestrian": "person"}.get(label.name, label.name))
            np.testing.assert_array_equal(rgba[..., 0] == label.raw_id, mask == train_id, err_msg=f"{stem} {label.name}")


def test_json_boxes_polygons_and_run_lengths_are_those_of_the_bitmask(dataset):
    paths = [dataset / f"labels/ins_seg/{kind}/ins_seg_val.json" for kind in ("polygons", "rles")]
    frames = json.loads(paths[0].read_text())["frames"]
    polygons, rles = (list(read_images(ScalabelReader(path), ConversionReport(strict=True))) for path in paths)
    assert [frame["name"] for frame in frames] == [image.name for image in polygons] == [f"val_{i:05d}.jpg" for i in range(40)]
    for frame, polygonal, run_lengths in zip(frames, polygons, rles):
        rgba = read_bitmask(dataset / "labels/ins_seg/bitmasks/val" / frame["name"].replace(".jpg", ".png"))
        instances = {instance.source_id: instance for instance in decode_bitmask(rgba)}
        assert len(instances) == len(frame["labels"]) == len(polygonal.instances) == len(run_lengths.instances)
        for label, *masks in zip(frame["labels"], polygonal.instances, run_lengths.instances):
            instance = instances[str(label["id"])]
            rows, cols = np.nonzero(rgba[..., 2].astype(int) * 256 + rgba[..., 3] == int(label["id"]))
            assert label["box2d"] == {"x1": cols.min(), "y1": rows.min(), "x2": cols.max(), "y2": rows.max()}
            assert BDD100K_INS8.labels[instance.category_id - 1].name == label["category"]
            for mask in masks:
                assert mask.flags == instance.flags
                np.testing.assert_array_equal(mask.counts, instance.counts)


def test_rider_and_two_wheeler_are_separate_instances(dataset):
    frames = json.loads((dataset / "labels/ins_seg/polygons/ins_seg_val.json").read_text())["frames"]
    ridden = [names for frame in frames if "rider" in (names := [label["category"] for label in frame["labels"]])]
    assert ridden
    for names in ridden:
        assert names.count("rider") <= names.count("bicycle") + names.count("motorcycle")


def test_attributes_use_the_words_of_bdd100k_and_vary(dataset):
    attributes = [frame["attributes"] for frame in json.loads((dataset / "labels/ins_seg/polygons/ins_seg_val.json").read_text())["frames"]]
    words = {key: {a[key] for a in attributes} for key in ("weather", "scene", "timeofday")}
    assert words["scene"] == {"city street", "residential", "highway"}
    assert words["timeofday"] == {"daytime", "dawn/dusk", "night"}
    assert words["weather"] <= {"clear", "partly cloudy", "overcast", "rainy", "snowy", "foggy"}
    assert len(words["weather"]) >= 4


def test_image_labels_list_the_classes_of_each_mask(dataset, masks):
    listed = json.loads((dataset / "image_labels_val.json").read_text())
    assert listed["classes"] == list(BDD100K_SEM19.names)
    assert set(listed["labels"]) == set(masks)
    for stem, ids in listed["labels"].items():
        assert ids == sorted(set(masks[stem].ravel().tolist()) - {255})


@pytest.mark.parametrize("size", [(33, 47), (161, 91), (90, 160)])
def test_odd_sizes_and_portraits_work(size):
    _, picture, annotations = render_scene(MiniSettings(size_wh=size), "val", 1)
    assert picture.image.shape == (size[1], size[0], 3)
    assert picture.labels.shape == annotations.bitmask.shape[:2] == (size[1], size[0])


def test_overwriting_replaces_an_earlier_set_only(tmp_path):
    settings = MiniSettings(train=2, val=0, size_wh=(32, 32))
    write_mini_dataset(tmp_path / "set", settings)
    with pytest.raises(FileExistsError, match="add --overwrite"):
        write_mini_dataset(tmp_path / "set", settings)
    write_mini_dataset(tmp_path / "set", MiniSettings(train=1, val=1, size_wh=(32, 32)), overwrite=True)
    assert len(list((tmp_path / "set/images/10k").rglob("*.jpg"))) == 2
    (tmp_path / "other").mkdir()
    (tmp_path / "other/keep.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=f"no {MARKER} in it"):
        write_mini_dataset(tmp_path / "other", settings, overwrite=True)
    assert (tmp_path / "other/keep.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"train": -1}, "train must be 0 or more, got -1"),
        ({"seed": -2}, "seed must be 0 or more, got -2"),
        ({"train": 0, "val": 0}, "nothing to draw"),
        ({"size_wh": (640, 20)}, "at least 32 pixels in width and height, got 640x20"),
    ],
)
def test_bad_settings_are_named(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        MiniSettings(**settings)


@pytest.mark.parametrize("text", ["640", "640x", "x360", "640x360x3", "-640x360", "640 x 360.5", "axb"])
def test_a_malformed_size_is_quoted(text):
    with pytest.raises(ValueError, match=f"such as 640x360, got '{text}'"):
        parse_size(text)


def test_the_contact_sheet_shows_pictures_beside_their_colours(dataset, tmp_path):
    path = write_contact_sheet(dataset, tmp_path / "deep" / "sheet.png", count=3, width=80, columns=2)
    sheet = np.array(Image.open(path).convert("RGB"))
    assert sheet.shape == (2 * 45, 4 * 80, 3)
    road = np.abs(sheet[:45, 80:160].astype(int) - (128, 64, 128)).sum(-1) < 12
    assert road.mean() > 0.1
    with pytest.raises(FileNotFoundError, match="write the data set first"):
        write_contact_sheet(tmp_path, tmp_path / "sheet.png")


def test_the_command_writes_a_set_and_refuses_bad_input_in_one_sentence(tmp_path):
    def run(*args):
        return subprocess.run([sys.executable, "-m", "mmstreet", "mini", tmp_path / "set", *args], capture_output=True, text=True)

    good = run("--train", "1", "--val", "1", "--size", "32x32", "--workers", "1", "--contact-sheet", tmp_path / "sheet.png")
    assert good.returncode == 0, good.stderr
    assert "1 training and 1 validation images of 32x32" in good.stdout
    assert (tmp_path / "sheet.png").is_file()
    bad = run("--size", "big")
    assert bad.returncode == 1
    assert bad.stderr == "mmstreet mini: a size is WIDTHxHEIGHT in pixels, such as 640x360, got 'big'\n"
