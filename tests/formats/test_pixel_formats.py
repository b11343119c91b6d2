"""COCO panoptic, CVAT's masks and parquet as other tools write them, and what is wrong with files that are not so."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mmstreet.formats.coco_panoptic import CocoPanopticReader
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.convert import convert
from mmstreet.formats.cvat import CvatReader, CvatWriter, object_color
from mmstreet.formats.detect import detect_format
from mmstreet.formats.parquet import ParquetReader, ParquetWriter
from mmstreet.formats.records import ImageRecord, read_images
from mmstreet.labels import BDD100K_SEM19, CITYSCAPES19, get_table
from tests.helpers.label_scenes import MemoryReader, make_instance, png_bytes

SIZE_HW = (6, 9)


def read(reader):
    report = ConversionReport()
    return list(read_images(reader, report)), report


def png(pixels, **settings):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", **settings)
    return file.getvalue()


def panoptic(root, **changes):
    """A file in the form of COCO's own: an id above 65535, a crowd, a class that is not wanted."""
    ids = np.zeros((*SIZE_HW, 3), np.uint8)
    ids[0:2], ids[2:4, :3], ids[5] = (44, 1, 3), (7, 0, 0), (9, 0, 0)
    (root / "panoptic_val").mkdir(parents=True, exist_ok=True)
    Image.fromarray(ids).save(root / "panoptic_val/0001.png")
    segments = [
        {"id": 44 + 256 + 3 * 256**2, "category_id": 3, "iscrowd": 0, "area": 18, "bbox": [0, 0, 9, 2]},
        {"id": 7, "category_id": 1, "iscrowd": 1, "area": 6, "bbox": [0, 2, 3, 2]},
        {"id": 9, "category_id": 190, "iscrowd": 0, "area": 9, "bbox": [0, 5, 9, 1]},
    ]
    coco = {
        "images": [{"id": 1, "file_name": "0001.jpg", "height": 6, "width": 9}, {"id": 2, "file_name": "2.jpg", "height": 6, "width": 9}],
        "annotations": [{"image_id": 1, "file_name": "0001.png", "segments_info": segments}],
        "categories": [
            {"id": 1, "name": "person", "isthing": 1, "supercategory": "person"},
            {"id": 3, "name": "car", "isthing": 1},
            {"id": 190, "name": "grass-merged", "isthing": 0},
        ],
    }
    (root / "panoptic_val.json").write_text(json.dumps({**coco, **changes}))
    return root / "panoptic_val.json"


def test_panoptic_segments_are_found_by_their_colours(tmp_path):
    path = panoptic(tmp_path)
    assert detect_format(path) == detect_format(tmp_path) == "coco-panoptic"
    table = CocoPanopticReader.find_table(path)
    assert [(x.name, x.raw_id, x.is_thing) for x in table.labels] == [("person", 1, True), ("car", 3, True), ("grass-merged", 190, False)]
    images, report = read(CocoPanopticReader(path, table))
    found = [(x.category_id, x.crowd, x.area, x.bbox) for x in images[0].instances]
    assert found == [(3, False, 18, (0, 0, 9, 2)), (1, True, 6, (0, 2, 3, 2)), (190, False, 9, (0, 5, 9, 1))]
    assert (images[1].name, images[1].instances) == ("2.jpg", ())
    _, report = read(CocoPanopticReader(path, CITYSCAPES19))
    assert report.skipped_instances == {"category 'grass-merged' is not among the classes": 1}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"annotations": None}, "is no COCO panoptic file: expected the lists"),
        ({"annotations": [{"image_id": 1}]}, "has no list segments_info"),
        ({"annotations": [{"image_id": 5, "file_name": "a.png", "segments_info": []}]}, "no image has the image_id 5"),
        ({"annotations": [{"image_id": [1], "file_name": "a.png", "segments_info": []}]}, "each id must be text or a whole number"),
        ({"annotations": 2 * [{"image_id": 1, "file_name": "a.png", "segments_info": []}]}, "has two annotations"),
        ({"annotations": [{"image_id": 1, "file_name": "../a.png", "segments_info": []}]}, "leads outside the image folder"),
    ],
)
def test_panoptic_files_that_are_none_are_refused_by_name(tmp_path, changes, sentence):
    path = panoptic(tmp_path, **changes)
    with pytest.raises(ValueError, match=sentence) as caught:
        read(CocoPanopticReader(path, CITYSCAPES19))
    assert str(path) in str(caught.value)


