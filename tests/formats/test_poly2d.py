import numpy as np
import pytest

from mmstreet.files.rle import counts_from_runs, mask_from_counts
from mmstreet.formats.poly2d import fill_polygons, flatten_poly2d

SQUARE = np.array([[2, 2], [6, 2], [6, 5], [2, 5]])
KAPPA = 4 * (np.sqrt(2) - 1) / 3
"""Distance of the control points that brings a cubic within 0.03 % of a quarter circle of radius 1."""


def fill(polygons, size_hw):
    return mask_from_counts(counts_from_runs(fill_polygons(polygons, size_hw), size_hw), size_hw)


def test_square_owns_the_pixels_whose_centres_it_holds():
    mask = fill([SQUARE], (10, 12))
    assert mask.sum() == 12
    assert mask[2:5, 2:6].all()


def test_winding_and_repeated_corners_do_not_matter():
    np.testing.assert_array_equal(fill([SQUARE[::-1]], (10, 12)), fill([SQUARE], (10, 12)))
    np.testing.assert_array_equal(fill([np.concatenate([SQUARE, SQUARE[:1]])], (10, 12)), fill([SQUARE], (10, 12)))


def test_random_polygons_equal_a_point_in_polygon_test():
    points_in_poly = pytest.importorskip("skimage.measure").points_in_poly
    rng = np.random.default_rng(0)
    centres = np.stack(np.meshgrid(np.arange(30) + 0.5, np.arange(25) + 0.5), axis=-1).reshape(-1, 2)
    for _ in range(200):
        polygon = rng.uniform(-10, 40, (rng.integers(3, 9), 2))
        np.testing.assert_array_equal(fill([polygon], (25, 30)), points_in_poly(centres, polygon).reshape(25, 30))


def test_several_polygons_are_united_even_where_they_overlap():
    mask = fill([SQUARE, SQUARE + 1, SQUARE + np.array([20, 0])], (12, 30))
    expected = np.zeros((12, 30), bool)
    for dx, dy in ((0, 0), (1, 1), (20, 0)):
        expected[2 + dy : 5 + dy, 2 + dx : 6 + dx] = True
    np.testing.assert_array_equal(mask, expected)


def test_polygons_are_cut_at_the_image():
    assert fill([SQUARE - 4], (10, 10)).sum() == 2 * 1
    assert fill([np.array([[-1e12, -1e12], [1e12, -1e12], [1e12, 1e12], [-1e12, 1e12]])], (7, 9)).all()
    for nothing in ([SQUARE + 100], [SQUARE - 100], [SQUARE[:2]], [SQUARE[:1]], []):
        assert fill_polygons(nothing, (10, 10)).shape == (0, 2)


@pytest.mark.parametrize(("types", "rows"), [("LCCCL", 5), ("LCCLL", 5), ("lcccl", 5)])
def test_bezier_quarter_circle_has_the_area_of_a_quarter_circle(types, rows):
    radius = 100.0
    vertices = radius * np.array([[1, 0], [1, KAPPA], [KAPPA, 1], [0, 1], [0, 0]])[:rows]
    flat = flatten_poly2d(vertices, types)
    assert fill([flat], (120, 120)).sum() == pytest.approx(np.pi * radius**2 / 4, rel=0.01)


def test_closing_curve_ends_at_the_first_vertex():
    radius = 100.0
    vertices = radius * np.array([[1, 0], [0, 0], [0, 1], [KAPPA, 1], [1, KAPPA]])
    flat = flatten_poly2d(vertices, "LLLCC")
    np.testing.assert_allclose(flat[-1], vertices[0])
    assert fill([flat], (120, 120)).sum() == pytest.approx(np.pi * radius**2 / 4, rel=0.01)


def test_curve_passes_through_its_known_middle():
    flat = flatten_poly2d(np.array([[0, 0], [0, 8], [8, 8], [8, 0]]), "LCCC", closed=False)
    np.testing.assert_allclose(flat[len(flat) // 2], [4, 6])  # (P0 + 3 P1 + 3 P2 + P3) / 8


@pytest.mark.parametrize(
    ("types", "closed", "words"),
    [
        ("LLL", True, "one letter"),
        ("LLXL", True, "one letter"),
        ("LLLC", True, "two control points"),
        ("LLCC", False, "control"),
        ("LCLL", True, "control"),
    ],
)
def test_malformed_polygons_are_refused(types, closed, words):
    with pytest.raises(ValueError, match=words):
        flatten_poly2d(SQUARE, types, closed=closed)


def test_a_polygon_that_would_fill_the_memory_is_refused():
    zigzag = np.stack([np.tile([0, 1 << 14], 1000), np.arange(2000)], axis=1)
    with pytest.raises(ValueError, match="crosses columns of pixels 32768000 times, at most 8388608 are filled"):
        fill([zigzag], (100, 1 << 14))
