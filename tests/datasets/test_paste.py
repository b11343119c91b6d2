"""Objects of bitmasks come into other scenes whole, at their height, in image and labels alike."""

import numpy as np
import pytest
from mmengine.registry import TRANSFORMS
from PIL import Image

from mmstreet.formats.bitmask import write_bitmask
from mmstreet.formats.bitmask_codec import encode_bitmask
from mmstreet.labels import BDD100K_INS8, BDD100K_SEM19, STREET6

HW = (40, 60)
BIKE = np.s_[20:30, 5:15]


def raw(name):
    return BDD100K_INS8.labels[BDD100K_INS8.index(name)].raw_id


@pytest.fixture
def folders(tmp_path):
    """One image: a bicycle of ten by ten pixels that grows brighter downwards; an occluded one, a small one, and a car."""
    objects = np.zeros(HW, int)
    objects[BIKE] = 1
    objects[20:30, 20:30] = 2
    objects[0, :3] = 3
    objects[32:, 40:] = 4
    names, occluded = ["bicycle", "bicycle", "pedestrian", "car"], [False, True, False, False]
    (tmp_path / "bitmasks").mkdir()
    write_bitmask(tmp_path / "bitmasks" / "a.png", encode_bitmask(objects, [raw(name) for name in names], range(4), occluded=occluded))
    image = np.zeros((*HW, 3), np.uint8)
    image[BIKE] = np.arange(101, 111)[:, None, None]
    (tmp_path / "images").mkdir()
    Image.fromarray(image).save(tmp_path / "images" / "a.png")
    return tmp_path


def paste(folders, **settings):
    places = dict(images=str(folders / "images"), bitmasks=str(folders / "bitmasks"), least_pixels=50)
    return TRANSFORMS.build(dict(dict(places, **settings), type="mmstreet.PasteInstances"))


def sample(table=BDD100K_SEM19, hw=HW):
    return dict(img=np.full((*hw, 3), 7, np.uint8), gt_seg_map=np.zeros(hw, np.uint8), label_table=table, seg_fields=["gt_seg_map"])


def test_a_whole_object_is_pasted_at_its_height_in_image_and_labels(folders):
    step = paste(folders, prob=1.0, max_objects=1)
    assert "1 bicycle," in repr(step)  # neither the occluded one, nor the small pedestrian, nor the car
    np.random.seed(0)  # noqa: NPY002 - the draws are from numpy's global generator
    lefts = set()
    for _ in range(200):
        before = sample()
        after = step(before)
        labels = after["gt_seg_map"]
        ys, xs = np.nonzero(labels == BDD100K_SEM19.index("bicycle"))
        assert (ys.min(), ys.max(), xs.max() - xs.min(), len(ys)) == (20, 29, 9, 100)
        np.testing.assert_array_equal(after["img"][ys, xs, 0], 81 + ys)
        assert (after["img"][labels == 0] == 7).all()
        assert (before["img"] == 7).all()
        lefts.add(int(xs.min()))
    assert (min(lefts), max(lefts)) == (0, 50)


def test_objects_stand_on_flat_ground(folders):
    step = paste(folders, prob=1.0, max_objects=1)
    np.random.seed(0)  # noqa: NPY002 - the draws are from numpy's global generator
    feet = set()
    for _ in range(100):
        scene = sample()
        scene["gt_seg_map"][:] = BDD100K_SEM19.index("building")
        scene["gt_seg_map"][29, 12:20] = BDD100K_SEM19.index("sidewalk")
        feet.add(int(np.nonzero(step(scene)["gt_seg_map"] == BDD100K_SEM19.index("bicycle"))[1].min()) + 4)
    assert (min(feet), max(feet)) == (12, 19)
    nowhere = sample()
    nowhere["gt_seg_map"][:] = BDD100K_SEM19.index("building")
    assert (step(nowhere)["gt_seg_map"] == BDD100K_SEM19.index("building")).all()


def test_the_share_of_images_that_get_objects_is_kept(folders):
    step = paste(folders, prob=0.25)
    np.random.seed(0)  # noqa: NPY002 - the draws are from numpy's global generator
    assert 30 <= sum((step(sample())["gt_seg_map"] > 0).any() for _ in range(200)) <= 70


def test_a_pedestrian_is_a_person_of_the_semantic_table(folders):
    step = paste(folders, prob=1.0, classes=["pedestrian"], least_pixels=3)
    assert BDD100K_SEM19.index("person") in np.unique(step(sample())["gt_seg_map"])


def test_what_cannot_be_pasted_is_said(folders):
    with pytest.raises(ValueError, match="no whole, unoccluded object of rider with 50 pixels"):
        paste(folders, classes=["rider"])
    with pytest.raises(ValueError, match=r"60x40 for .*a\.png, but an image is 30x20"):
        paste(folders, prob=1.0)(sample(hw=(20, 30)))
    with pytest.raises(ValueError, match="cannot paste 'rider': table 'street6' has no class 'rider'"):
        paste(folders, prob=1.0)._train_id(sample(STREET6), "rider")
    with pytest.raises(ValueError, match=r"prob in \[0, 1\].*got prob=2"):
        paste(folders, prob=2)
    (folders / "images" / "a.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no image a\.jpg or \.png"):
        paste(folders)
