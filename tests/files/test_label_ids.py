import numpy as np
import pytest
import torch

from mmstreet.files.label_ids import LabelIdError, check_label_ids


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_classes_and_ignored_pixels_pass_in_arrays_and_tensors(kind):
    assert check_label_ids(kind([[0, 18], [255, 3]]), num_classes=19) is None
    assert check_label_ids(kind([1, 0]), num_classes=2, ignore_index=None) is None


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
@pytest.mark.parametrize(
    ("stray", "ignore_index", "said"),
    [
        (19, 255, r"label id 19 in a\.png is neither a class \(0…18\) nor ignored \(255\): 2 pixels, first at y=1, x=0; advice"),
        (-1, 255, r"label id -1 in a\.png"),
        (255, 7, r"label id 255 .*ignored \(7\)"),
        (255, None, r"label id 255 in a\.png is not a class \(0…18\)"),
    ],
)
def test_a_stray_id_is_named_with_place_and_count(kind, stray, ignore_index, said):
    with pytest.raises(LabelIdError, match=said):
        check_label_ids(kind([[0, 1], [stray, stray]]), num_classes=19, ignore_index=ignore_index, where="a.png", advice="advice")


def test_the_place_in_a_batch_names_every_axis():
    with pytest.raises(LabelIdError, match="first at axis 0=1, y=0, x=2"):
        check_label_ids(np.array([[[0, 0, 0]], [[0, 0, 9]]]), num_classes=2)
