import numpy as np
import pytest
from PIL import Image

from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.convert import convert
from mmstreet.formats.records import read_images
from mmstreet.formats.semantic import SemanticReader, SemanticWriter
from mmstreet.labels import BDD100K_SEM19


def write_map(path, ids):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(ids, np.uint8)).save(path)


def test_a_label_map_comes_back_pixel_by_pixel(tmp_path):
    rng = np.random.default_rng(0)
    ids = {f"train/{i}.png": rng.choice([0, 3, 13, 18, 255], (7, 9)) for i in range(3)}
    for name, values in ids.items():
        write_map(tmp_path / "in" / name, values)
    report = convert(SemanticReader(tmp_path / "in"), SemanticWriter(tmp_path / "out"), workers=1, progress=False)
    assert (report.images_in, report.images_out, report.instances_in) == (3, 3, report.instances_out)
    for name, values in ids.items():
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / name)), values)


def test_regions_of_countable_classes_are_crowds(tmp_path):
    write_map(tmp_path / "a.png", [[0, 13], [255, 13]])
    (image,) = read_images(SemanticReader(tmp_path), ConversionReport())
    found = {BDD100K_SEM19.names[x.category_id]: (x.crowd, x.area, x.bbox) for x in image.instances}
    assert found == {"road": (False, 1, (0, 0, 1, 1)), "car": (True, 2, (1, 0, 1, 2))}


def test_ids_outside_the_table_are_counted(tmp_path):
    write_map(tmp_path / "a.png", [[0, 77], [77, 1]])
    report = ConversionReport()
    (image,) = read_images(SemanticReader(tmp_path), report)
    assert sum(x.area for x in image.instances) == 2
    assert report.losses == {"id outside the class table, read as void": 1}
    assert "label id 77 in " in report.examples["id outside the class table, read as void"][0]


def test_a_folder_in_use_is_left_alone_until_it_may_be_replaced(tmp_path):
    write_map(tmp_path / "in" / "a.png", [[1]])
    write_map(tmp_path / "out" / "mine.png", [[1]])
    run = {"workers": 1, "progress": False}
    with pytest.raises(FileExistsError, match="not empty"):
        convert(SemanticReader(tmp_path / "in"), SemanticWriter(tmp_path / "out"), **run)
    assert [x.name for x in (tmp_path / "out").iterdir()] == ["mine.png"]
    convert(SemanticReader(tmp_path / "in"), SemanticWriter(tmp_path / "out"), overwrite=True, **run)
    assert sorted(x.name for x in (tmp_path / "out").iterdir()) == ["a.png", "classes.json"]
    assert sorted(x.name for x in tmp_path.iterdir()) == ["in", "out"]


def test_a_failure_leaves_no_half_folder(tmp_path):
    write_map(tmp_path / "in" / "a.png", [[1]])
    (tmp_path / "in" / "b.png").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"b\.png"):
        convert(SemanticReader(tmp_path / "in"), SemanticWriter(tmp_path / "out"), workers=1, progress=False, strict=True)
    assert [x.name for x in tmp_path.iterdir()] == ["in"]


def test_names_that_differ_in_capitals_are_noted(tmp_path):
    write_map(tmp_path / "in" / "a.png", [[1]])
    write_map(tmp_path / "in" / "A.png", [[2]])
    report = convert(SemanticReader(tmp_path / "in"), SemanticWriter(tmp_path / "out"), workers=1, progress=False)
    assert (report.images_out, report.notes) == (2, {"names differ in capitals only": 1})


def test_images_beside_their_label_maps_are_told_from_them(tmp_path):
    write_map(tmp_path / "a.png", [[1, 2]])
    write_map(tmp_path / "b.png", [[1, 2]])
    Image.new("RGB", (2, 1)).save(tmp_path / "a.jpg")
    report = ConversionReport()
    names = [image.name for image in read_images(SemanticReader(tmp_path, image_root=tmp_path), report)]
    assert names == ["a.jpg", "b.png"]
    Image.new("RGB", (2, 1)).save(tmp_path / "b.bmp")
    with pytest.raises(ValueError, match=r"'b\.bmp' and 'b\.png' in .* have the same name but for their ending"):
        SemanticReader(tmp_path, image_root=tmp_path).tasks()
