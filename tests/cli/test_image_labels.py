import json

import numpy as np

from mmstreet.mini.writer import MiniSettings, write_mini_dataset


def test_labels_are_made_from_masks_and_described(tmp_path, run, capsys):
    write_mini_dataset(tmp_path / "mini", MiniSettings(train=3, val=0, size_wh=(160, 96)))
    run("image-labels", "masks", tmp_path / "mini", "--out", tmp_path / "made.json", "--workers", 1)
    assert json.loads((tmp_path / "made.json").read_text()) == json.loads((tmp_path / "mini" / "image_labels_train.json").read_text())
    run("image-labels", "describe", f"Mini={tmp_path / 'made.json'}", "--out", tmp_path / "stats")
    assert json.loads((tmp_path / "stats" / "image_labels.json").read_text())["Mini"]["images"] == 3
    assert (tmp_path / "stats" / "image_labels.png").stat().st_size > 10_000
    assert "| Mini |" in capsys.readouterr().out


def test_a_bad_array_file_gives_one_sentence(tmp_path, refusal):
    np.save(tmp_path / "l.npy", np.ones(3))
    sentence = refusal("image-labels", "npy", tmp_path / "l.npy", "--classes", "cityscapes19", "--out", tmp_path / "o.json")
    assert "is not read as image-level labels" in sentence
    assert not (tmp_path / "o.json").exists()
