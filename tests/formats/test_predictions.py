"""What mmstreet predict leaves becomes labels of any format, and what FiftyOne shows."""

import base64
import io
import json
import zlib

import numpy as np
import pytest
from PIL import Image

from mmstreet.files.image_confusions import ImageConfusions
from mmstreet.files.instances import Instances
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.convert import coco_dict, convert
from mmstreet.formats.detect import detect_format
from mmstreet.formats.fiftyone_folder import FiftyOneWriter
from mmstreet.formats.predictions import PredictionReader
from mmstreet.formats.records import read_images
from mmstreet.formats.semantic import SemanticReader
from mmstreet.labels import BDD100K_INS8, BDD100K_SEM19
from mmstreet.predict.folder import PredictionFolder
from mmstreet.predict.result import Result
from mmstreet.predict.sources import find_sources

SIZE_HW = (6, 8)
LABELS = np.zeros(SIZE_HW, np.uint8)
LABELS[2:4, 3:6], LABELS[0, 0] = 13, 255
MASKS = np.zeros((2, *SIZE_HW), bool)
MASKS[0, 1:3, 1:4], MASKS[1, 2:6, 2:3] = True, True


def predict(root, table, results):
    """Write results of images, as the command does."""
    for name in results:
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE_HW[::-1]).save(root / "images" / name)
    folder = PredictionFolder(root / "predicted", {"classes": list(table.names)}, overlays=False)
    for source in folder.choose(find_sources(root / "images")):
        folder.write_image(source, np.zeros((*SIZE_HW, 3), np.uint8), results[source.path.relative_to(root / "images").as_posix()])
    return root / "predicted"


def result(table, **more):
    return Result(LABELS, table.names, np.array(table.palette, np.uint8), **more)


def test_label_maps_become_regions_under_the_names_of_the_images(tmp_path):
    path = predict(tmp_path, BDD100K_SEM19, {"val/ä.png": result(BDD100K_SEM19)})
    assert detect_format(path) == "predictions"
    table = PredictionReader.find_table(path)
    (image,) = read_images(PredictionReader(path, table), ConversionReport())
    assert (image.name, image.picture) == ("val/ä.png", (tmp_path / "images/val/ä.png").absolute())
    assert {(table.names[x.category_id], x.area) for x in image.instances} == {("road", 6 * 8 - 7), ("car", 6)}


def test_objects_keep_masks_and_scores(tmp_path):
    objects = Instances.from_masks(MASKS, [2, 0], [0.75, 0.5])
    path = predict(tmp_path, BDD100K_INS8, {"a.png": result(BDD100K_INS8, instances=objects)})
    found, report = coco_dict(PredictionReader(path, BDD100K_INS8), workers=1)
    assert [(x["category_id"], x["score"], x["area"]) for x in found["annotations"]] == [(3, 0.75, 6), (1, 0.5, 4)]
    assert found["images"][0]["file_name"] == "a.png"
    assert report.instances_out == 2


def test_damaged_and_failed_records_are_counted(tmp_path):
    path = predict(tmp_path, BDD100K_SEM19, {f"{i}.png": result(BDD100K_SEM19) for i in range(4)})
    (path / "records/0.json").write_text("{")
    (path / "records/1.json").write_text('{"error": "no picture"}')
    (path / "labels/2.png").unlink()
    report = ConversionReport()
    assert len(list(read_images(PredictionReader(path, BDD100K_SEM19), report))) == 1
    assert report.skipped_images == {"record is unreadable": 1, "prediction failed": 1, "label map is unreadable": 1}


def decode(mask):
    """The mask of a detection, as FiftyOne's documentation has it: numpy's file format, compressed, in base 64."""
    return np.load(io.BytesIO(zlib.decompress(base64.b64decode(mask["$binary"]["base64"]))))


def test_fiftyone_gets_labels_predictions_scores_and_attributes(tmp_path):
    objects = Instances.from_masks(MASKS, [2, 0], [0.75, 0.5])
    predicted = predict(tmp_path, BDD100K_INS8, {"val/a.png": result(BDD100K_INS8, instances=objects)})
    (tmp_path / "labels/val").mkdir(parents=True)
    Image.fromarray(np.where(LABELS == 13, 2, 255).astype(np.uint8)).save(tmp_path / "labels/val/a.png")
    confusion = np.zeros((1, 9, 9), np.int32)
    confusion[0, 2, 2:4] = 3, 1  # 3 pixels of cars right, 1 taken for a truck
    np.savez(tmp_path / "per_image.npz", **ImageConfusions(["/elsewhere/val/a.png"], confusion).arrays())
    table = BDD100K_INS8.with_train_ids()
    writer = FiftyOneWriter(tmp_path / "out", table, PredictionReader(predicted, BDD100K_INS8), tmp_path / "per_image.npz")
    convert(SemanticReader(tmp_path / "labels", table, tmp_path / "images"), writer, workers=1, progress=False)
    (sample,) = json.loads((tmp_path / "out/samples.json").read_text())["samples"]
    assert sample["filepath"] == str(tmp_path / "images/val/a.png")
    assert (sample["tags"], sample["mIoU"], sample["IoU_car"]) == (["val"], 0.75 / 2, 0.75)
    (car,) = sample["ground_truth"]["detections"]
    assert (car["label"], car["iscrowd"], car["bounding_box"]) == ("car", True, [3 / 8, 2 / 6, 3 / 8, 2 / 6])
    assert decode(car["mask"]).all()
    first, second = sample["predictions"]["detections"]
    assert (first["label"], first["confidence"], second["label"]) == ("car", 0.75, "pedestrian")
    np.testing.assert_array_equal(decode(second["mask"]), MASKS[1, 2:6, 2:3])
    drawn = np.asarray(Image.open(tmp_path / "out" / sample["ground_truth_map"]["mask_path"]))
    np.testing.assert_array_equal(drawn, np.where(LABELS == 13, 3, 0))
    targets = json.loads((tmp_path / "out/metadata.json").read_text())["info"]["default_mask_targets"]
    assert targets["3"] == "car"


def test_fiftyone_needs_the_images(tmp_path):
    (tmp_path / "labels").mkdir()
    Image.fromarray(LABELS).save(tmp_path / "labels/a.png")
    with pytest.raises(ValueError, match="say where they are with --images"):
        convert(SemanticReader(tmp_path / "labels"), FiftyOneWriter(tmp_path / "out"), workers=1, progress=False)
    assert not (tmp_path / "out").exists()
