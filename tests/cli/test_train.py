"""``mmstreet train``: one process or two, stopping and going on, and a sentence instead of a traceback."""

import errno
import json
import multiprocessing
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmstreet.cli.commands import main
from mmstreet.engine.launch import build_runner, load_config
from mmstreet.engine.safe_load import read_checkpoint
from tests.helpers.forked import places, run_in_two_processes
from tests.helpers.ops import needs_ops
from tests.helpers.plain_config import plain_config_text  # noqa: F401
from tests.helpers.tiny_detection import tiny_detection, write_coco
from tests.helpers.tiny_segmentation import tiny_segmentation, write_dataset

mmseg = pytest.importorskip("mmseg")
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _fast(plain_config_text):  # noqa: F811
    pass


@pytest.fixture
def config(tmp_path):
    """A config file over 12 training and 5 validation images; five are no multiple of two processes."""
    root = write_dataset(tmp_path / "data", count=12)
    write_dataset(root, split="val", count=5)
    cfg = tiny_segmentation(root, tmp_path / "run", batch_size=4)
    cfg.work_dir = None
    cfg.val_evaluator = dict(type="mmstreet.StreetIoUMetric")
    cfg.model.decode_head.norm_cfg = dict(type="SyncBN")
    path = tmp_path / "tiny.py"
    cfg.dump(path)
    return path


def logged(work_dir):
    """The last line of metrics that the logger wrote."""
    (path,) = sorted(Path(work_dir).glob("*/vis_data/scalars.json"))[-1:]
    return [json.loads(line) for line in path.read_text().splitlines() if "mIoU" in line][-1]


def assert_weights_close(a, b, **tolerance):
    a, b = read_checkpoint(a)["state_dict"], read_checkpoint(b)["state_dict"]
    assert a.keys() == b.keys()
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], **tolerance, msg=lambda text, name=name: f"{name}: {text}")


def test_two_processes_train_and_score_like_one(config, tmp_path, run):
    plain = {"model.decode_head.norm_cfg": None, "train_cfg.max_epochs": 4}  # batch norm sees half a batch
    options = [f"{key}={value}" for key, value in plain.items()]
    run("train", config, "--work-dir", tmp_path / "one", "--cfg-options", *options)
    words = ["train", str(config), "--work-dir", str(tmp_path / "two"), "--cfg-options", *options, "train_dataloader.batch_size=2"]
    run_in_two_processes(*words)

    # Training: the same samples with the same augmentation; gradients are averages of two halves, so floats add in another order.
    assert_weights_close(tmp_path / "one/epoch_4.pth", tmp_path / "two/epoch_4.pth", rtol=1e-4, atol=1e-6)
    # Scoring: what two processes logged is what one process finds for the same weights, to the last bit.
    cfg = load_config(config, work_dir=tmp_path / "score", load_from=tmp_path / "two", cfg_options=plain)
    alone = build_runner(cfg).val()
    together = logged(tmp_path / "two")
    assert alone["mIoU"] > 15  # more than one class is predicted, so the comparison has something to compare
    assert {name: together[name] for name in alone} == alone


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are listed by Linux")
def test_no_thread_of_the_backend_is_left_when_a_process_ends(config, tmp_path, warm_python):
    # Python ends a thread that asks for its lock during shutdown, and C++ answers by aborting the process: a rare failure of finished runs.
    script = tmp_path / "train.py"
    script.write_text(
        "import atexit, os, sys\n"
        "from pathlib import Path\n"
        "said = open(f'{os.environ[\"RANK\"]}.txt', 'w')\n"  # on one stream the lines of two processes may mix
        "threads = lambda: [path.read_text().strip() for path in Path('/proc/self/task').glob('*/comm')]\n"
        "atexit.register(lambda: print('left', threads().count('pt_gloo_runloop'), file=said, flush=True))\n"
        "from mmstreet.cli.train import main\n"
        "main(sys.argv[1:])\n"
        "print('before', threads().count('pt_gloo_runloop') > 0, file=said, flush=True)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    words = [script, config, "--work-dir", tmp_path / "run", "--epochs", "1"]
    for done in warm_python.run_together(words, [environment | place for place in places(2)], cwd=tmp_path):
        assert done.returncode == 0, done.stderr[-3000:]
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in (0, 1)] == ["before True\nleft 0\n"] * 2


