"""Every format gives back the class of every pixel, and whatever else it says that it holds."""

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmstreet.formats.catalogue import FORMATS, READERS, WRITERS, get_reader, get_writer
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.convert import convert
from mmstreet.formats.records import FLAGS, ImageRecord, read_images
from mmstreet.labels import CAMVID11, CITYSCAPES19, get_table
from tests.helpers.label_scenes import MemoryReader, class_map, make_instance, mask_of, png_bytes, scenes, visible_objects, without_flags

BOTH = sorted(set(READERS) & set(WRITERS))
OWN = get_table([dict(name="Straße", id=0, color=(1, 2, 3)), dict(name="Auto", id=3, thing=True), dict(name="Laster", id=200, thing=True)])
THINGS = {label.name for label in CITYSCAPES19.labels if label.is_thing}
FEW = settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@contextlib.contextmanager
def round_trip(name, images, table):
    """Write images, read them back; give the images, their table, and what was lost on the way."""
    pytest.importorskip("pyarrow") if name == "parquet" else None
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / {"cvat": "labels.zip", "coco": "labels.json", "scalabel": "labels.json"}.get(name, "labels")
        copied = {"copy_images": True} if name == "yolo" else {}
        report = convert(MemoryReader(tuple(images)), get_writer(name)(out, table), workers=1, progress=False, **copied)
        reader = get_reader(name)
        own, back = reader.find_table(out) or table, ConversionReport(strict=True)
        found = list(read_images(reader(out, own, None), back))
        assert not back.losses
        yield found, own, report


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("table", [CITYSCAPES19, CAMVID11, OWN], ids=lambda table: table.name[:10])
@FEW
@given(data=st.data())
def test_every_pixel_keeps_its_class(name, table, data):
    images = data.draw(scenes(table))
    with round_trip(name, images, table) as (found, own, _):
        assert len(found) == len(images)
        for before, after in zip(images, found):
            assert Path(after.name).with_suffix("").name.removesuffix("_leftImg8bit") == Path(before.name).with_suffix("").name
            assert class_map(after, own) == class_map(before, table)


@pytest.mark.parametrize("name", [name for name in BOTH if "objects" in get_writer(name)(Path("a")).holds])
@FEW
@given(data=st.data())
def test_objects_stay_apart(name, data):
    images = data.draw(scenes(CITYSCAPES19))
    if "crowd" not in get_writer(name)(Path("a")).holds:
        images = tuple(without_flags(image) for image in images)
    with round_trip(name, images, CITYSCAPES19) as (found, own, _):
        for before, after in zip(images, found):
            wanted, objects = visible_objects(before, CITYSCAPES19), visible_objects(after, own)
            if name == "cityscapes":  # crowds of one class are one region there
                wanted, objects = ({x for x in some if not x[1]} for some in (wanted, objects))
            # YOLO and CVAT do not say which classes can be counted: all objects come back as such
            assert {x for x in objects if x[0] in THINGS} == wanted


@pytest.mark.parametrize("name", [name for name in BOTH if "overlaps" in get_writer(name)(Path("a")).holds])
@FEW
@given(data=st.data())
def test_hidden_pixels_and_the_order_survive(name, data):
    images = data.draw(scenes(CITYSCAPES19))
    if name == "yolo":  # regions and crowds become several polygons there
        countable = {label.raw_id for label in CITYSCAPES19.labels if label.is_thing}
        plain = map(without_flags, images)
        images = tuple(replace(x, instances=tuple(i for i in x.instances if i.category_id in countable)) for x in plain)
    with round_trip(name, images, CITYSCAPES19) as (found, _, report):
        assert "pixels under another instance" not in report.losses
        for before, after in zip(images, found):
            assert [mask_of(x.counts).tolist() for x in after.instances] == [mask_of(x.counts).tolist() for x in before.instances]


def full_image(table):
    """One image that uses every feature."""
    thing = next(label for label in table.labels if label.is_thing)
    mask = [make_mask(1, 1), make_mask(1, 5)]
    told = dict(source_id="7", truncated=True, occluded=True, score=0.5)
    return ImageRecord(
        "train/a.png",
        (6, 9),
        {"weather": "rainy"},
        (
            make_instance(mask[0], thing.raw_id, **told, crowd=True),
            make_instance(mask[1], thing.raw_id, **{**told, "source_id": "8"}, ignored=True),
        ),
    )


def make_mask(y, x):
    mask = np.zeros((6, 9), bool)
    mask[y : y + 2, x : x + 2] = True
    return mask


@pytest.mark.parametrize("name", BOTH)
def test_what_a_format_says_that_it_holds_it_holds_and_the_rest_is_counted(name):
    image = replace(full_image(CITYSCAPES19), picture=png_bytes())
    holds = get_writer(name)(Path("a")).holds
    with round_trip(name, [image], CITYSCAPES19) as ((found,), _, report):
        for flag in FLAGS:
            kept = sorted(getattr(x, flag) for x in found.instances) == sorted(getattr(x, flag) for x in image.instances)
            assert kept == (flag in holds), flag
            assert (f"flag '{flag}'" in report.losses) == (flag not in holds)
        assert ({x.score for x in found.instances} == {0.5}) == ("scores" in holds) == ("score" not in report.losses)
        assert ({x.source_id for x in found.instances} == {"7", "8"}) == ("ids" in holds) == ("label id" not in report.losses)
        assert (found.attributes == image.attributes) == ("attributes" in holds) == ("image attributes" not in report.losses)


@pytest.mark.parametrize("name", BOTH)
def test_images_without_labels_are_kept(name):
    images = [ImageRecord(f"{i}.png", (6, 9), {}, (), picture=png_bytes()) for i in range(2)]
    with round_trip(name, images, CITYSCAPES19) as (found, _, report):
        assert [x.instances for x in found] == [(), ()]
        assert (report.images_in, report.images_out, report.instances_out) == (2, 2, 0)


def test_every_format_is_tried():
    assert len(BOTH) == len([row for row in FORMATS.values() if row.reader and row.writer]) >= 10


@pytest.mark.parametrize("name", ["coco", "scalabel"])
@FEW
@given(data=st.data())
def test_polygons_cover_the_same_pixels(name, data):
    images = tuple(without_flags(image) for image in data.draw(scenes(CITYSCAPES19)))
    with tempfile.TemporaryDirectory() as folder:
        writer = get_writer(name)(Path(folder) / "a.json", CITYSCAPES19, polygons=True)
        convert(MemoryReader(images), writer, workers=1, progress=False)
        text = writer.path.read_text()
        assert '"counts"' not in text
        found = list(read_images(get_reader(name)(writer.path, CITYSCAPES19, None), ConversionReport()))
        for before, after in zip(images, found):
            assert [mask_of(x.counts).tolist() for x in after.instances] == [mask_of(x.counts).tolist() for x in before.instances]
        if name == "coco":
            api = pytest.importorskip("pycocotools.coco").COCO(str(writer.path))
            for before, image_id in zip(images, api.getImgIds()):
                masks = [api.annToMask(annotation).tolist() for annotation in api.loadAnns(api.getAnnIds(image_id))]
                assert masks == [mask_of(x.counts).astype(int).tolist() for x in before.instances]
