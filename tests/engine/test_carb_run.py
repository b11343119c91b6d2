"""CARB from config to checkpoint: dual path with a tiny random CLIP, interrupted and resumed; masks first, then training without CLIP."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from mmstreet.cli.commands import main
from mmstreet.engine.launch import build_runner, load_config
from mmstreet.engine.safe_load import read_checkpoint
from mmstreet.labels import CAMVID11
from mmstreet.models.text_embeddings import save_text_embeddings
from mmstreet.report.balance_plot import plot_balance
from tests.helpers.plain_config import plain_config_text  # noqa: F401
from tests.helpers.street_files import make_root
from tests.helpers.tiny_clip import WIDTH, save_tiny_clip
from tests.helpers.tiny_runs import stop_workers

CONFIGS = Path(__file__).parents[2] / "configs"
SIZE = (64, 48)
_RUNS = itertools.count()


@pytest.fixture(autouse=True)
def _fast(plain_config_text):  # noqa: F811
    pass


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """CamVid's layout with noise for images, labels of the images, a tiny CLIP and text embeddings."""
    folder = make_root(tmp_path_factory.mktemp("camvid"), "camvid11", {"train": list("abcd"), "val": ["e"]}, hw=SIZE[::-1])
    rng = np.random.default_rng(0)
    for path in folder.rglob("*.jpg"):
        Image.fromarray(rng.integers(0, 255, (*SIZE[::-1], 3), dtype=np.uint8)).save(path)
    labels = {"a": [0, 1, 3], "b": [3, 8], "c": [0, 5, 9, 10], "d": []}
    (folder / "image_labels_train.json").write_text(json.dumps({"classes": CAMVID11.names, "labels": labels}))
    save_tiny_clip(folder / "clip")
    rows = F.normalize(torch.randn(11, WIDTH, generator=torch.Generator().manual_seed(0)), dim=1).numpy()
    save_text_embeddings(folder / "text.npz", rows, classes=CAMVID11.names, prompts=CAMVID11.names, model="none")
    return folder


def run(root, work_dir, *, dual, resume=False, stop_at=6):
    """Train to iteration ``stop_at`` of 6, warm-up 2, with a checkpoint every 3, and return the last checkpoint."""
    loader = dict(num_workers=0, persistent_workers=False, batch_size=2)
    embeddings = dict(text_embeddings=str(root / "text.npz"))
    small = {"backbone.stem_channels": 8, "backbone.base_channels": 8, "decode_head.in_channels": 32, "decode_head.channels": WIDTH}
    options = {
        **{f"train_dataloader.{key}": value for key, value in loader.items()},
        **{f"train_dataloader.dataset.{key}": value for key, value in dict(data_root=str(root)).items()},
        "val_dataloader": None,
        "val_cfg": None,
        "val_evaluator": None,
        **{f"model.{key}": value for key, value in small.items()},
        "model.data_preprocessor.size": SIZE[::-1],
        "model.decode_head.loss_decode.warmup_iters": 2,
        f"train_dataloader.dataset.pipeline.{1 if dual else 2}.scale": SIZE,
        "default_hooks.checkpoint.interval": 3,
        "default_hooks.checkpoint.save_best": None,
        "default_hooks.logger.interval": 1,
        "train_cfg.max_iters": 6,
        **({f"model.decode_head.{key}": value for key, value in embeddings.items()} if dual else {}),
        **({f"model.teacher.{key}": value for key, value in dict(embeddings, model=str(root / "clip")).items()} if dual else {}),
    }
    name = "carb_camvid_small" if dual else "carb_camvid_small_single"
    cfg = load_config(CONFIGS / f"{name}.py", work_dir=work_dir, cfg_options=options, resume=resume or None)
    cfg.experiment_name = cfg.visualizer.name = f"carb{next(_RUNS)}"  # runs of one process would share mmengine's logs
    if stop_at < 6:
        cfg.custom_hooks.append(dict(type="StopAfter", iterations=stop_at))
    runner = build_runner(cfg)
    if stop_at < 6:
        with pytest.raises(KeyboardInterrupt):
            runner.train()
    else:
        runner.train()
    stop_workers(runner)
    return read_checkpoint((Path(work_dir) / "last_checkpoint").read_text())


