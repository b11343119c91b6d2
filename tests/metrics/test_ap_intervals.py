"""Resampled average precision is what pycocotools makes of the drawn images, one set after the other."""

import numpy as np
import pytest

from mmstreet.files.image_confusions import draw_times, interval
from mmstreet.metrics.ap_intervals import bootstrap_ap, draw_protocols
from mmstreet.metrics.average_precision import accumulate, image_average_precision
from tests.helpers.instance_scenes import random_samples
from tests.metrics.test_average_precision import NAMES, matches_of


@pytest.mark.parametrize("protocol", ["coco", "bitmask"])
@pytest.mark.parametrize("seed", [0, 1])
def test_each_draw_is_scored_as_pycocotools_scores_its_images(protocol, seed):
    images = matches_of(random_samples(8, seed=seed, without=(2,)), protocol)
    for image in images:  # the scores of a scene are rounded; within an image none may be twice
        for part in filter(None, image):
            part["dtScores"] = part["dtScores"] - 1e-9 * np.arange(len(part["dtScores"]))
    found = bootstrap_ap(images, NAMES, draws=12, seed=3)
    (times,) = draw_times(8, draws=12, seed=3)
    assert (times.sum(1) == 8).all()
    for i, drawn in enumerate(times):
        chosen = [image for image, number in zip(images, drawn) for _ in range(int(number))]
        table = accumulate(chosen, num_classes=len(NAMES))
        expected = {"AP": table.average(), "AP50": table.average(threshold=0), "AP75": table.average(threshold=5)}
        for label, name in enumerate(NAMES):
            expected |= {f"AP/{name}": table.average(label=label), f"AP50/{name}": table.average(threshold=0, label=label)}
        for name, value in expected.items():
            assert found[name][i] == pytest.approx(value, abs=1e-6, nan_ok=True), (i, name)
        by_image = [image_average_precision(image) for image in chosen]
        assert found["mAP@0.5"][i] == pytest.approx(np.nanmean(by_image))
    assert np.isnan(found["AP/c"]).all(), "without an instance there is nothing to measure"


def test_a_class_that_nothing_is_predicted_as_has_precision_0():
    images = matches_of(random_samples(4, seed=5), "coco")
    for image in images:
        for place in range(4):
            if image[place]:
                found = image[place]
                image[place] = found | {"dtScores": found["dtScores"][:0], **{k: found[k][:, :0] for k in ("dtMatches", "dtIgnore")}}
    values = bootstrap_ap(images, NAMES, draws=50)["AP/a"]
    assert set(values[~np.isnan(values)]) == {0.0}


def test_the_interval_holds_the_score_and_is_the_same_each_time():
    images = matches_of(random_samples(30, seed=2), "coco")
    limits, again = ({name: interval(values) for name, values in bootstrap_ap(images, NAMES).items()} for _ in range(2))
    assert limits == again
    score = 100 * accumulate(images, num_classes=len(NAMES)).average()
    assert limits["AP"][0] < score < limits["AP"][1]
    assert limits["AP"][1] - limits["AP"][0] < 40


def test_two_tests_are_compared_draw_by_draw():
    """Intervals of two models overlap far, and yet the difference is sure: what makes an image hard cancels."""
    samples = random_samples(30, seed=2)
    matches = {protocol: matches_of(samples, protocol) for protocol in ("coco", "bitmask")}
    first = draw_protocols(range(30), matches, NAMES)
    worse = [
        [found and (found | {"dtMatches": np.zeros_like(found["dtMatches"])} if i % 6 == 0 else found) for found in image]
        for i, image in enumerate(matches["coco"])
    ]
    other = draw_protocols(range(30), matches | {"coco": worse}, NAMES)
    differences = other.differences_to(first)
    own = [interval(dict(zip(one.names, one.scores))["coco/AP"]) for one in (first, other)]
    assert own[1][1] > own[0][0]
    assert differences["coco/AP"][1] < 0
    assert differences["bitmask/AP"] == [0, 0]
    expected = np.sort(bootstrap_ap(worse, NAMES)["AP"] - bootstrap_ap(matches["coco"], NAMES)["AP"])
    assert differences["coco/AP"] == pytest.approx(100 * np.quantile(expected, [0.025, 0.975]))
    assert draw_protocols(range(1, 31), matches, NAMES).differences_to(first) == {}
