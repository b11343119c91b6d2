"""The page of pictures: every colour means one thing."""

import numpy as np
import pytest
from PIL import Image

from mmstreet.labels import STREET6_BACKGROUND
from mmstreet.report import panels
from mmstreet.report.panels import Panel, paint, paint_errors, plot_panels

PALETTE = [[255, 0, 0], [0, 0, 0]]


def test_black_means_ignored_and_nothing_else():
    painted = paint(np.array([[0, 1, 2, 9, 255]]), PALETTE)
    assert painted[0].tolist() == [[255, 0, 0], list(panels.NO_CLASS), list(panels.NO_CLASS), list(panels.NO_CLASS), [0, 0, 0]]
    assert paint(np.array([[7, 0]]), PALETTE, ignore_index=7)[0].tolist() == [[0, 0, 0], [255, 0, 0]]


def test_errors_are_red_right_is_grey_and_ignored_black():
    image = np.full((1, 5, 3), (200, 100, 0), np.uint8)
    labels = np.array([[0, 0, 1, 2, 255]])
    preds = np.array([[0, 1, 1, 7, 0]])
    wrong, ignored = list(panels.WRONG), list(panels.IGNORED)
    painted = paint_errors(image, labels, preds, num_classes=2)[0].tolist()
    assert [pixel == wrong for pixel in painted] == [False, True, False, False, False]
    assert painted[4] == ignored
    assert len(set(painted[0])) == 1, "right pixels are grey"
    assert 0 < painted[0][0] < 128, "and dark, but not black"


def test_background_outside_the_scope_is_not_scored_whatever_is_predicted_there():
    image = np.full((1, 4, 3), (200, 100, 0), np.uint8)
    labels, preds = np.array([[2, 2, 0, 255]]), np.array([[0, 2, 1, 0]])
    scored, unscored = (paint_errors(image, labels, preds, num_classes=2, background_scored=flag)[0].tolist() for flag in (True, False))
    assert [pixel == list(panels.WRONG) for pixel in scored] == [True, False, True, False]
    assert unscored == [list(panels.NOT_SCORED), list(panels.NOT_SCORED), list(panels.WRONG), list(panels.IGNORED)]


@pytest.fixture
def page(tmp_path):
    def draw(count, shape=(36, 64), **settings):
        labels = np.zeros(shape, np.int16)
        labels[:, 32:] = 6
        rows = [Panel(np.full((72, 128, 3), 90, np.uint8), labels, np.zeros_like(labels), f"{i}. x.jpg") for i in range(count)]
        return Image.open(
            plot_panels(
                rows, names=STREET6_BACKGROUND.names[:6], palette=STREET6_BACKGROUND.palette[:6], path=tmp_path / "p.png", **settings
            )
        ).convert("RGB")

    return draw


def test_a_page_is_wide_enough_to_read_and_grows_by_rows(page):
    one, three = page(1), page(3)
    assert one.width == three.width == 2000
    row = (three.height - one.height) / 2
    assert 500 * 36 / 64 <= row <= 500 * 36 / 64 + 50


def test_columns_are_image_truth_prediction_and_error(page):
    picture = page(1)
    y = picture.height - 150
    left, right = 125, 375
    assert picture.getpixel((left, y)) == picture.getpixel((right, y)) == (90, 90, 90)
    assert picture.getpixel((500 + left, y)) == tuple(STREET6_BACKGROUND.palette[0])
    assert picture.getpixel((500 + right, y)) == panels.NO_CLASS
    assert picture.getpixel((1000 + right, y)) == tuple(STREET6_BACKGROUND.palette[0])
    assert picture.getpixel((1500 + right, y)) == panels.WRONG
    assert picture.getpixel((1500 + left, y)) not in (panels.WRONG, panels.IGNORED)


def test_background_that_is_not_scored_is_blue_in_the_error_column_alone(page):
    picture = page(1, background_scored=False)
    y = picture.height - 150
    assert picture.getpixel((500 + 375, y)) == panels.NO_CLASS
    assert picture.getpixel((1500 + 375, y)) == panels.NOT_SCORED
    colors = {color for _, color in picture.getcolors(picture.width * picture.height)}
    assert panels.NOT_SCORED in colors
    assert panels.NOT_SCORED not in {color for _, color in page(1).getcolors(picture.width * picture.height)}


def test_a_page_shows_the_columns_that_are_asked_for_in_that_order(page):
    picture = page(1, columns=("image", "prediction", "truth"))
    y = picture.height - 150
    assert picture.width == 1500
    assert picture.getpixel((375, y)) == (90, 90, 90)
    assert picture.getpixel((500 + 375, y)) == tuple(STREET6_BACKGROUND.palette[0])
    assert picture.getpixel((1000 + 375, y)) == panels.NO_CLASS


@pytest.mark.parametrize("columns", [(), ("image", "label")])
def test_unknown_columns_are_refused(page, columns):
    with pytest.raises(ValueError, match="columns must be some of image, truth, prediction, error, got"):
        page(1, columns=columns)


def test_a_page_without_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no image to draw"):
        plot_panels([], names=[], palette=[], path=tmp_path / "p.png")
