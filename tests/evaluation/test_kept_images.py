"""Pictures that a test keeps lie under their label maps: turned as the config's loader turned them."""

import json

import numpy as np
import pytest
from PIL import Image

from mmstreet.evaluation.kept_images import PREDICTION, TRUTH, KeptImage, MapRules, write_kept_images
from mmstreet.evaluation.scene_safety import write_scenes
from mmstreet.files.colors import spread_palette


@pytest.fixture
def sideways(tmp_path):
    """A picture whose left half is white as it is stored, and whose upper half is white as its orientation tag means it."""
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, :40] = 255
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", quality=100, exif=exif)
    return str(tmp_path / "a.jpg")


@pytest.mark.parametrize(("orientation", "white"), [("stored", np.s_[:, :30]), ("exif", np.s_[:30])])
def test_pictures_are_turned_as_the_loader_turned_them(tmp_path, sideways, orientation, white):
    maps = {TRUTH: np.zeros((80, 40) if orientation == "exif" else (40, 80), np.int16)}
    kept = [KeptImage(sideways, maps | {PREDICTION: maps[TRUTH]})]
    write_kept_images(kept, MapRules(("road",), np.array(spread_palette(1))), tmp_path, "worst", orientation=orientation)
    name = json.loads((tmp_path / "worst/index.json").read_text())["images"][0]["pictures"]["image"]
    safety = {"best": [{"img_path": sideways}], "worst": []}
    write_scenes(safety, tmp_path, orientation=orientation)
    for path in (tmp_path / "worst" / name, tmp_path / safety["best"][0]["picture"]):
        picture = np.asarray(Image.open(path).convert("L"))
        assert picture.shape == maps[TRUTH].shape
        assert picture[white].min() > 200
        assert (picture > 128).mean() == pytest.approx(0.5, abs=0.03)
