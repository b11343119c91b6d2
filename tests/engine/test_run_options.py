"""Options of the command line that stand for a setting at several places of a config."""

import pytest
from mmengine.config import Config

from mmstreet.engine.errors import LaunchError
from mmstreet.engine.launch import load_config
from mmstreet.engine.run_options import set_batch_size, set_data_root, set_learning_rate, set_logs
from tests.helpers.ops import needs_ops


def test_the_schedule_ends_in_proportion_to_the_learning_rate():
    schedule = [dict(type="PolyLR", eta_min=0.001, by_epoch=False), dict(type="LinearLR", start_factor=0.1)]
    scale = dict(enable=True, base_batch_size=16)
    wrapper = dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9))
    cfg = Config(dict(optim_wrapper=wrapper, param_scheduler=schedule, auto_scale_lr=scale))
    set_learning_rate(cfg, 0.4)
    assert cfg.optim_wrapper.optimizer == dict(type="SGD", lr=0.4, momentum=0.9)
    assert cfg.param_scheduler[0].eta_min == pytest.approx(0.004)
    assert cfg.param_scheduler[1] == dict(type="LinearLR", start_factor=0.1)
    assert cfg.auto_scale_lr.enable is False  # else a rate for 16 images would be scaled to the batch


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_learning_rate_that_is_none_is_refused(rate):
    with pytest.raises(LaunchError, match=r"a number above 0, such as 0\.01, not"):
        set_learning_rate(Config(dict(optim_wrapper=dict(optimizer=dict(type="SGD")))), rate)


def test_two_optimizers_have_no_one_rate():
    cfg = Config(dict(optim_wrapper=dict(constructor="C", a=dict(optimizer=dict(type="SGD", lr=1)))))
    with pytest.raises(LaunchError, match="no single optimizer"):
        set_learning_rate(cfg, 0.1)


def test_the_batch_size_is_that_of_one_loader():
    cfg = Config(dict(train_dataloader=dict(batch_size=8), test_dataloader=dict(batch_size=1)))
    set_batch_size(cfg, 3, loader="test_dataloader")
    assert (cfg.train_dataloader.batch_size, cfg.test_dataloader.batch_size) == (8, 3)
    for size, loader, said in ((0, "train_dataloader", "at least 1 image, not 0"), (2, "val_dataloader", "has no val_dataloader")):
        with pytest.raises(LaunchError, match=said):
            set_batch_size(cfg, size, loader=loader)


def test_every_data_set_and_metric_reads_from_the_other_folder(tmp_path):
    def data(**more):
        return dict(type="D", data_root="data/set", **more)

    paste = dict(type="Paste", images="data/set/images", other="data/settings/x")
    steps = paste, dict(type="Resize", scale=(8, 4))
    wrapped = dict(type="Concat", datasets=[data(pipeline=steps), dict(type="Repeat", dataset=data(ann_file="a.json"))])
    shared = dict(dataset=data())
    cfg = Config(dict(train_dataloader=dict(dataset=wrapped), val_dataloader=shared, test_dataloader=shared))
    cfg.val_evaluator = dict(type="CocoMetric", ann_file="data/set/val.json")
    new = tmp_path / "data" / "set"  # its own name begins like the old one; nothing is replaced twice
    new.mkdir(parents=True)
    set_data_root(cfg, new)
    first, second = cfg.train_dataloader.dataset.datasets
    assert first.data_root == second.dataset.data_root == str(new)
    assert first.pipeline[0] == dict(type="Paste", images=f"{new}/images", other="data/settings/x")
    assert first.pipeline[1]["scale"] == (8, 4)  # mmcv takes no list for a size
    assert isinstance(first.pipeline, tuple)
    assert second.dataset.ann_file == "a.json"
    assert cfg.val_dataloader.dataset.data_root == cfg.test_dataloader.dataset.data_root == str(new)
    assert cfg.val_evaluator.ann_file == f"{new}/val.json"


def test_data_refuses_what_it_cannot_replace(tmp_path):
    two = dict(train_dataloader=dict(dataset=dict(data_root="a")), val_dataloader=dict(dataset=dict(data_root="b")))
    with pytest.raises(LaunchError, match=r"reads from 2 folders \(a, b\), so --data cannot replace one"):
        set_data_root(Config(two), tmp_path)
    with pytest.raises(LaunchError, match="names no data_root"):
        set_data_root(Config(dict(train_dataloader=dict(dataset=dict(type="D")))), tmp_path)
    with pytest.raises(LaunchError, match=r"there is no folder '.*/nowhere'"):
        set_data_root(Config(two), tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["deeplabv3_bdd_v3", pytest.param("mask_rcnn_bdd", marks=needs_ops), "carb_wilddash2", "street_camvid"])
def test_shipped_configs_take_the_options(name, tmp_path):
    cfg = load_config(name, lr=0.5, batch_size=3, data=tmp_path)
    assert cfg.optim_wrapper.optimizer.lr == 0.5
    assert cfg.train_dataloader.batch_size == 3
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        dataset = loader.dataset
        while "data_root" not in dataset:
            dataset = dataset.dataset
        assert dataset.data_root == str(tmp_path)


def test_logs_are_added_beside_the_local_one_and_named_after_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr("mmstreet.engine.run_options.require", lambda name, extra: None)
    for name in ("WANDB_PROJECT", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    visualizer = dict(type="SegLocalVisualizer", vis_backends=[dict(type="LocalVisBackend")])
    cfg = Config(dict(work_dir=str(tmp_path / "night"), visualizer=visualizer))
    set_logs(cfg, ["wandb", "mlflow", "wandb", "tensorboard"])
    local, wandb, mlflow, tensorboard = cfg.visualizer.vis_backends
    assert (local.type, tensorboard) == ("LocalVisBackend", dict(type="TensorboardVisBackend"))
    assert wandb.init_kwargs == dict(name="night", project="mmstreet")
    assert (mlflow.run_name, mlflow.tracking_uri) == ("night", f"sqlite:///{tmp_path}/night/mlflow.db")
    set_logs(cfg, ["wandb"])
    assert len(cfg.visualizer.vis_backends) == 4  # not twice
    plain = Config(dict(work_dir=str(tmp_path)))
    monkeypatch.setenv("WANDB_PROJECT", "streets")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    set_logs(plain, ["wandb", "mlflow"])
    assert plain.visualizer.vis_backends[1].init_kwargs["project"] == "streets"
    assert plain.visualizer.vis_backends[2] == dict(
        type="MLflowVisBackend", exp_name="mmstreet", run_name=tmp_path.name, tracking_uri="http://server"
    )


def test_a_log_whose_package_is_missing_says_the_install_line(tmp_path, monkeypatch):
    monkeypatch.setattr("mmstreet.deps.installed", lambda name: False)
    with pytest.raises(ImportError, match=r"'wandb', which is not installed; run: pip install 'mmstreet\[wandb\]'"):
        set_logs(Config(dict(work_dir=str(tmp_path))), ["wandb"])
