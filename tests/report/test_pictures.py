"""Pictures show, pixel by pixel, what they say; a page takes only pictures."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from mmstreet.files.colors import IGNORED, NO_CLASS
from mmstreet.files.pictures import write_label_map
from mmstreet.report.pictures import (
    BETTER,
    CHANGES,
    ERRORS,
    GREY,
    NOT_SCORED,
    STILL_WRONG,
    WORSE,
    WRONG,
    embed,
    embed_ids,
    find_changes,
    find_errors,
)


def test_errors_are_told_from_what_is_ignored_and_from_background_that_is_not_scored():
    truth = np.array([[0, 0, 1, 255, 2, 2]])
    preds = np.array([[0, 1, 1, 1, 0, 77]])
    right, wrong, not_scored, ignored = range(4)
    assert find_errors(truth, preds, num_classes=2).tolist() == [[right, wrong, right, ignored, wrong, right]]
    unscored = find_errors(truth, preds, num_classes=2, background_scored=False)
    assert unscored.tolist() == [[right, wrong, right, ignored, not_scored, not_scored]]
    assert list(ERRORS.values()) == [GREY, WRONG, NOT_SCORED, IGNORED]


def test_changes_are_told_by_what_they_became():
    truth, before = np.array([[1, 1, 1, 1, 255]]), np.array([[0, 1, 0, 1, 0]])
    after = np.array([[1, 0, 2, 1, 1]])
    same, better, worse, still_wrong, ignored = range(5)
    assert find_changes(truth, before, after).tolist() == [[better, worse, still_wrong, same, ignored]]
    assert list(CHANGES.values()) == [GREY, BETTER, WORSE, STILL_WRONG, IGNORED]


def open_embedded(address, kind="png"):
    head, data = address.split(",")
    assert head == f"data:image/{kind};base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_ids_are_embedded_in_their_colours_and_the_first_is_see_through_on_request():
    ids = np.array([[0, 1], [2, 1]], np.uint8)
    colors = [(200, 0, 0), (0, 9, 0), (1, 2, 3)]
    assert np.asarray(open_embedded(embed_ids(ids, colors)).convert("RGBA"))[..., 3].tolist() == [[255, 255], [255, 255]]
    shown = np.asarray(open_embedded(embed_ids(ids, colors, see_through=True)).convert("RGBA"))
    assert shown[..., 3].tolist() == [[0, 255], [255, 255]]
    assert shown[..., :3].tolist() == [[[200, 0, 0], [0, 9, 0]], [[1, 2, 3], [0, 9, 0]]]


def test_a_picture_is_embedded_no_wider_than_shown(tmp_path):
    ids = np.array([[0, 1], [2, 255]]).repeat(400, 0).repeat(400, 1)
    shown = open_embedded(embed(write_label_map(ids, [(200, 0, 0), (0, 0, 0)], tmp_path / "map.png")))
    assert shown.size == (640, 640)
    corners = [shown.convert("RGB").getpixel(at) for at in ((9, 9), (630, 9), (9, 630), (630, 630))]
    assert corners == [(200, 0, 0), NO_CLASS, NO_CLASS, IGNORED]


@pytest.mark.parametrize("content", [b"", b"root:x:0:0:", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"<svg onload='alert(1)'/>"])
def test_what_is_no_picture_is_not_embedded(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ValueError, match="no picture that can be shown"):
        embed(tmp_path / "a.png")


def test_nothing_but_pixels_is_embedded(tmp_path):
    picture = Image.new("RGB", (8, 8))
    picture.save(tmp_path / "a.jpg", exif=b"Exif\0\0" + b"SECRET", comment=b"SECRET", icc_profile=b"SECRET")
    assert b"SECRET" in (tmp_path / "a.jpg").read_bytes()
    assert b"SECRET" not in base64.b64decode(embed(tmp_path / "a.jpg").split(",")[1])
