"""What the command line and the machine make of a config."""

import pytest
import torch
from mmengine.optim import OptimWrapper

from mmstreet.engine import amp, launch
from mmstreet.engine.amp import CpuAmpOptimWrapper
from mmstreet.engine.errors import LaunchError
from mmstreet.engine.launch import build_runner, load_config, sync_bn_to_bn
from tests.helpers.ops import needs_ops
from tests.helpers.tiny_runs import tiny_config

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")


@pytest.fixture
def config_file(tmp_path):
    """Write a config file; more text can be added."""

    def write(text=""):
        path = tmp_path / "street_v9.py"
        path.write_text("optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))\nmodel = dict(a=1)\n" + text)
        return path

    return write


@pytest.fixture(autouse=True)
def _outside_torchrun(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


def test_the_work_dir_is_the_argument_then_the_configs_then_the_configs_name(config_file, tmp_path):
    assert load_config(config_file()).work_dir == "work_dirs/street_v9"
    path = config_file("work_dir = 'mine'\n")
    assert load_config(path).work_dir == "mine"
    assert load_config(path, work_dir=tmp_path / "w").work_dir == str(tmp_path / "w")


def test_options_overrule_the_file(config_file):
    cfg = load_config(config_file(), cfg_options={"optim_wrapper.optimizer.lr": 0.5})
    assert cfg.optim_wrapper.optimizer == dict(type="SGD", lr=0.5)


def test_averaging_of_weights_takes_the_place_of_the_configs(config_file):
    path = config_file("custom_hooks = [dict(type='EMAHook', momentum=0.5), dict(type='mmstreet.FiniteLossHook')]\n")
    finite, averaging = load_config(path, ema=0.01).custom_hooks
    assert finite == dict(type="mmstreet.FiniteLossHook")
    assert (averaging.type, averaging.momentum, averaging.update_buffers) == ("EMAHook", 0.01, True)
    with pytest.raises(LaunchError, match=r"above 0 and below 1, such as 0\.002, not 2"):
        load_config(path, ema=2)


def test_torchrun_is_recognised(config_file, monkeypatch):
    assert load_config(config_file()).launcher == "none"
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.setenv(name, "0")
    assert load_config(config_file()).launcher == "pytorch"
    assert load_config(config_file(), launcher="none").launcher == "none"


def test_a_missing_config_is_answered_with_its_neighbours(config_file):
    with pytest.raises(LaunchError, match=r"street_v8.py' does not exist; its folder .* has: street_v9.py"):
        load_config(config_file().with_name("street_v8.py"))


def test_an_unknown_launcher_is_refused(config_file):
    with pytest.raises(LaunchError, match="launcher must be one of auto, none, pytorch, slurm, mpi, not 'ssh'"):
        load_config(config_file(), launcher="ssh")


def test_sync_bn_becomes_bn_at_any_depth():
    model = dict(
        norm_cfg=dict(type="SyncBN", requires_grad=True),
        backbone=dict(stages=[dict(norm_cfg=dict(type="mmcv.MMSyncBN")), dict(norm_cfg=dict(type="GN", num_groups=2))]),
        heads=(dict(head=dict(norm_cfg=dict(type=torch.nn.SyncBatchNorm))),),
        name="SyncBN",
    )
    assert sync_bn_to_bn(model) == 3
    assert model == dict(
        norm_cfg=dict(type="BN", requires_grad=True),
        backbone=dict(stages=[dict(norm_cfg=dict(type="BN")), dict(norm_cfg=dict(type="GN", num_groups=2))]),
        heads=(dict(head=dict(norm_cfg=dict(type="BN"))),),
        name="SyncBN",
    )


@pytest.mark.parametrize(
    ("launcher", "device", "expected"), [("none", "cuda", "BN"), ("pytorch", "cpu", "BN"), ("pytorch", "cuda", "SyncBN")]
)
def test_sync_bn_stays_where_gpus_can_synchronise(config_file, monkeypatch, launcher, device, expected):
    monkeypatch.setattr(launch, "get_device", lambda: device)
    cfg = load_config(config_file("model = dict(norm_cfg=dict(type='SyncBN'))\n"), launcher=launcher)
    assert cfg.model.norm_cfg.type == expected


@pytest.mark.parametrize(
    ("device", "expected"),
    [("cpu", dict(type="mmstreet.CpuAmpOptimWrapper")), ("cuda", dict(type="AmpOptimWrapper", loss_scale="dynamic"))],
)
def test_amp_follows_the_device(config_file, monkeypatch, device, expected):
    monkeypatch.setattr(amp, "get_device", lambda: device)
    monkeypatch.setattr(amp, "refuse_bfloat16", lambda: None)
    cfg = load_config(config_file("val_cfg = dict(type='ValLoop')\ntest_cfg = dict()\n"), amp=True)
    assert cfg.optim_wrapper == dict(optimizer=dict(type="SGD", lr=0.1), **expected)
    assert cfg.val_cfg.fp16
    assert cfg.test_cfg.fp16


def test_amp_on_a_processor_without_bfloat16_stays_in_float32_and_says_so(config_file, monkeypatch, caplog):
    monkeypatch.setattr(amp, "get_device", lambda: "cpu")
    monkeypatch.setattr(amp, "time_bfloat16", lambda: 42.4)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False, raising=False)
    said = []
    monkeypatch.setattr(amp, "print_log", lambda text, **_: said.append(text))
    cfg = load_config(config_file("val_cfg = dict()\n"), amp=True)
    assert cfg.optim_wrapper.type == "OptimWrapper"
    assert "fp16" not in cfg.val_cfg
    assert len(said) == 1
    assert "no bfloat16 arithmetic, a step of a 3x3 convolution takes 42.4 times as long in it as in float32" in said[0]


