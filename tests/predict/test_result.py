"""What a result says of its label map, and what it draws."""

import base64
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mmstreet.files.colors import check_palette
from mmstreet.files.instances import Instances
from mmstreet.predict.result import Result
from tests.predict.test_views import objects

LABELS = np.array([[0, 0, 1, 1], [0, 255, 1, 1]], np.uint8)
PALETTE = np.array([[200, 0, 0], [0, 100, 0]], np.uint8)
IMAGE = np.full((2, 4, 3), 100, np.uint8)


def test_shares_are_per_cent_of_all_pixels():
    result = Result(LABELS, ("road", "car"), PALETTE)
    assert result.pixels.tolist() == [3, 4]
    assert result.shares == {"road": 37.5, "car": 50.0}
    assert result.to_dict() == {"size_hw": [2, 4], "shares": {"road": 37.5, "car": 50.0}}


def test_the_overlay_blends_classes_and_leaves_the_rest():
    drawn = Result(LABELS, ("road", "car"), PALETTE).render_overlay(IMAGE, opacity=0.5)
    assert drawn[0, 0].tolist() == [150, 50, 50]
    assert drawn[0, 2].tolist() == [50, 100, 50]
    assert drawn[1, 1].tolist() == [100, 100, 100]
    full = Result(LABELS, ("road", "car"), PALETTE).render_overlay(IMAGE, opacity=1.0)
    assert full[0, 0].tolist() == [200, 0, 0]
    white = Result(LABELS, ("a", "b"), np.full((2, 3), 255, np.uint8)).render_overlay(np.full_like(IMAGE, 255), opacity=0.55)
    assert white.min() >= 254  # no overflow


def test_an_overlay_on_another_image_is_refused():
    with pytest.raises(ValueError, match=r"the image is \[4, 4\] and the prediction \[2, 4\]"):
        Result(LABELS, ("road", "car"), PALETTE).render_overlay(np.zeros((4, 4, 3), np.uint8))


def test_the_most_certain_object_is_on_top():
    found = objects((0, 0, 10, 10), (5, 0, 15, 10), classes=[1, 0], scores=[0.9, 0.8])
    labels = found.to_labels((10, 20))
    assert [int(labels[0, x]) for x in (0, 7, 12, 18)] == [1, 1, 0, 255]
    row = Result(labels, ("road", "car"), PALETTE, instances=found).to_dict()["instances"][0]
    assert row == {"class": "car", "score": pytest.approx(0.9), "box_xyxy": [0, 0, 10, 10], "area_px": 100}


def test_objects_get_a_contour_of_one_pixel():
    found = objects((2, 2, 8, 8))
    drawn = Result(found.to_labels((10, 20)), ("road", "car"), PALETTE, instances=found).render_overlay(np.zeros((10, 20, 3), np.uint8))
    white = (drawn == 255).all(2)
    assert white.sum() == 20
    assert not white[3:7, 3:7].any()


def test_classes_without_colours_get_different_ones():
    made = check_palette(None, 40)
    assert len({tuple(color) for color in made.tolist()}) == 40
    assert made.min() >= 50
    np.testing.assert_array_equal(check_palette([[1, 2, 3]], 1), [[1, 2, 3]])
    assert len(check_palette([[1, 2, 3]], 2)) == 2


def small_result(**more):
    labels = np.zeros((6, 8), np.uint8)
    labels[2:4, 3:6], labels[0, 0] = 2, 255
    return Result(labels, ("road", "sky", "car"), np.zeros((3, 3), np.uint8), **more)


def test_regions_of_a_semantic_result_have_the_mean_of_their_certainty():
    certain = np.full((6, 8), 0.5, np.float32)
    certain[2:4, 3:6] = 0.75
    found = small_result(confidence=certain).found()
    assert (found.class_ids.tolist(), found.scores.tolist()) == ([0, 2], [0.5, 0.75])
    assert found.masks.sum((1, 2)).tolist() == [6 * 8 - 7, 6]
    assert small_result().found().scores.tolist() == [1, 1]


def test_coco_rows_are_what_pycocotools_scores(tmp_path):
    tools = pytest.importorskip("pycocotools.coco")
    objects = Instances.from_masks(np.pad(np.ones((1, 2, 3), bool), ((0, 0), (1, 3), (1, 4))), [2], [0.5])
    rows = small_result(instances=objects).to_coco(7, category_ids=[4, 5, 6])
    assert [(x["image_id"], x["category_id"], x["bbox"], x["score"]) for x in rows] == [(7, 6, [1, 1, 3, 2], 0.5)]
    api = tools.COCO()
    api.dataset = {"images": [{"id": 7, "height": 6, "width": 8}], "categories": [{"id": 6, "name": "car"}], "annotations": []}
    api.createIndex()
    (annotation,) = api.loadRes(rows).anns.values()
    np.testing.assert_array_equal(api.annToMask(annotation), objects.masks[0])
    with pytest.raises(ValueError, match="expected 3 category ids, one for each class, got 1"):
        small_result().to_coco(7, category_ids=[1])


def test_supervision_gets_masks_boxes_and_names(monkeypatch):
    given = {}
    monkeypatch.setattr(
        "mmstreet.predict.result.require", lambda name, extra: SimpleNamespace(Detections=lambda **more: given.update(more))
    )
    small_result().to_supervision()
    assert given["xyxy"].tolist() == [[0, 0, 8, 6], [3, 2, 6, 4]]
    assert given["mask"].dtype == bool
    assert given["mask"].shape == (2, 6, 8)
    assert given["data"]["class_name"].tolist() == ["road", "car"]
    assert given["class_id"].tolist() == [0, 2]


def test_supervision_itself_takes_them():
    pytest.importorskip("supervision")
    found = small_result().to_supervision()
    assert (len(found), found.area.tolist()) == (2, [41, 6])
    assert len(Result(np.full((4, 4), 255, np.uint8), ("road",), np.zeros((1, 3), np.uint8)).to_supervision()) == 0


def test_a_notebook_shows_the_image_with_its_classes_and_a_legend():
    labels = np.zeros((60, 200), np.uint8)
    labels[:, 150:] = 1
    image = np.full((60, 200, 3), 100, np.uint8)
    result = Result(labels, ("road", "<car>", "sky"), np.vstack([PALETTE, [[0, 0, 250]]]), image=image)
    assert result.legend == {"road 75.0 %": (200, 0, 0), "<car> 25.0 %": (0, 100, 0)}
    shown = cv2.cvtColor(cv2.imdecode(np.frombuffer(result._repr_png_(), np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(shown[:60], result.render_overlay(image))
    assert len(shown) > 60
    page = result._repr_html_()
    assert "&lt;car&gt; 25.0 %" in page
    assert "<car>" not in page
    data = base64.b64decode(page.partition("base64,")[2].partition('"')[0])
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (60, 200, 3)
    alone = Result(labels, ("road", "<car>"), PALETTE)
    shown = cv2.imdecode(np.frombuffer(alone._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
    assert shown[0, 0].tolist() == [0, 0, 200], "without the image its colours, BGR"
