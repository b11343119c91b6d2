"""``mmstreet torchvision-weights``: the file that it writes, what it says of the rest, and its refusals."""

import pytest
import torch

from mmstreet.cli.commands import main
from mmstreet.models.coco_classes import UNUSED_IDS
from tests.helpers.torchvision_mask_rcnn import MaskRCNN
from tests.helpers.torchvision_models import ResNet


def save(model, path):
    """Weights of the right shapes that take no room: every tensor is one number, repeated."""
    torch.save({key: torch.zeros(()).expand(tensor.shape) for key, tensor in model.state_dict().items()}, path)
    return path


@pytest.fixture
def source(tmp_path):
    with torch.device("meta"):
        return save(MaskRCNN(), tmp_path / "maskrcnn.pth")


def test_a_mask_rcnn_is_renamed_and_the_rest_is_listed(source, tmp_path, run, capsys):
    run("torchvision-weights", "maskrcnn_resnet50_fpn", "--source", source, "--out", tmp_path / "out.pth")
    written = torch.load(tmp_path / "out.pth", weights_only=True)
    assert written["state_dict"]["roi_head.bbox_head.fc_cls.weight"].shape == (81, 1024)
    assert "torchvision" in written["meta"]
    said = capsys.readouterr().out
    assert ", ".join(map(str, UNUSED_IDS)) in said
    assert f"{len(written['state_dict'])} of {len(written['state_dict'])} tensors renamed" in said


def test_the_classes_of_a_table_can_be_picked(source, tmp_path, run):
    run("torchvision-weights", "maskrcnn_resnet50_fpn", "--source", source, "--classes", "bdd100k_ins8", "--out", tmp_path / "out.pth")
    weights = torch.load(tmp_path / "out.pth", weights_only=True)["state_dict"]
    assert weights["roi_head.bbox_head.fc_cls.weight"].shape == (9, 1024)
    assert weights["roi_head.bbox_head.fc_reg.bias"].shape == (32,)
    assert weights["roi_head.mask_head.conv_logits.weight"].shape == (8, 256, 1, 1)


def test_a_dropped_classifier_is_listed(tmp_path, run, capsys):
    with torch.device("meta"):
        source = save(ResNet(18), tmp_path / "resnet.pth")
    run("torchvision-weights", "resnet18", "--source", source, "--out", tmp_path / "out.pth")
    assert "left out: fc.weight\nleft out: fc.bias\n" in capsys.readouterr().out


class Code:
    """What an unpickler would run."""

    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--source", "nowhere.pth"], "--source 'nowhere.pth' does not exist"),
        (["--source", "RESNET", "--classes", "bdd100k_ins8"], "--classes is for maskrcnn_resnet50_fpn"),
        (["--source", "OTHER"], "has none of the shapes that torchvision publishes"),
        (["--source", "TEXT"], "cannot be read"),
        (["--source", "CODE"], "is refused: the checkpoint holds the Python object"),
        (["--source", "RESNET", "--classes", "bdd100k_sem91"], "invalid choice: 'bdd100k_sem91'"),
    ],
)
def test_a_mistake_ends_in_one_sentence(tmp_path, capsys, args, words):
    with torch.device("meta"):
        resnet = save(ResNet(18), tmp_path / "resnet.pth")
    files = {"RESNET": resnet} | {name: tmp_path / f"{name}.pth" for name in ("OTHER", "TEXT", "CODE")}
    torch.save([1, 2], files["OTHER"])
    torch.save({"a": Code()}, files["CODE"])
    files["TEXT"].write_text("hello")
    words_of_user = [str(files.get(arg, arg)) for arg in args]
    try:
        code = main(["torchvision-weights", "resnet18", *words_of_user, "--out", str(tmp_path / "out.pth")])
    except SystemExit as stop:
        code = stop.code
    assert code
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out.pth").exists()
