"""A checkpoint is used only when it is sound, of this config, and runs no code."""

import pytest
import torch
from mmengine.runner import Runner
from mmengine.structures import PixelData

from benchmarks.host_waits import as_on_device
from mmstreet.engine.errors import LaunchError, NonFiniteError
from mmstreet.engine.hooks import CheckpointGuardHook
from tests.helpers.tiny_runs import tiny_config


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The checkpoint of a run of one epoch."""
    folder = tmp_path_factory.mktemp("trained")
    Runner.from_cfg(guarded(folder, epochs=1)).train()
    return folder / "epoch_1.pth"


def guarded(work_dir, **settings):
    cfg = tiny_config(work_dir, **settings)
    cfg.custom_hooks.append(dict(type="mmstreet.CheckpointGuardHook"))
    return cfg


def changed(path, target, change):
    """Write a copy of a checkpoint with one change."""
    content = torch.load(path, weights_only=False)
    change(content)
    torch.save(content, target)
    return target


def resume(path, work_dir, change_config=lambda cfg: None, **settings):
    cfg = guarded(work_dir, epochs=2, **settings)
    cfg.resume, cfg.load_from = True, path and str(path)
    change_config(cfg)
    Runner.from_cfg(cfg).train()


@pytest.mark.parametrize("planted", [False, True], ids=["by path", "planted in the work dir"])
def test_a_config_inside_a_checkpoint_is_not_executed(tmp_path, trained, planted):
    victim = tmp_path / "written by the checkpoint"
    code = f"open({str(victim)!r}, 'w').close()\ngpu_ids = [0]\n"
    path = changed(trained, tmp_path / "evil.pth", lambda content: content["meta"].update(config=code, cfg=code))
    if planted:
        (tmp_path / "work").mkdir()
        (tmp_path / "work/last_checkpoint").write_text(str(path))
    resume(None if planted else path, tmp_path / "work")
    assert not victim.exists()
    assert (tmp_path / "work/epoch_2.pth").exists()


@pytest.mark.parametrize(
    ("change_config", "sentence"),
    [
        (lambda cfg: cfg.model.update(batch_norm=False), "its weights are not in the model"),
        (
            lambda cfg: cfg.optim_wrapper.update(optimizer=dict(type="SGD", lr=0.1)),
            "trained with the optimizer AdamW, but this config has SGD",
        ),
        (
            lambda cfg: cfg.update(param_scheduler=[dict(type="StepLR", step_size=1)]),
            "trained with the schedulers PolyLR, but this config has StepLR",
        ),
        (
            lambda cfg: cfg.optim_wrapper.update(paramwise_cfg=dict(bias_lr_mult=2.0)),
            "1 groups of weights, but this config's optimizer has 6",
        ),
    ],
    ids=["model", "optimizer", "schedule", "groups"],
)
@pytest.mark.parametrize("recorded", [True, False], ids=["ours", "mmengine's own"])
def test_the_checkpoint_of_another_config_is_refused_in_one_sentence(tmp_path, trained, change_config, sentence, recorded):
    path = trained if recorded else changed(trained, tmp_path / "plain.pth", lambda content: content.pop("mmstreet_training"))
    if not recorded:
        sentence = "trained with another|its weights|groups of weights"
    with pytest.raises(LaunchError, match=f"checkpoint '{path}' .*({sentence})") as caught:
        resume(path, tmp_path / "work", change_config)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "work").glob("*.pth"))


def test_a_best_checkpoint_cannot_be_resumed_without_its_optimizer(tmp_path, trained):
    path = changed(trained, tmp_path / "best_x_epoch_1.pth", lambda content: content.pop("optimizer"))
    with pytest.raises(LaunchError, match=r"holds no state of the optimizer.*load_from"):
        resume(path, tmp_path / "work")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("resumed", [True, False])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path, trained, value, resumed):
    path = changed(trained, tmp_path / "nan.pth", lambda content: content["state_dict"]["body.0.weight"][0].fill_(value))
    with pytest.raises(LaunchError, match=r"its weight 'body.0.weight' has values that are infinite or not a number"):
        resume(path, tmp_path / "work", lambda cfg: cfg.update(resume=resumed))


def test_logits_that_overflow_are_refused_with_the_image(tmp_path):
    from mmseg.structures import SegDataSample

    sample = SegDataSample(metainfo={"img_path": "street.png"})
    sample.seg_logits = PixelData(data=torch.tensor([[[0.0, float("nan")]]]))
    with pytest.raises(NonFiniteError, match=r"logits of 'street.png' are infinite or not a number"):
        CheckpointGuardHook().after_test_iter(None, 0, outputs=[sample])


class SegDataSampleLike:
    img_path = "street.png"

    def __init__(self, logits):
        self.seg_logits = PixelData(data=logits[None, None])


def test_on_a_device_a_prediction_that_is_not_finite_stops_with_the_next_batch_or_at_the_end():
    sample = SegDataSampleLike(torch.tensor([1.0, torch.nan]))
    good = SegDataSampleLike(torch.tensor([3e38, 3e38]))  # whose sum overflows
    with as_on_device():
        hook = CheckpointGuardHook()
        hook.after_val_iter(None, 0, None, [sample])
        with pytest.raises(NonFiniteError, match=r"logits of 'street.png' are infinite or not a number"):
            hook.after_val_iter(None, 1, None, [good])
        hook.after_test_iter(None, 0, None, [good])
        hook.after_test_epoch(None)
        hook.after_test_iter(None, 0, None, [sample])
        with pytest.raises(NonFiniteError, match=r"logits of 'street.png' are infinite or not a number"):
            hook.after_test_epoch(None)
