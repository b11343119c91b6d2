"""The images that a test keeps: the lowest scores, examples, then what costs most in classes, slices and confusions, in turn."""

import numpy as np

from mmstreet.evaluation.image_choice import choose_images


def counts(*cells, images=8):
    """Two classes; ``(image, truth, prediction, pixels)`` each, besides one right pixel of class 0 everywhere."""
    found = np.zeros((images, 3, 3), np.int64)
    found[:, 0, 0] = 1
    for image, row, column, pixels in cells:
        found[image, row, column] = pixels
    return found


def test_the_lowest_scores_come_first_then_examples_and_an_image_can_be_both():
    scores = np.array([50.0, np.nan, 10, 90, 80, 70, 60, 5])
    chosen = choose_images(counts(), scores, worst=2, examples=3, limit=9)
    assert chosen == {7: ["worst", "examples"], 2: ["worst"], 0: ["examples"], 4: ["examples"]}, (
        "of eight images 0, 4 and 7 are spread evenly"
    )
    assert list(chosen) == [7, 2, 0, 4]


def test_an_image_without_a_score_is_no_worst_one():
    assert list(choose_images(counts(images=2), np.array([np.nan, 3.0]), worst=2, examples=0, limit=9)) == [1]


def test_classes_slices_and_confusions_bring_their_images_in_turn():
    found = counts((1, 0, 1, 40), (2, 0, 1, 30), (3, 1, 0, 50), (4, 1, 2, 5))
    slices = [{5: 20.0, 6: 10.0}]
    chosen = choose_images(found, np.full(8, 50.0), slices, worst=0, examples=0, limit=9)
    # Both classes are wrong most in image 3, then in image 1; class 1 then in image 2 and 4. Of the slice 6 is lower than 5.
    # The confusion 0 → 1 (70 pixels) begins with image 1, 1 → 0 (50) with 3, 1 → none (5) with 4.
    assert list(chosen) == [3, 6, 1, 4, 5, 2]
    assert list(choose_images(found, np.full(8, 50.0), slices, worst=0, examples=0, limit=3)) == [3, 6, 1]
    assert set(map(tuple, chosen.values())) == {()}


def test_the_limit_holds_for_the_worst_too():
    assert list(choose_images(counts(), np.arange(8.0), worst=8, examples=8, limit=3)) == [0, 1, 2]
    assert choose_images(counts(), np.arange(8.0), worst=0, examples=0, limit=5) == {}
