"""Pictures show, pixel by pixel, what they say; a page takes only pictures."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from mmstreet.files.colors import IGNORED, NO_CLASS
from mmstreet.files.pictures import write_label_map, write_photo
from mmstreet.report.pictures import BETTER, NOT_SCORED, STILL_WRONG, WORSE, WRONG, embed, render_changes, render_errors, render_kept_images

GREY = (70, 70, 70)  # 40 + 0.3 * 100


def pixels(picture):
    return [tuple(pixel) for pixel in picture[0].tolist()]


def test_errors_are_red_ignored_black_and_background_blue_where_it_is_not_scored():
    truth = np.array([[0, 0, 1, 255, 2, 2]])
    preds = np.array([[0, 1, 1, 1, 0, 77]])
    image = np.full((1, 6, 3), 100, np.uint8)
    assert pixels(render_errors(image, truth, preds, num_classes=2)) == [GREY, WRONG, GREY, IGNORED, WRONG, GREY]
    unscored = render_errors(image, truth, preds, num_classes=2, background_scored=False)
    assert pixels(unscored) == [GREY, WRONG, GREY, IGNORED, NOT_SCORED, NOT_SCORED]


def test_changes_are_green_red_and_yellow():
    truth, before = np.array([[1, 1, 1, 1, 255]]), np.array([[0, 1, 0, 1, 0]])
    after = np.array([[1, 0, 2, 1, 1]])
    assert pixels(render_changes(np.full((1, 5, 3), 100, np.uint8), truth, before, after)) == [BETTER, WORSE, STILL_WRONG, GREY, IGNORED]


def keep(folder, maps, *, width=40, **content):
    image = write_photo(np.full((30, width, 3), 100, np.uint8), folder / "01_image.jpg")
    files = {name: write_label_map(ids, [(9, 9, 9), (0, 200, 0)], folder / f"01_{name}.png").name for name, ids in maps.items()}
    row = {"title": "a.jpg", "pictures": {"image": image.name, **files}}
    index = {"num_classes": 2, "background_scored": True, "legend": [], "images": [row]} | content
    (folder / "index.json").write_text(json.dumps(index))


def test_a_kept_prediction_gets_its_error_map_once(tmp_path):
    truth = np.zeros((30, 40), np.uint8)
    preds = truth.copy()
    preds[:, 20:] = 1
    keep(tmp_path, {"truth": truth, "prediction": preds})
    (path,) = render_kept_images(tmp_path)
    picture = np.asarray(Image.open(path)).astype(int)
    assert np.abs(picture[:, :12] - GREY).max() < 12
    assert np.abs(picture[:, 28:] - WRONG).max() < 12
    index = json.loads((tmp_path / "index.json").read_text())
    assert index["images"][0]["pictures"]["error"] == path.name
    assert [entry["class"] for entry in index["legend"]] == ["error map: right", "error map: wrong"]
    assert render_kept_images(tmp_path) == []


def test_error_maps_of_large_maps_are_small(tmp_path):
    keep(tmp_path, {"truth": np.zeros((900, 1200), np.uint8), "prediction": np.ones((900, 1200), np.uint8)})
    (path,) = render_kept_images(tmp_path)
    assert Image.open(path).size == (640, 480)


def test_a_refined_prediction_gets_a_map_of_its_changes(tmp_path):
    truth = np.zeros((30, 40), np.uint8)
    keep(tmp_path, {"baseline": truth + 1, "crf": truth, "truth": truth})
    assert [path.name for path in render_kept_images(tmp_path)] == ["01_crf_changes.jpg"]
    assert np.abs(np.asarray(Image.open(tmp_path / "01_crf_changes.jpg")).astype(int) - BETTER).max() < 12


def test_a_label_map_is_embedded_in_its_colours_and_no_wider_than_shown(tmp_path):
    ids = np.array([[0, 1], [2, 255]]).repeat(400, 0).repeat(400, 1)
    head, data = embed(write_label_map(ids, [(200, 0, 0), (0, 0, 0)], tmp_path / "map.png")).split(",")
    assert head == "data:image/png;base64"
    shown = Image.open(io.BytesIO(base64.b64decode(data)))
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
