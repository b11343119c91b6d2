import numpy as np
import pytest

from mmstreet.files.argmax import first_argmax


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_it_is_numpys_argmax_ties_included(dtype):
    scores = np.random.default_rng(0).integers(0, 3, (7, 20, 30)).astype(dtype)
    np.testing.assert_array_equal(first_argmax(scores), scores.argmax(0))
    assert first_argmax(scores).dtype == np.uint8