def test_segments_without_pixels_and_pixels_without_segments_are_counted(tmp_path):
    path = panoptic(tmp_path)
    coco = json.loads(path.read_text())
    coco["annotations"][0]["segments_info"][1]["id"] = 8
    path.write_text(json.dumps(coco))
    _, report = read(CocoPanopticReader(path, CocoPanopticReader.find_table(path)))
    assert report.skipped_instances == {"segment owns no pixel": 1}
    assert report.notes == {"segment of the PNG without an entry, void": 1}
    (tmp_path / "panoptic_val/0001.png").unlink()
    _, report = read(CocoPanopticReader(path, CITYSCAPES19))
    assert report.skipped_images == {"segment PNG is missing or unreadable": 1}


CLASSES, OBJECTS = np.zeros(SIZE_HW, np.uint8), np.zeros(SIZE_HW, np.uint8)
CLASSES[0:2], CLASSES[3:, :4], CLASSES[3:, 6:] = 1, 2, 2
OBJECTS[0:2], OBJECTS[3:, :4], OBJECTS[3:, 6:] = 1, 2, 3
LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128,64,128::\nTram:0,80,100::\n"


def cvat_files(kind="RGB"):
    palette = np.array([(0, 0, 0), (128, 64, 128), (0, 80, 100)], np.uint8)
    if kind == "P":
        picture = Image.fromarray(CLASSES).convert("P")
        picture.putpalette(palette.tobytes())
        file = io.BytesIO()
        picture.save(file, "PNG")
        classes = file.getvalue()
    else:
        classes = png(palette[CLASSES])
    objects = png(np.array([object_color(i) for i in range(4)], np.uint8)[OBJECTS])
    return {
        "labelmap.txt": LABELMAP.encode(),
        "ImageSets/Segmentation/default.txt": b"a/x\n",
        "SegmentationClass/a/x.png": classes,
        "SegmentationObject/a/x.png": objects,
    }


def write_files(path, files):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return path
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


@pytest.mark.parametrize("kind", ["RGB", "P"])
@pytest.mark.parametrize("name", ["labels.zip", "folder"])
def test_cvat_masks_are_read_by_their_colours(tmp_path, name, kind):
    path = write_files(tmp_path / name, cvat_files(kind))
    assert detect_format(path) == "cvat"
    table = CvatReader.find_table(path)
    assert table.names == ("road", "Tram")
    (image,), _ = read(CvatReader(path, table))
    assert image.name == "a/x.jpg"
    assert [(table.names[x.category_id], x.area) for x in image.instances] == [("Tram", 12), ("Tram", 9), ("road", 18)]
    (image,), _ = read(CvatReader(write_files(tmp_path / f"2{name}", {**cvat_files(kind), "JPEGImages/a/x.png": png_bytes()}), table))
    assert (image.name, image.picture) == ("a/x.png", png_bytes())


def test_cvat_without_objects_has_regions(tmp_path):
    files = cvat_files()
    del files["SegmentationObject/a/x.png"]
    (image,), _ = read(CvatReader(write_files(tmp_path / "a.zip", files), get_table([dict(name="Tram", thing=True), dict(name="road")])))
    assert [(x.category_id, x.crowd, x.area) for x in image.instances] == [(0, True, 21), (1, False, 18)]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("tram:1,2::", r"line 5 of labelmap\.txt must be 'name:red,green,blue::'"),
        ("tram:1,2,300::", "line 5 of labelmap"),
        ("tram:128,64,128::", r"gives the colour \(128, 64, 128\) to 'road' and to 'tram'"),
    ],
)
def test_cvat_label_maps_that_are_none_are_refused(tmp_path, line, sentence):
    path = write_files(tmp_path / "a.zip", {**cvat_files(), "labelmap.txt": f"{LABELMAP}{line}\n".encode()})
    with pytest.raises(ValueError, match=sentence):
        CvatReader.find_table(path)


