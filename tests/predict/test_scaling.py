"""Network inputs get the sizes of mmcv, class scores those of the image."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmstreet.predict.scaling import fit_size, resize_scores


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 900), st.integers(1, 900)),
    scale=st.tuples(st.integers(16, 900), st.integers(16, 900)),
    keep_ratio=st.booleans(),
)
def test_sizes_are_those_of_mmcvs_resize(size, scale, keep_ratio):
    from mmcv.transforms import Resize

    expected = scale[::-1]
    if keep_ratio:
        import mmcv

        expected = mmcv.rescale_size(size[::-1], scale)[::-1]
    assert fit_size(size, scale_wh=scale, keep_ratio=keep_ratio) == tuple(expected)
    assert Resize(scale, keep_ratio=keep_ratio).scale == scale


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size_hw", [(7, 9), (20, 31), (3, 4), (1, 1), (14, 9)])
def test_scores_are_resized_as_torch_does(align_corners, size_hw):
    scores = np.random.default_rng(0).normal(size=(5, 7, 9)).astype(np.float32)
    expected = torch.nn.functional.interpolate(torch.from_numpy(scores)[None], size_hw, mode="bilinear", align_corners=align_corners)[0]
    np.testing.assert_allclose(resize_scores(scores, size_hw, align_corners=align_corners), expected.numpy(), atol=2e-5)
