from types import SimpleNamespace

from mmstreet.files.dataset_parts import dataset_parts


def test_wrappers_are_opened_in_configs_and_in_objects():
    a, b = SimpleNamespace(name="a"), SimpleNamespace(name="b")
    repeated = SimpleNamespace(dataset=SimpleNamespace(datasets=[a, SimpleNamespace(dataset=b)]))
    assert list(dataset_parts(repeated)) == [a, b]
    assert list(dataset_parts({"type": "Repeat", "dataset": {"type": "A"}})) == [{"type": "A"}]
    assert list(dataset_parts({"type": "A"})) == [{"type": "A"}]
    assert list(dataset_parts(None)) == []
