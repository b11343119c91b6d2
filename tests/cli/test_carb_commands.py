import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from mmstreet.cli.commands import main
from mmstreet.labels import CAMVID11
from mmstreet.models.text_embeddings import load_text_embeddings
from tests.helpers.tiny_clip import WIDTH, save_tiny_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_clip(tmp_path_factory.mktemp("clip"))


def test_text_embeddings_are_written_in_the_order_of_the_table(folder, run, tmp_path, capsys):
    out = tmp_path / "deep" / "camvid.npz"
    run("text-embeddings", "camvid11", "--model", folder, "--word", "signsymbol=traffic sign", "--out", out)
    assert f"11 classes, {WIDTH} entries each" in capsys.readouterr().out
    rows = load_text_embeddings(out, classes=CAMVID11.names, width=WIDTH)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    with np.load(out) as content:
        words = dict(zip(content["classes"].tolist(), content["prompts"].tolist()))
    assert (words["signsymbol"], words["pavement"], words["tree"]) == ("traffic sign", "sidewalk", "tree")


def test_a_word_for_no_class_is_refused(folder, refusal, tmp_path, capsys):
    sentence = refusal("text-embeddings", "camvid11", "--model", folder, "--word", "moon=x", "--out", tmp_path / "x.npz")
    assert "class 'moon' is not in table 'camvid11'" in sentence
    with pytest.raises(SystemExit):
        main(["text-embeddings", "camvid11", "--word", "moon", "--out", str(tmp_path / "x.npz")])
    assert "should be KEY=VALUE" in capsys.readouterr().err


def test_a_clip_without_its_tokenizer_writes_nothing(folder, refusal, tmp_path):
    clip = tmp_path / "clip"
    clip.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(folder / name, clip)
    assert "it should contain tokenizer.json" in refusal("text-embeddings", "camvid11", "--model", clip, "--out", tmp_path / "x.npz")
    assert not (tmp_path / "x.npz").exists()


def test_one_word_for_two_classes_is_refused(folder, refusal, tmp_path):
    sentence = refusal("text-embeddings", "camvid11", "--model", folder, "--word", "road=sky", "--out", tmp_path / "x.npz")
    assert "the text embeddings of 'sky' and 'road' coincide" in sentence
    assert not (tmp_path / "x.npz").exists()


def test_offline_gives_one_sentence(tmp_path):
    command = [
        sys.executable,
        "-m",
        "mmstreet",
        "text-embeddings",
        "camvid11",
        "--model",
        "nobody/no-such-clip",
        "--out",
        str(tmp_path / "x.npz"),
    ]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PATH": "", "HF_HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("mmstreet text-embeddings:")]
    assert len(said) == 1
    assert "'nobody/no-such-clip' is neither a folder nor in the local cache, and the Hugging Face hub" in said[0]
    assert "run `hf download nobody/no-such-clip tokenizer.json" in said[0]


def test_the_plot_of_a_run_is_written(tmp_path, run, refusal, capsys):
    logs = tmp_path / "20260101_000000" / "vis_data"
    logs.mkdir(parents=True)
    keys = ("consistent_ce", "inconsistent_ce", "consistent_area", "inconsistent_area")
    lines = [
        {"iter": i, "step": i, "decode.balance": 1.0 if i < 3 else 0.1, **{f"decode.{key}": float(i) for key in keys}} for i in range(1, 7)
    ]
    (logs / "scalars.json").write_text("\n".join(map(json.dumps, lines)))
    run("carb-curves", tmp_path)
    assert (tmp_path / "balance.png").read_bytes().startswith(b"\x89PNG")
    assert "balance.png" in capsys.readouterr().out
    assert "no run of CARB" in refusal("carb-curves", logs)
