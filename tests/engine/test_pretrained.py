import hashlib

import pytest
import torch
from torch import nn

from mmstreet.engine.errors import WeightsError
from mmstreet.engine.pretrained import fetch_weights, fit_weights


@pytest.fixture
def published(tmp_path):
    """A small file under a name with its hash, and the URL of that file."""
    path = tmp_path / "web" / "weights.pth"
    path.parent.mkdir()
    torch.save({"conv.weight": torch.zeros(1)}, path)
    path = path.rename(path.with_name(f"weights-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth"))
    return path, path.as_uri()


def test_a_file_is_fetched_once_and_its_hash_is_checked(published, tmp_path):
    path, url = published
    fetched = fetch_weights(url, folder=tmp_path / "cache")
    assert fetched.read_bytes() == path.read_bytes()
    path.unlink()
    assert fetch_weights(url, folder=tmp_path / "cache") == fetched


def test_a_download_with_another_hash_is_refused_and_not_kept(published, tmp_path):
    path, _ = published
    wrong = path.rename(path.with_name("weights-00000000.pth"))
    with pytest.raises(WeightsError, match="invalid hash value"):
        fetch_weights(wrong.as_uri(), folder=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_file_in_the_cache_is_named(published, tmp_path):
    fetched = fetch_weights(published[1], folder=tmp_path)
    fetched.write_bytes(fetched.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=rf"'{fetched}' is damaged.*delete it"):
        fetch_weights(published[1], folder=tmp_path)


def test_without_network_one_sentence_says_where_to_put_the_file(tmp_path):
    with pytest.raises(WeightsError, match=r"cannot download http://127\.0\.0\.1:9/x-12345678\.pth .*bring it .*load_from=None"):
        fetch_weights("http://127.0.0.1:9/x-12345678.pth", folder=tmp_path)


def test_an_address_without_a_hash_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="carries no hash"):
        fetch_weights("https://example.com/resnet18.pth", folder=tmp_path)


def test_fitting_reports_class_counts_and_modules_without_a_place():
    model = nn.ModuleDict(
        {"backbone": nn.Conv2d(3, 4, 1), "decode_head": nn.ModuleDict({"conv_seg": nn.Conv2d(4, 19, 1), "norm": nn.BatchNorm2d(4)})}
    )
    theirs = model.state_dict() | {"decode_head.conv_seg.weight": torch.zeros(21, 4, 1, 1), "decode_head.conv_seg.bias": torch.zeros(21)}
    theirs |= {"auxiliary_head.conv.weight": torch.zeros(1), "auxiliary_head.conv_seg.weight": torch.zeros(1)}
    kept, fresh, unused = fit_weights(theirs, model)
    assert fresh == ["decode_head.conv_seg (21 outputs there, 19 here)"]
    assert unused == ["auxiliary_head"]
    assert set(kept) == set(model.state_dict()) - {"decode_head.conv_seg.weight", "decode_head.conv_seg.bias"}


def test_weights_of_another_architecture_are_refused():
    with pytest.raises(WeightsError, match=r"another architecture: 'a\.weight' has shape \[4, 3, 3, 3\] there, \[4, 3, 1, 1\] here"):
        fit_weights({"a.weight": torch.zeros(4, 3, 3, 3)}, nn.ModuleDict({"a": nn.Conv2d(3, 4, 1)}))


def test_weights_of_a_backbone_leave_each_whole_head_fresh_in_one_word():
    model = nn.ModuleDict({"backbone": nn.Conv2d(3, 4, 1), "decode_head": nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))})
    kept, fresh, unused = fit_weights({key: tensor for key, tensor in model.state_dict().items() if key.startswith("backbone")}, model)
    assert set(kept) == {"backbone.weight", "backbone.bias"}
    assert fresh == ["decode_head"]
    assert unused == []