def test_resume_goes_on_from_the_newest_checkpoint_and_equals_one_run(config, tmp_path, run):
    run("train", config, "--work-dir", tmp_path / "whole")
    run("train", config, "--work-dir", tmp_path / "parts", "--cfg-options", "train_cfg.max_epochs=1", "--resume")
    assert (tmp_path / "parts/epoch_1.pth").exists()
    run("train", config, "--work-dir", tmp_path / "parts", "--resume")
    assert_weights_close(tmp_path / "whole/epoch_2.pth", tmp_path / "parts/epoch_2.pth", rtol=0, atol=0)


@pytest.mark.parametrize("length", ["epochs", "iterations"])
@pytest.mark.parametrize("persistent", [True, False])
def test_no_process_that_loads_data_outlives_a_run(config, tmp_path, run, refusal, length, persistent):
    cfg = Config.fromfile(config)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(num_workers=2, persistent_workers=persistent)
    if length == "iterations":
        cfg.train_cfg = dict(by_epoch=False, max_iters=2, val_interval=2)
        cfg.train_dataloader.sampler = dict(type="InfiniteSampler")
        cfg.default_hooks.checkpoint.update(by_epoch=False, interval=2)
        cfg.log_processor.by_epoch = False
    cfg.test_dataloader, cfg.test_evaluator, cfg.test_cfg = cfg.val_dataloader, cfg.val_evaluator, dict()
    cfg.dump(config)
    run("train", config, "--work-dir", tmp_path / "w")
    assert not multiprocessing.active_children()
    run("test", config, tmp_path / "w", "--out", tmp_path / "t")
    assert not multiprocessing.active_children()
    (tmp_path / "data/images/val/0.jpg").write_bytes(b"broken")
    assert "0.jpg" in refusal("train", config, "--work-dir", tmp_path / "w2")
    assert not multiprocessing.active_children()


def test_more_epochs_learn_along_the_longer_schedule_and_fewer_are_refused(config, tmp_path, run, refusal):
    cfg = Config.fromfile(config)
    cfg.param_scheduler = [dict(type="PolyLR", eta_min=0.0, by_epoch=True, convert_to_iter_based=True)]
    cfg.dump(config)
    run("train", config, "--work-dir", tmp_path / "w", "--epochs", 1)
    run("train", config, "--work-dir", tmp_path / "w", "--epochs", 2, "--resume")
    log = "".join(path.read_text() for path in (tmp_path / "w").glob("*/*.log"))
    assert "the checkpoint is of a run of 1 epochs; the schedule goes on as that of a run of 2 epochs: lr 0.008 after 1" in log
    assert refusal("train", config, "--work-dir", tmp_path / "w", "--epochs", 1, "--resume").startswith(
        "the checkpoint was trained for 2 epochs"
    )
    assert refusal("train", config, "--work-dir", tmp_path / "w", "--iters", 9).endswith("it counts epochs, so give --epochs")


NO_CHECKPOINTS = {
    "a list": ([1, 2], "is not what it should be: expected a dict with 'state_dict', but it holds a list"),
    "an int": (3, "is not what it should be: expected a dict with 'state_dict', but it holds an int"),
    "nothing": ({}, "is not what it should be: expected weights, but it has none"),
    "no meta": ({"state_dict": {"w": torch.zeros(2)}}, "expected how far training came in meta['epoch'], which is missing"),
    "nan": ({"state_dict": {"w": torch.tensor([float("nan")])}}, "its weight 'w' has values that are infinite or not a number"),
}


def test_what_is_no_checkpoint_is_named_in_one_sentence(config, tmp_path, refusal):
    for name, (content, sentence) in NO_CHECKPOINTS.items():
        path = tmp_path / f"{name}.pth"
        torch.save(content, path)
        said = refusal("train", config, "--work-dir", tmp_path / "w", "--resume", path)
        assert said.startswith(f"checkpoint '{path}' ")
        assert sentence in said


def test_a_second_stage_starts_from_the_first_and_resumes_its_own(config, tmp_path, run, capsys):
    cfg = Config.fromfile(config)
    cfg.model.decode_head.norm_cfg = None
    cfg.dump(config)
    cfg.optim_wrapper.optimizer.lr = 0.0  # what stage two begins with is what it ends with
    cfg.dump(tmp_path / "second.py")
    stages = [config, "--then", tmp_path / "second.py", "--work-dir", tmp_path / "both", "--cfg-options", "train_cfg.max_epochs=1"]
    run("train", *stages)
    first, second = tmp_path / "both/tiny", tmp_path / "both/second"
    assert_weights_close(first / "epoch_1.pth", second / "epoch_1.pth", rtol=0, atol=0)
    assert logged(first).keys() == logged(second).keys()  # each stage has a log of its own
    made = {path: path.stat().st_mtime_ns for path in (first / "epoch_1.pth", second / "epoch_1.pth")}
    shutil.copy(second / "epoch_1.pth", tmp_path / "kept.pth")
    stages[-1] = "train_cfg.max_epochs=2"
    run("train", *stages, "--resume")
    assert_weights_close(second / "epoch_2.pth", tmp_path / "kept.pth", rtol=0, atol=0)  # its own weights, not those of stage one now
    for path, when in made.items():
        assert not path.exists() or path.stat().st_mtime_ns == when  # nothing was trained again
    with pytest.raises(SystemExit):
        main(["train", *map(str, stages), "--resume", str(second / "epoch_2.pth")])
    assert "does not say which stage it belongs to" in capsys.readouterr().err