def test_cvat_colours_of_no_class_are_counted(tmp_path):
    path = write_files(tmp_path / "a.zip", {**cvat_files(), "labelmap.txt": LABELMAP.replace("0,80,100", "0,80,101").encode()})
    _, report = read(CvatReader(path, CvatReader.find_table(path)))
    assert report.skipped_instances == {"colour is not in labelmap.txt": 2}
    assert "(0, 80, 100)" in report.examples["colour is not in labelmap.txt"][0]


def test_cvat_refuses_names_that_its_list_cannot_hold(tmp_path):
    writer = CvatWriter(tmp_path / "a.zip", get_table([dict(name="a:b")]))
    with pytest.raises(ValueError, match="class name 'a:b' cannot be written"):
        convert(MemoryReader(()), writer, workers=1, progress=False)
    assert not list(tmp_path.iterdir())


def test_cvat_gives_classes_without_a_colour_of_their_own_one(tmp_path):
    table = get_table([dict(name="a", color=[0, 0, 0]), dict(name="b", color=[9, 9, 9])])
    colors = CvatWriter(tmp_path / "a.zip", table).colors
    assert colors[1] == (9, 9, 9)
    assert len(set(colors.values()) - {(0, 0, 0)}) == 2


def parquet_rows(path, columns):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table(columns), path)
    return path


def test_parquet_columns_of_the_hub_are_read(tmp_path):
    labels = np.full(SIZE_HW, 255, np.uint8)
    labels[2] = 13
    columns = {
        "pixel_values": [{"bytes": png_bytes(), "path": None}, {"bytes": png_bytes(), "path": "b.png"}],
        "label": [{"bytes": png(labels), "path": None}, {"bytes": None, "path": "x.png"}],
    }
    path = parquet_rows(tmp_path / "train-00000-of-00001.parquet", columns)
    images, report = read(ParquetReader(path, BDD100K_SEM19))
    assert [(image.name, image.instances[0].category_id, image.instances[0].area) for image in images] == [("00000000.png", 13, 9)]
    assert report.skipped_images == {"row without the bytes of image or label": 1}
    assert f"{path}, row 1 of group 0 ('b.png')" in report.examples["row without the bytes of image or label"][0]
    with pytest.raises(ValueError, match="has the columns image, text; expected 'image' and 'label'"):
        read(ParquetReader(parquet_rows(tmp_path / "b.parquet", {"image": ["a"], "text": ["b"]}), BDD100K_SEM19))


def test_parquet_files_are_named_by_split_and_number(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    mask = np.ones(SIZE_HW, bool)
    names = [*(f"train/{i}.png" for i in range(5)), "a.png"]
    one = ImageRecord("", SIZE_HW, {}, (make_instance(mask, 26),), picture=png_bytes())
    images = tuple(replace(one, name=name, split=None if "/" in name else "val") for name in names)
    monkeypatch.setattr("mmstreet.formats.parquet.ROWS", 2)
    monkeypatch.setattr("mmstreet.formats.parquet.MAX_BYTES", 300)
    convert(MemoryReader(images), ParquetWriter(tmp_path / "out", CITYSCAPES19), workers=1, progress=False)
    files = sorted(path.name for path in (tmp_path / "out/data").iterdir())
    assert files == [*(f"train-0000{i}-of-00003.parquet" for i in range(3)), "val-00000-of-00001.parquet"]
    metadata = parquet.ParquetFile(tmp_path / "out/data" / files[0]).schema_arrow.metadata
    assert json.loads(metadata[b"huggingface"])["info"]["features"] == {"image": {"_type": "Image"}, "label": {"_type": "Image"}}
    found, _ = read(ParquetReader(tmp_path / "out", ParquetReader.find_table(tmp_path / "out")))
    assert [image.name for image in found] == names
