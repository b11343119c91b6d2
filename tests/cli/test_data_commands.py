"""The commands about data as a user runs them: output, files and exit codes."""

import json

from PIL import Image

from mmstreet.cli.commands import main
from tests.helpers.street_files import make_root, truncate


def test_verification_names_damage_writes_its_files_and_fails(tmp_path, capsys):
    root = make_root(tmp_path / "bdd", "bdd100k_10k", {"train": list("abcd"), "val": ["z"]})
    truncate(root / "images/10k/train/a.jpg")
    assert main(["verify", str(root), "--out", str(tmp_path / "out"), "--workers", "1"]) == 1
    printed = capsys.readouterr().out
    assert "train/a.jpg is truncated" in printed
    assert "1 problem found" in printed
    report = json.loads((tmp_path / "out/dataset.json").read_text())
    assert [p["kind"] for p in report["problems"]] == ["unreadable image"]
    # labels are all class 0, 1, 2, 0: inverse shares 2, 4, 4 over their mean
    assert [round(row["weight"], 4) for row in report["classes"][:3]] == [0.6, 1.2, 1.2]
    assert Image.open(tmp_path / "out/class_pixels.png").width > 300


def test_verification_of_a_sound_data_set_succeeds(tmp_path, run, capsys):
    root = make_root(tmp_path / "bdd", "bdd100k_10k", {"train": ["a"]})
    run("verify", root, "--out", tmp_path / "out", "--workers", 1)
    assert "no problem found" in capsys.readouterr().out


def test_verification_of_nothing_is_one_sentence(tmp_path, refusal):
    assert str(tmp_path) in refusal("verify", tmp_path)


def test_splitting_writes_list_files_and_says_where(tmp_path, run, refusal, capsys):
    root = make_root(tmp_path / "camvid", "camvid11", {"train": list("abcdefgh"), "val": list("yz")})
    run("split", root)
    train, val = f"{root}/splits/train.txt", f"{root}/splits/val.txt"
    assert capsys.readouterr().out.split() == ["train", "8", "images", train, "val", "2", "images", val]
    assert "is another split" in refusal("split", root, "--seed", 9)