@needs_ops
def test_a_detector_resumes_exactly_too(tmp_path, run, refusal):
    path = tmp_path / "tiny_detector.py"
    tiny_detection(write_coco(tmp_path / "data")).dump(path)
    run("train", path, "--work-dir", tmp_path / "whole")
    run("train", path, "--work-dir", tmp_path / "parts", "--cfg-options", "train_cfg.max_epochs=1")
    run("train", path, "--work-dir", tmp_path / "parts", "--resume", "--cfg-options", "train_dataloader.num_workers=2")
    assert_weights_close(tmp_path / "whole/epoch_2.pth", tmp_path / "parts/epoch_2.pth", rtol=0, atol=0)
    sentence = refusal("train", path, "--work-dir", tmp_path / "w", "--cfg-options", "model.bbox_head.num_classes=80")
    assert sentence.startswith("bbox_head.num_classes is 80, but the training set has 2 classes (car, person)")


def test_mmsegs_own_script_trains_and_resumes_a_config_with_our_hooks(config, tmp_path, run, monkeypatch):
    script = Path(mmseg.__file__).parent / ".mim/tools/train.py"
    run("train", config, "--work-dir", tmp_path / "whole")
    for more in (["--cfg-options", "train_cfg.max_epochs=1"], ["--resume"]):
        monkeypatch.setattr(sys, "argv", [str(script), str(config), "--work-dir", str(tmp_path / "parts"), *more])
        monkeypatch.setenv("LOCAL_RANK", "0")  # the script sets it, and it would stay
        runpy.run_path(str(script), run_name="__main__")
    assert_weights_close(tmp_path / "whole/epoch_2.pth", tmp_path / "parts/epoch_2.pth", rtol=0, atol=0)


def test_mixed_precision_trains_on_cpu(config, tmp_path, run):
    run("train", config, "--work-dir", tmp_path / "amp", "--amp", "--cfg-options", "train_cfg.max_epochs=1")
    state = read_checkpoint(tmp_path / "amp/epoch_1.pth")["state_dict"]
    assert all(value.dtype == torch.float32 for value in state.values() if value.is_floating_point())


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--cfg-options", "model.decode_head.num_classes=19"], "decode_head.num_classes is 19, but the training set has 3 classes"),
        (["--resume", "nowhere.pth"], "checkpoint 'nowhere.pth' does not exist"),
        (["--work-dir", __file__], f"'{__file__}' would have to be a folder, but there is a file in its way"),
        (["--work-dir", "/sys/mmstreet"], "no permission to write or read '/sys/mmstreet'"),
        (
            ["--cfg-options", "model.decode_head.chanels=8"],
            "the config cannot be built: BaseDecodeHead.__init__() got an unexpected keyword",
        ),
        (["--cfg-options", "model.decode_head.type=FCNHaed"], "FCNHaed is not in the mmseg::model registry"),
        (["--cfg-options", "train_dataloader.dataset.data_root=nowhere"], "No such file or directory: 'nowhere/images/train'"),
        (["--launcher", "pbs"], "launcher must be one of auto, none, pytorch, slurm, mpi, not 'pbs'"),
    ],
)
def test_a_mistake_of_the_user_ends_in_one_sentence(config, tmp_path, refusal, args, sentence):
    assert refusal("train", config, "--work-dir", tmp_path / "w", *args).startswith(sentence)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("loader", "sentence"),
    [
        ("mmstreet.LoadImage", "image {} is truncated (300 bytes, no end marker); fetch it again"),
        ("LoadImageFromFile", "failed to load image: {}; it is damaged or no image: fetch it again"),
    ],
)
def test_a_truncated_picture_ends_training_in_one_sentence(config, tmp_path, refusal, workers, loader, sentence):
    text = config.read_text().replace("LoadImageFromFile", loader)
    config.write_text(re.sub(r"(num_workers\W+)0", rf"\g<1>{workers}", text))
    path = tmp_path / "data/images/train/3.jpg"
    path.write_bytes(path.read_bytes()[:300])
    assert refusal("train", config, "--work-dir", tmp_path / "w") == sentence.format(path)


