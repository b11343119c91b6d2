"""Counts of an instance data set, against counting by hand."""

from mmstreet.evaluation.instance_stats import count_instances, size_of

NAMES = ("car", "person", "train")


def instance(label, area, **flags):
    return dict(bbox_label=label, area=area, **flags)


def test_sizes_change_at_cocos_bounds():
    assert [size_of(area) for area in (1, 1023, 1024, 9215, 9216, 1e6)] == ["small", "small", "medium", "medium", "large", "large"]


def test_everything_is_counted_once():
    images = [
        dict(instances=[instance(0, 10), instance(0, 2000, occluded=True), instance(1, 9999, occluded=True, crowd=True)], weather="rainy"),
        dict(instances=[instance(0, 1500, truncated=True)], weather="clear"),
        dict(instances=[], weather="clear"),
        dict(instances=[instance(1, 5)]),
    ]
    stats = count_instances(images, NAMES, attributes=("weather",))
    assert (stats["images"], stats["instances"]) == (4, 5)
    assert stats["per_image"] == {"mean": 1.25, "median": 1.0, "max": 3, "without": 1, "histogram": {0: 1, 1: 2, 3: 1}}
    assert stats["sizes"] == {"small": 2, "medium": 2, "large": 1}
    assert stats["flags"] == {"occluded": 2, "truncated": 1, "crowd": 1, "ignored": 0}
    assert stats["attributes"] == {"weather": {"clear": 2, "rainy": 1, "undefined": 1}}
    car, person, train = stats["classes"]
    assert (car["instances"], car["images"], car["small"], car["medium"], car["large"], car["percent"]) == (3, 2, 1, 2, 0, 60.0)
    assert (person["instances"], person["images"], person["percent"]) == (2, 2, 40.0)
    assert (train["instances"], train["images"], train["percent"]) == (0, 0, 0.0)
    for part in (stats["sizes"], {row["name"]: row["instances"] for row in stats["classes"]}):
        assert sum(part.values()) == stats["instances"]


def test_an_empty_set_has_no_mean():
    stats = count_instances([], NAMES)
    assert stats["per_image"]["mean"] is None
    assert stats["classes"][0]["percent"] is None
