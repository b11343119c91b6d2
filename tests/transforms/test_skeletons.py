import numpy as np
import pytest
from skimage.morphology import skeletonize

from mmstreet.registry import TRANSFORMS
from mmstreet.transforms.skeletons import MarkSkeletons, mark_skeletons


def test_marked_is_what_lies_within_the_radius_of_the_skeleton_and_inside_the_class():
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 3, (5, 7)), np.ones((6, 9), int)).astype(np.uint8)
    labels[10:14] = 255
    found = mark_skeletons(labels, [1, 2], radius_px=2)
    for train_id in (1, 2):
        lines = np.argwhere(skeletonize(labels == train_id))
        for y, x in np.ndindex(labels.shape):
            near = (((lines - (y, x)) ** 2).sum(1) <= 4).any()
            assert (found[y, x] == train_id) == (near and labels[y, x] == train_id)
    assert (found[labels == 0] == 255).all()


def test_a_pole_of_one_pixel_is_its_own_skeleton():
    labels = np.zeros((9, 9), np.uint8)
    labels[:, 4] = 2
    assert np.array_equal(mark_skeletons(labels, [2]) == 2, labels == 2)


def test_the_pack_of_mmseg_carries_the_marks():
    labels = np.zeros((9, 9), np.uint8)
    labels[:, 4] = 2
    mark = TRANSFORMS.build(dict(type="mmstreet.MarkSkeletons", classes=[2]))
    pack = TRANSFORMS.build(dict(type="mmseg.PackSegInputs"))
    sample = pack(mark(dict(img=np.zeros((9, 9, 3), np.uint8), gt_seg_map=labels)))["data_samples"]
    assert sample.gt_edge_map.data.shape == (1, 9, 9)
    assert sample.gt_edge_map.data.unique().tolist() == [2, 255]


def test_no_class_is_refused():
    with pytest.raises(ValueError, match="expects classes"):
        MarkSkeletons(classes=[])
