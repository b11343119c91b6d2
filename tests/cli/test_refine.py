"""``mmstreet refine``: saved predictions in, refined maps and a report out; resumable, shared out, with masks kept on the disk."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmstreet.cli.commands import main
from mmstreet.predict.refining import read_prediction_file, with_cache
from mmstreet.refine.refiners import VoteRefiner
from tests.helpers.color_model import read_ids
from tests.helpers.refine_oracles import random_prediction
from tests.hostile.predictions import png_of_size

CLASSES = "road,car,sky"
SIZE_HW = (24, 36)


@pytest.fixture
def streets(tmp_path, monkeypatch):
    """Four images, two of them in a subfolder, with probabilities or class ids, and a refiner config."""
    monkeypatch.chdir(tmp_path)
    for name in ("RANK", "WORLD_SIZE", "SLURM_ARRAY_TASK_ID", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    rng = np.random.default_rng(0)
    given = {}
    for i, name in enumerate(("a", "b", "town/c", "town/d")):
        for root in ("images", "predictions"):
            (tmp_path / root / name).parent.mkdir(parents=True, exist_ok=True)
        image = np.kron(rng.integers(0, 256, (6, 9, 3)), np.ones((4, 4, 1))).astype(np.uint8)
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), image[..., ::-1])
        probs = random_prediction(rng, 3, SIZE_HW)
        if i == 0:
            np.save(tmp_path / "predictions" / name, probs)
        elif i == 1:
            np.savez_compressed(tmp_path / "predictions" / name, probs=probs.astype(np.float16))
        else:
            cv2.imwrite(str(tmp_path / "predictions" / f"{name}.png"), probs.argmax(0).astype(np.uint8))
        given[name] = image, probs.astype(np.float16).astype(np.float32) if i == 1 else probs if i == 0 else probs.argmax(0)
    (tmp_path / "grow.py").write_text(
        "refiner = dict(type='mmstreet.VoteRefiner', source=dict(type='mmstreet.SuperpixelMasks', area_px=30), protect=[])\n"
    )
    return given


def run(*more):
    return main(["refine", "images", "predictions", "--refine", "grow.py", "--classes", CLASSES, "--out", "out", *more])


def read_summary():
    return json.loads(Path("out/summary.json").read_text())


def read(name):
    return read_ids(f"out/labels/{name}.png")


def test_every_image_is_refined_as_in_python_and_reported(streets, capsys):
    assert run() == 0
    refine = VoteRefiner(classes=CLASSES.split(","), source=dict(type="mmstreet.SuperpixelMasks", area_px=30), protect=[])
    changed = 0
    for name, (image, prediction) in streets.items():
        expected, record = refine(image, prediction)
        np.testing.assert_array_equal(read(name), expected)
        changed += record.changed_px
    summary = read_summary()
    assert (summary["sources"], summary["done"], summary["pending"], summary["failed"]) == (4, 4, 0, [])
    assert summary["changes"]["changed_px"] == changed > 0
    assert sum(row["lost_px"] for row in summary["changes"]["per_class"].values()) == changed
    assert summary["changes"]["regions"]["accepted"] > 0
    assert "4 refined, 0 finished before, 0 failed" in capsys.readouterr().out


def test_a_second_run_does_nothing_and_another_refiner_reuses_the_masks(streets, tmp_path, monkeypatch, capsys):
    run()
    first = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/labels/**/*.png")}
    (tmp_path / "out/records/b.json").unlink()  # as after a stop
    assert run() == 0
    assert "1 refined, 3 finished before" in capsys.readouterr().out
    now = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/labels/**/*.png")}
    assert [path.name for path in first if first[path] != now[path]] == ["b.png"]
    assert len(list(tmp_path.glob("out/masks/**/*.npz"))) == 4

    def refuse(self, image):
        raise AssertionError("the masks are there already")

    monkeypatch.setattr("mmstreet.refine.superpixels.SuperpixelMasks.propose", refuse)
    text = (tmp_path / "grow.py").read_text()
    (tmp_path / "grow.py").write_text(text.replace("protect=[]", "protect=[], purity=0.8"))
    assert run("--overwrite") == 0


def test_results_of_another_refiner_are_not_mixed(streets, tmp_path, capsys):
    run()
    (tmp_path / "grow.py").write_text((tmp_path / "grow.py").read_text().replace("30", "50"))
    assert run() == 1
    assert "holds predictions with other settings (settings:" in capsys.readouterr().err


def test_processes_share_the_folder_and_the_last_one_leaves_the_whole_report(streets, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("1", "0"):
        monkeypatch.setenv("RANK", rank)
        assert run() == 0
        assert read_summary()["done"] == 4
    both = [read(name) for name in streets]
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("WORLD_SIZE")
    assert run("--overwrite", "--no-cache") == 0
    for name, before in zip(streets, both):
        np.testing.assert_array_equal(read(name), before)


def test_a_bad_file_is_named_and_the_rest_goes_on(streets, tmp_path, capsys):
    (tmp_path / "predictions/town/d.png").unlink()
    np.save(tmp_path / "predictions/a.npy", np.zeros((3, 5, 5), np.float32))
    (tmp_path / "predictions/b.npz").write_bytes(b"PK")
    assert run() == 1
    said = capsys.readouterr().err
    assert "no prediction for 'town/d' in 'predictions'; expected town/d.npy, town/d.npz, town/d.png" in said
    assert "resize the probabilities to the image" in said
    assert "b.npz" in said
    summary = read_summary()
    assert (summary["done"], len(summary["failed"])) == (1, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["images", "predictions", "--refine", "grow.py", "--out", "out"], "does not say which classes"),
        (
            ["images", "nowhere", "--refine", "grow.py", "--out", "out", "--classes", "a,b"],
            "folder of predictions 'nowhere' does not exist",
        ),
        (["images", "predictions", "--refine", "no.py", "--out", "out", "--classes", "a,b"], "refiner config 'no.py' does not exist"),
        (["nothing", "predictions", "--refine", "grow.py", "--out", "out", "--classes", "a,b"], "'nothing' does not exist"),
    ],
)
def test_a_bad_command_gets_one_sentence(streets, capsys, arguments, message):
    assert main(["refine", *arguments]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_other_predictions_are_not_taken_for_finished(streets, tmp_path, capsys):
    assert run() == 0
    path = tmp_path / "predictions/town/d.png"
    cv2.imwrite(str(path), (read_ids(path) + 1) % 3)
    capsys.readouterr()
    assert run() == 0
    assert "1 refined, 3 finished before" in capsys.readouterr().out
    shutil.copytree("predictions", "others")
    for file in Path("others").rglob("d.png"):
        cv2.imwrite(str(file), np.zeros(SIZE_HW, np.uint8))
    before = read("town/d")
    arguments = ["images", "others", "--refine", "grow.py", "--classes", CLASSES, "--out", "out"]
    assert main(["refine", *arguments]) == 1
    assert "holds the result 'town/d' of" in capsys.readouterr().err
    np.testing.assert_array_equal(read("town/d"), before)
    assert main(["refine", *arguments, "--overwrite"]) == 0
    assert (read("town/d") == 0).all()


def test_the_folder_of_predictions_is_not_overwritten(streets, capsys):
    assert (
        main(["refine", "images", "predictions", "--refine", "grow.py", "--classes", CLASSES, "--out", "predictions", "--overwrite"]) == 1
    )
    assert "is the folder of predictions" in capsys.readouterr().err


def test_a_changed_base_of_a_refiner_config_is_another_setting(streets, tmp_path, capsys):
    (tmp_path / "grow.py").rename(tmp_path / "base.py")
    (tmp_path / "grow.py").write_text("_base_ = './base.py'\n")
    assert run() == 0
    (tmp_path / "base.py").write_text((tmp_path / "base.py").read_text().replace("area_px=30", "area_px=40"))
    assert run() == 1
    assert "other settings (settings: " in capsys.readouterr().err


def test_classes_come_from_the_folder_of_a_prediction(streets, tmp_path):
    (tmp_path / "predictions/run.json").write_text(json.dumps({"classes": CLASSES.split(",")}))
    assert main(["refine", "images", "predictions", "--refine", "grow.py", "--out", "out", "--no-overlays"]) == 0
    assert not (tmp_path / "out/overlays").exists()


def test_files_that_hold_no_prediction_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "color.png"), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="one channel"):
        read_prediction_file(tmp_path / "color.png")
    np.savez(tmp_path / "two.npz", a=np.zeros(3), b=np.zeros(3))
    with pytest.raises(ValueError, match="name the probabilities 'probs'"):
        read_prediction_file(tmp_path / "two.npz")


def test_a_refiner_without_a_source_has_nothing_to_keep():
    crf = dict(type="mmstreet.CRFRefiner", iterations=3)
    assert with_cache(crf, "masks") == crf
    assert with_cache(dict(type="mmstreet.SAMRefiner", weights="x"), "masks")["cache"] == "masks"


def test_damaged_predictions_and_mask_caches_end_no_folder(streets, tmp_path, capsys):
    assert run() == 0
    expected = {name: read(name) for name in streets}
    for path in Path("out/masks").rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:-30] + bytes(30))
    data = Path("predictions/b.npz").read_bytes()
    Path("predictions/b.npz").write_bytes(data[:200] + bytes([data[200] ^ 255]) + data[201:])
    Path("predictions/a.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00".ljust(128, b"("))
    Path("predictions/town/d.png").write_bytes(png_of_size(65535, 65535))
    capsys.readouterr()
    assert run("--overwrite") == 1
    said = capsys.readouterr()
    assert "1 refined, 0 finished before, 3 failed" in said.out
    for words in ("a.npy' cannot be read as numpy's .npy", "b.npz' cannot be read as numpy's .npz", "d.png is 65535x65535"):
        assert words in said.err
    np.testing.assert_array_equal(read("town/c"), expected["town/c"])


@pytest.mark.parametrize("text", ["{", "[]", '{"classes": 3}', '{"classes": []}', '{"classes": ["a"], "threshold": 7}'])
def test_a_damaged_run_json_of_the_predictions_gets_one_sentence(streets, capsys, text):
    Path("predictions/run.json").write_text(text)
    assert main(["refine", "images", "predictions", "--refine", "grow.py", "--out", "out"]) == 1
    said = capsys.readouterr().err
    assert "run.json' is damaged" in said
    assert said.count("\n") == 1


def test_probabilities_of_a_binary_head_start_from_the_labels_of_its_threshold(streets, tmp_path):
    probs = np.random.default_rng(0).uniform(0.05, 0.95, SIZE_HW)
    np.save("predictions/a.npy", np.stack([1 - probs, probs]))
    Path("predictions/run.json").write_text(json.dumps({"classes": ["ground", "water"], "threshold": 0.3}))
    Path("same.py").write_text(
        "refiner = dict(type='mmstreet.VoteRefiner', source=dict(type='mmstreet.SuperpixelMasks', area_px=9), purity=1.1)\n"
    )
    assert main(["refine", "images/a.png", "predictions", "--refine", "same.py", "--out", "out"]) == 0
    np.testing.assert_array_equal(read("a"), probs > 0.3)
