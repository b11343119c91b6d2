"""The canvas: what is painted later hides what was painted before, in colours, classes and instances alike."""

import math
from dataclasses import replace

import numpy as np
import pytest

from mmstreet.labels import BDD100K_SEM19
from mmstreet.mini.annotate import annotate
from mmstreet.mini.camera import Camera, Pose, face_normal, faces_camera, on_face
from mmstreet.mini.canvas import OVERSAMPLING, Canvas
from mmstreet.mini.light import sample_light
from mmstreet.mini.picture import Picture, develop

CAMERA = Camera(size_wh=(160, 120), focal=100.0, horizon=50.0, height=1.5, bend=0.0)


@pytest.fixture
def canvas():
    return Canvas(CAMERA, sample_light(np.random.default_rng(0)))


def paint_box(canvas, name, u0, v0, u1, v1):
    with canvas.instance(name):
        canvas.flat([(u0, v0), (u0, v1), (u1, v1), (u1, v0)], canvas.paint((0.5, 0.5, 0.5), name, z=10.0))


def labels_of(canvas):
    at_pixel = canvas.numbers()[1::OVERSAMPLING, 1::OVERSAMPLING]
    labels, instance_map = canvas.table("label")[at_pixel], canvas.table("instance")[at_pixel]
    return Picture(np.zeros((*labels.shape, 3), np.uint8), labels, instance_map, 90)


def test_a_road_point_lands_where_the_pinhole_formula_says():
    assert CAMERA.project(2.0, 0.0, 10.0) == pytest.approx((80 + 100 * 2 / 10, 50 + 100 * 1.5 / 10))
    assert CAMERA.row_depths(np.array([50 + 15.0]))[0] == pytest.approx(10.0)


def test_a_bend_shifts_with_the_square_of_the_distance():
    bent = replace(CAMERA, bend=0.001)
    assert bent.project(0, 0, 30.0)[0] - CAMERA.project(0, 0, 30.0)[0] == pytest.approx(0.001 * 30**2 * 100 / 30)


def test_polygons_are_cut_before_the_lens():
    pixels = CAMERA.polygon([(-1, 0, -5), (-1, 0, 10), (1, 0, 10), (1, 0, -5)])
    assert len(pixels) == 4
    assert max(v for _, v in pixels) == pytest.approx(50 + 100 * 1.5 / 0.8)
    assert CAMERA.polygon([(-1, 0, -5), (-1, 0, -1), (1, 0, -1)]) == []


def test_only_the_outside_of_a_face_is_seen():
    face = [(-1, 0, 5), (-1, 2, 5), (1, 2, 5), (1, 0, 5)]
    assert face_normal(face) == pytest.approx((0, 0, -1))
    assert faces_camera(CAMERA.polygon(face))
    assert not faces_camera(CAMERA.polygon(face[::-1]))


def test_parts_of_a_face_follow_its_edges():
    face = [(0, 0, 4), (0, 2, 4), (4, 2, 8), (4, 0, 8)]
    assert on_face(face, 0.25, 0.5, 0.5, 1.0) == [(1, 1, 5), (1, 2, 5), (2, 2, 6), (2, 1, 6)]


def test_a_turned_object_looks_where_its_yaw_says():
    assert Pose(1.0, 10.0, math.pi / 2).world(0, 0, 2) == pytest.approx((3.0, 0.0, 10.0))
    assert Pose(1.0, 10.0, math.pi).world(0.5, 0, 2) == pytest.approx((0.5, 0.0, 8.0))


def test_the_later_object_hides_the_earlier_one_in_every_map(canvas):
    paint_box(canvas, "car", 20, 20, 79, 59)
    paint_box(canvas, "person", 40, 20, 59, 99)
    picture = labels_of(canvas)
    car, person = BDD100K_SEM19.index("car"), BDD100K_SEM19.index("person")
    assert (picture.labels[15, 22], picture.instance_map[15, 22]) == (person, 2)
    assert (picture.labels[15, 12], picture.instance_map[15, 12]) == (car, 1)
    np.testing.assert_array_equal(picture.labels == car, picture.instance_map == 1)


def test_flags_say_what_is_covered_and_what_leaves_the_picture(canvas):
    paint_box(canvas, "car", 20, 20, 79, 59)
    paint_box(canvas, "truck", -30, 70, 30, 110)
    paint_box(canvas, "person", 40, 20, 59, 65)
    car, truck, person = (label["attributes"] for label in annotate(canvas, labels_of(canvas)).polygons)
    assert (car["occluded"], car["truncated"]) == (True, False)
    assert (truck["occluded"], truck["truncated"]) == (False, True)
    assert (person["occluded"], person["truncated"]) == (False, False)


def test_an_instance_that_is_fully_occluded_has_no_label(canvas):
    paint_box(canvas, "bicycle", 40, 40, 49, 49)
    paint_box(canvas, "bus", 20, 20, 79, 79)
    (label,) = annotate(canvas, labels_of(canvas)).polygons
    assert (label["category"], label["id"]) == ("bus", "1")
    assert label["box2d"] == {"x1": 10, "y1": 10, "x2": 39, "y2": 39}


def test_colours_are_averaged_but_labels_are_not(canvas):
    canvas.flat([(0, 0), (0, 120), (159, 0)], canvas.paint((0.0, 0.0, 0.0), "building"))
    picture = develop(canvas, np.random.default_rng(0))
    assert set(np.unique(picture.labels)) == {BDD100K_SEM19.index("building"), BDD100K_SEM19.index("sky")}
    assert picture.image.shape == (60, 80, 3)
    assert picture.image.dtype == picture.labels.dtype == np.uint8