def test_an_interrupted_dual_path_goes_on_exactly(root, tmp_path):
    whole = run(root, tmp_path / "whole", dual=True)["state_dict"]
    run(root, tmp_path / "cut", dual=True, stop_at=3)
    resumed = run(root, tmp_path / "cut", dual=True, resume=True)["state_dict"]
    assert whole.keys() == resumed.keys()
    assert [key for key, value in whole.items() if not torch.equal(value, resumed[key])] == []
    assert whole["decode_head.loss_decode.iterations"] == 6
    assert whole["decode_head.loss_decode.queue_length"] == 4
    logs = {
        name: [json.loads(line) for path in sorted((tmp_path / name).glob("*/vis_data/scalars.json")) for line in path.open()]
        for name in ("whole", "cut")
    }
    for key in ("decode.balance", "decode.loss_carb", "decode.consistent_area"):
        assert [line[key] for line in logs["whole"]] == [line[key] for line in logs["cut"]], key
    assert [line["decode.balance"] for line in logs["whole"][:2]] == [1, 1]
    assert plot_balance(tmp_path / "cut", tmp_path / "balance.png").stat().st_size > 10_000


def test_masks_made_by_the_tool_train_the_single_path(root, tmp_path, capsys):
    out = root / "pseudo_masks" / "train"
    command = [
        "pseudo-masks",
        "files",
        str(root),
        "--image-labels",
        str(root / "image_labels_train.json"),
        "--layout",
        "camvid11",
        "--table",
        "camvid11",
    ]
    command += ["--embeddings", str(root / "text.npz"), "--model", str(root / "clip"), "--out", str(out)]
    assert main(command) == 0
    assert "4 masks written, 0 were there" in capsys.readouterr().out
    masks = {key: np.asarray(Image.open(out / f"{key}.png")) for key in "abcd"}
    assert masks["a"].shape == SIZE[::-1]
    assert set(np.unique(masks["a"])) <= {0, 1, 3}
    assert (masks["d"] == 255).all()
    (out / "b.png").unlink()
    assert main(command) == 0
    assert "1 masks written, 3 were there" in capsys.readouterr().out
    assert (np.asarray(Image.open(out / "b.png")) == masks["b"]).all()
    assert main([*command, "--view", "both"]) == 1
    assert "made with other settings" in capsys.readouterr().err
    state = run(root, tmp_path / "single", dual=False)["state_dict"]
    assert state["decode_head.loss_decode.iterations"] == 6


def test_the_four_views_are_drawn(root, tmp_path, capsys):
    command = [
        "pseudo-masks",
        "picture",
        str(root / "images" / "train" / "a.jpg"),
        "--classes",
        "sky,road",
        "--table",
        "camvid11",
        "--embeddings",
    ]
    command += [str(root / "text.npz"), "--model", str(root / "clip"), "--out", str(tmp_path / "views.png")]
    assert main(command) == 0
    page = np.asarray(Image.open(tmp_path / "views.png"))
    colors = {tuple(CAMVID11.palette[CAMVID11.index(name)]) for name in ("sky", "road")}
    shown = {tuple(color) for color in page[20:260, 370:1090].reshape(-1, 3).tolist()}
    assert colors & shown
    command[4] = "sky,moon"
    assert main(command) == 1
    assert "class 'moon' is not in table 'camvid11'" in capsys.readouterr().err


def test_a_plot_of_a_run_without_carb_says_so(tmp_path):
    with pytest.raises(ValueError, match="no run of CARB"):
        plot_balance(tmp_path, tmp_path / "x.png")