@pytest.mark.parametrize(("slower", "refused"), [(0.5, False), (1.2, False), (3.0, True)])
def test_a_processor_that_says_yes_is_timed(monkeypatch, slower, refused):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True, raising=False)
    monkeypatch.setattr(amp, "time_bfloat16", lambda: slower)
    assert (amp.refuse_bfloat16() is not None) == refused


def test_a_step_is_timed_in_both_types():
    assert 0 < amp.time_bfloat16() < 10_000


def test_memory_is_pinned_for_a_gpu_only_and_where_the_config_says_nothing(config_file, monkeypatch):
    text = "train_dataloader = dict(batch_size=2)\nval_dataloader = dict(pin_memory=False)\n"
    assert "pin_memory" not in load_config(config_file(text)).train_dataloader or torch.cuda.is_available()
    monkeypatch.setattr(launch, "get_device", lambda: "cuda")
    cfg = load_config(config_file(text))
    assert cfg.train_dataloader.pin_memory
    assert not cfg.val_dataloader.pin_memory


def test_amp_refuses_a_wrapper_that_it_does_not_know(config_file):
    with pytest.raises(LaunchError, match="the config has 'MyWrapper'; leave --amp out"):
        load_config(config_file("optim_wrapper = dict(type='MyWrapper')\n"), amp=True)


@needs_ops
def test_amp_on_cpu_is_refused_for_detectors(config_file, monkeypatch):
    path = config_file("default_scope = 'mmdet'\n")
    monkeypatch.setattr(amp, "get_device", lambda: "cpu")
    with pytest.raises(LaunchError, match="NMS and RoIAlign do not take; leave --amp out"):
        load_config(path, amp=True)
    monkeypatch.setattr(amp, "get_device", lambda: "cuda")
    assert load_config(path, amp=True).optim_wrapper.type == "AmpOptimWrapper"


def test_mixed_precision_on_cpu_runs_in_bfloat16_and_updates_float32():
    layer = torch.nn.Linear(3, 2)
    before = layer.weight.clone()
    wrapper = CpuAmpOptimWrapper(torch.optim.SGD(layer.parameters(), lr=0.1))
    assert isinstance(wrapper, OptimWrapper)
    with wrapper.optim_context(layer):
        out = layer(torch.ones(1, 3))
    assert out.dtype == torch.bfloat16
    wrapper.update_params(out.float().sum())
    assert layer.weight.dtype == torch.float32
    torch.testing.assert_close(layer.weight.detach(), before.detach() - 0.1)


def test_resume_without_a_checkpoint_starts_from_the_configs_weights(config_file, tmp_path):
    cfg = load_config(config_file("load_from = 'coco.pth'\n"), work_dir=tmp_path / "new", resume=True)
    assert not cfg.resume
    assert cfg.load_from == "coco.pth"


def test_resume_takes_the_newest_complete_checkpoint_instead_of_the_configs_weights(config_file, tmp_path):
    torch.save({"w": torch.zeros(3)}, tmp_path / "epoch_3.pth")
    cfg = load_config(config_file("load_from = 'coco.pth'\n"), work_dir=tmp_path, resume=True)
    assert cfg.resume
    assert cfg.load_from == str(tmp_path / "epoch_3.pth")
    assert load_config(config_file(), resume=tmp_path).load_from == str(tmp_path / "epoch_3.pth")


def test_resume_refuses_a_missing_or_cut_off_checkpoint(config_file, tmp_path):
    with pytest.raises(LaunchError, match=r"epoch_9.pth' does not exist"):
        load_config(config_file(), resume=tmp_path / "epoch_9.pth")
    torch.save({"w": torch.zeros(3000)}, tmp_path / "epoch_1.pth")
    (tmp_path / "epoch_1.pth").write_bytes((tmp_path / "epoch_1.pth").read_bytes()[:5000])
    with pytest.raises(LaunchError, match=r"epoch_1.pth' is not complete: its writing was interrupted"):
        load_config(config_file(), resume=tmp_path / "epoch_1.pth")


def test_weights_can_be_named_by_their_run(config_file, tmp_path):
    torch.save({"w": torch.zeros(3)}, tmp_path / "iter_30.pth")
    assert load_config(config_file(), load_from=tmp_path).load_from == str(tmp_path / "iter_30.pth")
    assert load_config(config_file(), load_from="https://x/y.pth").load_from == "https://x/y.pth"
    (tmp_path / "empty").mkdir()
    with pytest.raises(LaunchError, match=r"no complete checkpoint in '.*empty'"):
        load_config(config_file(), load_from=tmp_path / "empty")


@NO_GPU
def test_slurm_without_a_gpu_points_to_torchrun(tmp_path):
    with pytest.raises(LaunchError, match="launcher 'slurm' needs a GPU; on CPU start the processes with torchrun"):
        build_runner(tiny_config(tmp_path, launcher="slurm"))


def test_every_run_looks_at_its_checkpoints_whatever_its_config_lists(tmp_path):
    cfg = tiny_config(tmp_path)
    cfg.custom_hooks.append(dict(type="mmstreet.ScheduleHook", extension="restart"))
    kinds = [type(hook).__name__ for hook in build_runner(cfg).hooks]
    assert [kinds.count(name) for name in launch.HOOKS] == [1] * len(launch.HOOKS)
