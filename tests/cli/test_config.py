from mmengine.config import Config

from mmstreet.cli.commands import main as run
from mmstreet.files.config_files import find_config, shipped_names


def main(argv):
    return run(["config", *argv])


def test_without_a_name_it_lists_every_config_with_its_question(capsys):
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0::2] == [*shipped_names(), *(f"refine/{name}" for name in shipped_names(refiners=True))]
    assert all("?" in line for line in lines[1::2])


def test_what_it_prints_is_the_config(capsys, tmp_path):
    assert main(["deeplabv3_mini_v1", "--cfg-options", "train_cfg.max_epochs=3"]) == 0
    (tmp_path / "printed.py").write_text(capsys.readouterr().out)
    printed, ours = Config.fromfile(tmp_path / "printed.py"), Config.fromfile(find_config("deeplabv3_mini_v1"))
    ours.train_cfg.max_epochs = 3
    assert printed.to_dict() == {key: value for key, value in ours.to_dict().items() if not key.startswith("_")}


def test_the_difference_is_to_what_it_is_a_variant_of_or_to_another(capsys):
    assert main(["deeplabv3_bdd_v2_ce", "--diff"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("changes against deeplabv3_bdd_v2.py:\nmodel.auxiliary_head.loss_decode.dice_weight\n  - 0.3\n  + 1.0\n")
    assert "train_cfg.max_epochs\n  - 10\n  + 9\n" in out
    assert main(["deeplabv3_mini_v1", "--diff", "configs/deeplabv3_mini_v1.py"]) == 0
    assert capsys.readouterr().out == "no change against configs/deeplabv3_mini_v1.py\n"


def test_a_config_of_ones_own_is_compared_with_what_it_inherits(capsys, tmp_path):
    (tmp_path / "base.py").write_text("model = dict(type='M', a=1)\n")
    (tmp_path / "leaf.py").write_text("_base_ = './base.py'\nmodel = dict(a=2)\n")
    assert main([str(tmp_path / "leaf.py"), "--diff"]) == 0
    assert capsys.readouterr().out == "changes against base.py:\nmodel.a\n  - 1\n  + 2\n"
    assert main([str(tmp_path / "base.py"), "--diff"]) == 1
    assert "inherits nothing; say what to compare it with" in capsys.readouterr().err


def test_an_unknown_config_ends_in_one_sentence(capsys):
    assert main(["deeplabv3_bdd_v9"]) == 1
    assert capsys.readouterr().err.startswith("mmstreet config: config 'deeplabv3_bdd_v9' does not exist")
