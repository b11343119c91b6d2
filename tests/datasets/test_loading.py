"""The first steps of a pipeline name the file that stops them, and stop before a wrong label trains."""

import logging

import numpy as np
import pytest
from mmengine.registry import TRANSFORMS
from PIL import Image

from mmstreet.files.images import ImageFileError
from mmstreet.formats.label_files import LabelFileError
from tests.helpers.street_files import truncate, write_image, write_labels


def build(name, **settings):
    return TRANSFORMS.build(dict(type=f"mmstreet.{name}", **settings))


def info(tmp_path, **more):
    return dict(img_path=str(tmp_path / "a.jpg"), seg_map_path=str(tmp_path / "a.png"), seg_fields=[], **more)


def test_an_image_is_loaded_with_its_shapes(tmp_path):
    write_image(tmp_path / "a.jpg", (24, 32), value=90)
    results = build("LoadImage")(info(tmp_path))
    assert results["img"].shape == (24, 32, 3)
    assert (results["img"] == 90).all()
    assert results["img_shape"] == results["ori_shape"] == (24, 32)


def test_orientation_tags_are_followed_on_request_only(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (32, 24)).save(tmp_path / "a.jpg", exif=exif)
    assert build("LoadImage")(info(tmp_path))["ori_shape"] == (24, 32)
    assert build("LoadImage", orientation="exif")(info(tmp_path))["ori_shape"] == (32, 24)


def test_a_broken_image_stops_with_its_name(tmp_path):
    truncate(write_image(tmp_path / "a.jpg"))
    with pytest.raises(ImageFileError, match=r"a\.jpg is truncated"):
        build("LoadImage")(info(tmp_path))


def test_a_broken_image_is_skipped_on_request_and_counted(tmp_path, caplog):
    truncate(write_image(tmp_path / "a.jpg"))
    step = build("LoadImage", on_broken="skip")
    with caplog.at_level(logging.WARNING):
        assert step(info(tmp_path)) is None
        assert step(info(tmp_path)) is None
    assert step.skipped == 2


def test_a_missing_image_is_never_skipped(tmp_path):
    with pytest.raises(FileNotFoundError):
        build("LoadImage", on_broken="skip")(info(tmp_path))


def test_labels_follow_the_table_that_the_data_set_names(tmp_path):
    write_labels(tmp_path / "a.png", [[7, 33]])
    results = build("LoadLabels")(info(tmp_path, label_table="cityscapes19"))
    assert results["gt_seg_map"].tolist() == [[0, 18]]
    assert results["gt_seg_map"].dtype == np.uint8
    assert results["seg_fields"] == ["gt_seg_map"]


def test_labels_without_a_table_are_an_error(tmp_path):
    write_labels(tmp_path / "a.png", [[0]])
    with pytest.raises(ValueError, match="pass table="):
        build("LoadLabels")(info(tmp_path))


def test_an_id_outside_the_table_stops_with_file_and_place(tmp_path):
    write_labels(tmp_path / "a.png", [[0, 1], [42, 1]])
    with pytest.raises(LabelFileError, match=r"label id 42 in .*a\.png.*y=1, x=0"):
        build("LoadLabels", table="bdd100k_sem19")(info(tmp_path))
    results = build("LoadLabels", table="bdd100k_sem19", unlisted="ignore")(info(tmp_path))
    assert results["gt_seg_map"].tolist() == [[0, 1], [255, 1]]


def test_a_label_of_another_size_than_its_image_is_an_error(tmp_path):
    write_labels(tmp_path / "a.png", np.zeros((12, 16)))
    with pytest.raises(LabelFileError, match=r"a\.png is 16x12, but its image is 32x24"):
        build("LoadLabels", table="camvid11")(info(tmp_path, ori_shape=(24, 32)))


def test_mmsegs_own_label_map_is_not_passed_over_in_silence(tmp_path):
    write_labels(tmp_path / "a.png", [[0]])
    with pytest.raises(ValueError, match=r"use mmstreet\.RemapLabels"):
        build("LoadLabels", table="camvid11")(info(tmp_path, label_map={0: 1}))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("LoadImage", dict(on_broken="keep")),
        ("LoadImage", dict(orientation="upright")),
        ("LoadLabels", dict(palette="rgb")),
        ("LoadLabels", dict(unlisted="x")),
    ],
)
def test_unknown_settings_are_refused(name, settings):
    with pytest.raises(ValueError, match="must be"):
        build(name, **settings)
