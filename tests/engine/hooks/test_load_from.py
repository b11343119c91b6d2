import hashlib
from pathlib import Path

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmstreet.engine.errors import WeightsError
from mmstreet.engine.safe_load import safe_loading
from tests.helpers.torchvision_models import ResNet

NUMBERS = iter(range(10**6))


class Toy(BaseModel):
    """A ResNet-18 backbone under torchvision's names, and a classifier."""

    def __init__(self, num_classes=5):
        super().__init__(data_preprocessor=dict(type="ImgDataPreprocessor"))
        self.backbone = ResNet(18, num_classes=0)
        self.head = nn.ModuleDict({"conv_seg": nn.Conv2d(512, num_classes, 1), "norm": nn.BatchNorm2d(512)})

    def forward(self, inputs, data_samples=None, mode="tensor"):
        logits = self.head["conv_seg"](self.head["norm"](self.backbone(inputs)[1]))
        return {"loss": logits.square().mean()}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A file of torchvision's ResNet-18 shape, under a name with its hash."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("web") / "resnet18.pth"
    torch.save(ResNet(18).state_dict(), path)
    return path.rename(path.with_name(f"resnet18-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth"))


def run(tmp_path, load_from, *, num_classes=5, resume=False):
    """A runner that would train for one epoch of one batch."""
    data = [dict(inputs=torch.randn(3, 64, 64))]
    return Runner(
        model=Toy(num_classes),
        work_dir=str(tmp_path / "work"),
        train_dataloader=dict(dataset=data, batch_size=1, sampler=dict(type="DefaultSampler", shuffle=False)),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.0)),
        custom_hooks=[dict(type="mmstreet.LoadFromHook")],
        load_from=None if load_from is None else str(load_from),
        resume=resume,
        default_scope="mmengine",
        experiment_name=f"run{next(NUMBERS)}",
    )


def read_log(runner):
    return "".join(path.read_text() for path in Path(runner._log_dir).rglob("*.log"))


def test_published_weights_are_loaded_and_one_log_line_says_what_stays_fresh(published, tmp_path):
    runner = run(tmp_path, published)
    runner.train()
    want, got = torch.load(published), runner.model.backbone.state_dict()
    assert all(torch.equal(got[key], want[key]) for key in got if "running_" not in key and "num_batches" not in key)
    assert f"120 pretrained tensors loaded from {published}; left fresh: head\n" in read_log(runner)


def test_a_url_is_taken_from_the_cache_after_its_hash_was_checked(published, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    (cache / published.name).write_bytes(published.read_bytes())
    runner = run(tmp_path, f"https://example.com/{published.name}")
    runner.train()
    assert f"loaded from https://example.com/{published.name}" in read_log(runner)
    (cache / published.name).write_bytes(b"cut off")
    with pytest.raises(WeightsError, match="is damaged"):
        run(tmp_path, f"https://example.com/{published.name}").train()


def test_converted_weights_leave_a_classifier_of_another_size_fresh(tmp_path):
    torch.save({"state_dict": Toy(21).state_dict(), "meta": {"torchvision": "https://example.com"}}, tmp_path / "ours.pth")
    runner = run(tmp_path, tmp_path / "ours.pth", num_classes=6)
    fresh = runner.model.head["conv_seg"].weight.clone()
    runner.train()
    assert torch.equal(runner.model.head["conv_seg"].weight, fresh)
    assert "left fresh: head.conv_seg (21 outputs there, 6 here)\n" in read_log(runner)


def test_other_checkpoints_pass_untouched(tmp_path):
    theirs = Toy()
    torch.save({"state_dict": theirs.state_dict(), "meta": {}}, tmp_path / "ours.pth")
    runner = run(tmp_path, tmp_path / "ours.pth")
    runner.train()
    assert torch.equal(runner.model.head["conv_seg"].weight, theirs.head["conv_seg"].weight)
    assert "pretrained" not in read_log(runner)


def test_a_missing_file_stops_before_training(tmp_path):
    with pytest.raises(WeightsError, match=r"'nowhere\.pth', which does not exist.*load_from=None"):
        run(tmp_path, "nowhere.pth").train()


def test_pretrained_weights_cannot_be_resumed(published, tmp_path):
    with pytest.raises(WeightsError, match=r"no training state to resume.*load_from=None"):
        run(tmp_path, published, resume=True).train()


def test_resuming_a_run_ignores_the_address_that_it_started_from(published, tmp_path):
    run(tmp_path, published).train()
    runner = run(tmp_path, "https://example.com/resnet18-00000000.pth", resume=True)
    with safe_loading():  # mmengine 0.10.7 cannot read its own training log without it
        runner.train()
    assert runner.epoch == 1
    assert runner.iter == 1


def test_a_file_without_any_weight_of_the_model_is_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"state_dict": {"neck.weight": torch.zeros(2)}, "meta": {}}, path)
    with pytest.raises(WeightsError, match=r"'.*other.pth' has no weight of this model \(it has neck.weight, …\)"):
        run(tmp_path, path).train()