def test_a_full_disk_is_one_sentence_and_the_log_keeps_the_traceback(config, tmp_path, refusal, monkeypatch):
    def full(obj, path, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("mmstreet.engine.checkpoints.write_bytes", full)
    sentence = refusal("train", config, "--work-dir", tmp_path / "w", "--cfg-options", "train_cfg.max_epochs=1")
    assert sentence.startswith(f"disk full: writing '{tmp_path}/w/epoch_1.pth' failed")
    (log,) = (tmp_path / "w").glob("*/*.log")
    assert log.read_text().rstrip().endswith(f"OSError: [Errno 28] No space left on device: '{tmp_path}/w/epoch_1.pth'")
    assert "Traceback (most recent call last)" in log.read_text()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a = [", "SyntaxError"),
        ("a = b", "NameError: name 'b' is not defined"),
        ("a = 1", "has no 'model'"),
        ("_base_ = './no.py'", "no.py"),
    ],
)
def test_a_config_that_cannot_be_read_is_one_sentence(tmp_path, refusal, text, sentence):
    (tmp_path / "bad.py").write_text(text)
    assert sentence in refusal("train", tmp_path / "bad.py")


def test_dist_train_asks_for_config_and_processes():
    done = subprocess.run(["bash", str(ROOT / "tools/dist_train.sh"), "a.py"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "CONFIG PROCESSES" in done.stderr


def test_learning_rate_batch_size_and_data_have_options(config, tmp_path, run, capsys):
    cfg = Config.fromfile(config)
    cfg.test_dataloader, cfg.test_cfg, cfg.test_evaluator = cfg.val_dataloader, dict(type="TestLoop"), cfg.val_evaluator
    cfg.dump(config)
    moved = shutil.move(tmp_path / "data", tmp_path / "elsewhere")
    run("train", config, "--work-dir", tmp_path / "w", "--epochs", 1, "--lr", 0.5, "--batch-size", 3, "--data", moved)
    (path,) = (tmp_path / "w").glob("*/vis_data/scalars.json")
    assert '"lr": 0.5' in path.read_text()
    assert read_checkpoint(tmp_path / "w/epoch_1.pth")["meta"]["iter"] == 12 // 3
    run("test", config, tmp_path / "w", "--batch-size", 5, "--data", moved)
    capsys.readouterr()
    run("train", config, "--work-dir", tmp_path / "w", "--epochs", 2, "--lr", 0.25, "--data", moved, "--batch-size", 3, "--resume")
    assert "goes on from a learning rate of 0.5, that of '" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--batch-size", 13), "the training set has 12 images, too few for one batch of 13"),
        (("--batch-size", 0), "a batch has at least 1 image, not 0"),
        (("--lr", "nan"), "a learning rate is a number above 0, such as 0.01, not nan"),
        (("--data", "nowhere"), "there is no folder 'nowhere' to read the data set from; correct --data"),
    ],
)
def test_an_option_that_does_not_fit_is_one_sentence(config, tmp_path, refusal, options, said):
    cfg = Config.fromfile(config)
    cfg.train_dataloader.drop_last = True
    cfg.dump(config)
    assert said in refusal("train", config, "--work-dir", tmp_path / "w", *options)


def test_tensorboard_gets_the_scalars_of_the_log(config, tmp_path, run):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run("train", config, "--work-dir", tmp_path / "w", "--epochs", 1, "--log", "tensorboard")
    (file,) = (tmp_path / "w").glob("*/vis_data/events.out.tfevents.*")
    read = events.EventAccumulator(str(file.parent)).Reload()
    assert read.Scalars("mIoU")[-1].value == pytest.approx(logged(tmp_path / "w")["mIoU"], abs=1e-4)


def test_mlflow_and_wandb_get_the_scalars_without_a_server(config, tmp_path, run, monkeypatch):
    tracking = pytest.importorskip("mlflow.tracking")
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    run("train", config, "--work-dir", tmp_path / "w", "--epochs", 1, "--log", "mlflow", "--log", "wandb")
    client = tracking.MlflowClient(f"sqlite:///{tmp_path}/w/mlflow.db")
    (found,) = client.search_runs([client.get_experiment_by_name("mmstreet").experiment_id])
    assert found.data.metrics["mIoU"] == pytest.approx(logged(tmp_path / "w")["mIoU"], abs=1e-4)
    assert list((tmp_path / "w").glob("*/vis_data/wandb/offline-run-*/*.wandb"))
    assert not (tmp_path / "mlruns").exists()
