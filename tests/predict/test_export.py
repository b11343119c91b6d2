"""Exported files: equal to the model, complete in themselves, run without OpenMMLab, and refused where they would not be."""

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from mmengine.registry import MODELS
from torch import nn

from mmstreet.__main__ import main
from mmstreet.engine.errors import LaunchError
from mmstreet.predict import Predictor, export
from mmstreet.predict.export import InferenceGraph, compare, export_model
from mmstreet.predict.exported import load_exported
from mmstreet.predict.inference import build_model, load_trained
from tests.helpers.color_model import CLASSES, PALETTE, load_config, read_ids, render_colors, write_model, write_png
from tests.predict.test_predictor import RESIZE

ROOT = Path(__file__).parents[2]
BGR = """
model["data_preprocessor"].update(bgr_to_rgb=False, mean=[1.0, 2.0, 3.0], std=[5.0, 6.0, 7.0])
"""
WIDE = """
model["backbone"] = dict(type="WideColors")
model["decode_head"]["in_channels"] = model["decode_head"]["channels"] = 192
"""
BLOCKED = """
import importlib.util, sys
absent = ("torch", "torchvision", "mmengine", "mmcv", "mmseg", "mmdet")
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
sys.meta_path.insert(0, Block())
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name.partition(".")[0] in absent else find(name, package)
from mmstreet.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@MODELS.register_module(force=True)
class WideColors(nn.Module):
    """Colours in 192 channels, by convolutions that have enough weights to be seen in a file's size."""

    def __init__(self):
        super().__init__()
        self.spread = nn.Conv2d(3, 192, 1, bias=False)
        self.mix = nn.Conv2d(192, 192, 1, bias=False)

    def forward(self, x):
        return (self.mix(self.spread(x)),)


def wide_weights():
    """Each colour in 64 channels that are mixed with weights between 0.9 and 1.1, and summed in the end."""
    torch.manual_seed(0)
    owner = torch.arange(192) % 3
    mine = (owner[:, None] == torch.arange(3)).float()
    mixing = (owner[:, None] == owner).float() * (0.9 + 0.2 * torch.rand(192, 192)) / 64
    return {
        "backbone.spread.weight": mine[..., None, None],
        "backbone.mix.weight": mixing[..., None, None],
        "decode_head.conv_seg.weight": (mine.T * torch.tensor([50.0, 60.0, 70.0])[:, None] / 640)[..., None, None],
        "decode_head.conv_seg.bias": torch.tensor([10.0, 11.0, 12.0]),
    }


IMAGES = [render_colors(i, (40, 60))[0] for i in range(3)]


@pytest.fixture(scope="module", params=["plain", "resizing", "bgr"])
def paths(request, tmp_path_factory):
    change = {"plain": "", "resizing": RESIZE, "bgr": BGR}[request.param]
    return write_model(tmp_path_factory.mktemp(request.param), change=change)


@pytest.mark.parametrize("suffix", [".onnx", ".torchscript"])
def test_the_file_gives_the_predictors_labels_and_probabilities_at_every_size(paths, tmp_path, suffix):
    parity = export_model(load_trained(*paths, device="cpu"), IMAGES, tmp_path / f"m{suffix}")
    assert parity.logits_difference <= 1e-4
    assert parity.labels_equal > 0.999
    assert {shape[0] for shape in parity.inputs} == {1, 3}
    assert len({shape[2:] for shape in parity.inputs}) == 2
    trained, exported = Predictor(*paths, device="cpu", keep_probs=True), Predictor(tmp_path / f"m{suffix}", keep_probs=True)
    assert exported.classes == CLASSES
    assert exported.palette.tolist() == PALETTE
    for size_hw in ((40, 60), (60, 40), (23, 31), (9, 70)):
        image = render_colors(9, size_hw)[0]
        expected, predicted = trained(image), exported(image)
        np.testing.assert_allclose(predicted.probs, expected.probs, atol=1e-4)
        assert (predicted.labels == expected.labels).mean() > 0.999


def test_views_and_batches_work_on_exported_files_too(paths, tmp_path):
    export_model(load_trained(*paths, device="cpu"), IMAGES, tmp_path / "m.onnx")
    settings = dict(keep_probs=True, flip=True, scales=[0.5, 1.0], batch_size=2)
    expected = Predictor(*paths, device="cpu", **settings).predict_all(IMAGES)
    for one, other in zip(Predictor(tmp_path / "m.onnx", **settings).predict_all(IMAGES), expected, strict=True):
        np.testing.assert_allclose(one.probs, other.probs, atol=1e-4)


def test_the_file_says_what_it_is(tmp_path):
    config, checkpoint = write_model(tmp_path, change=RESIZE)
    export_model(load_trained(config, checkpoint, device="cpu"), IMAGES, tmp_path / "m.onnx")
    metadata = json.loads({x.key: x.value for x in onnx.load(str(tmp_path / "m.onnx")).metadata_props}["mmstreet"])
    assert metadata["classes"] == list(CLASSES)
    assert metadata["palette"] == PALETTE
    assert metadata["resize"] == {"scale_wh": [31, 23], "keep_ratio": True, "interpolation": "bilinear"}
    assert (metadata["size_divisor"], metadata["pad_rgb"], metadata["size_hw"]) == (8, [100.0, 110.0, 120.0], None)
    assert (metadata["mean"], metadata["std"]) == ([100.0, 110.0, 120.0], [50.0, 60.0, 70.0])
    assert metadata["parity"]["labels_equal"] == 1.0


def test_a_fixed_size_is_the_only_one_and_images_are_brought_to_it(tmp_path):
    model = load_trained(*write_model(tmp_path), device="cpu")
    export_model(model, IMAGES, tmp_path / "m.onnx", size_hw=(20, 30))
    shape = onnx.load(str(tmp_path / "m.onnx")).graph.input[0].type.tensor_type.shape.dim
    assert [x.dim_value or x.dim_param for x in shape] == ["batch", 3, 20, 30]
    image, truth = render_colors(3, (40, 60), patch=20)
    predicted = Predictor(tmp_path / "m.onnx")(image).labels
    assert (predicted == truth).mean() > 0.95  # but for the borders, which were resized
    with pytest.raises(ValueError, match="takes inputs of 30x20 pixels only; export with a dynamic size"):
        Predictor(tmp_path / "m.onnx", scales=[1.0, 2.0])(image)


def test_a_file_that_computes_something_else_is_not_kept(tmp_path, monkeypatch):
    model = load_trained(*write_model(tmp_path), device="cpu")
    original = export.write_onnx

    def spoil(graph, example, path, metadata, opset):
        graph.mean += 20
        original(graph, example, path, metadata, opset)
        graph.mean -= 20

    monkeypatch.setattr(export, "write_onnx", spoil)
    with pytest.raises(LaunchError, match=r"disagrees with the model: logits differ by up to [0-9.]+ .* nothing was written"):
        export_model(model, IMAGES, tmp_path / "out" / "m.onnx")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("whose", ["the model", "the exported file"])
def test_logits_that_are_not_a_number_are_no_agreement(tmp_path, monkeypatch, whose):
    model = load_trained(*write_model(tmp_path), device="cpu")
    original = export.write_onnx

    def spoil(graph, example, path, metadata, opset):
        graph.mean[0] = float("nan")
        original(graph, example, path, metadata, opset)
        if whose == "the exported file":
            graph.mean[0] = 0

    monkeypatch.setattr(export, "write_onnx", spoil)
    with pytest.raises(LaunchError, match=f"{whose} gives logits that are infinite or not a number"):
        export_model(model, IMAGES, tmp_path / "out" / "m.onnx")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_that_prepares_images_in_another_way_is_not_kept(tmp_path, monkeypatch):
    model = load_trained(*write_model(tmp_path), device="cpu")
    original = InferenceGraph.__init__

    def swapped(self, *settings):
        original(self, *settings)
        self.swap = not self.swap

    monkeypatch.setattr(InferenceGraph, "__init__", swapped)
    with pytest.raises(LaunchError, match="prepares images in another way than the config"):
        export_model(model, IMAGES, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_half_precision_halves_the_weights_and_keeps_the_labels(tmp_path):
    config, checkpoint = write_model(tmp_path, change=WIDE)
    torch.save({"state_dict": wide_weights()}, checkpoint)
    model = load_trained(config, checkpoint, device="cpu")
    parity = {p: export_model(model, IMAGES, tmp_path / f"{p}.onnx", precision=p, calibration=IMAGES) for p in ("float32", "half", "int8")}
    bytes_of = {p: (tmp_path / f"{p}.onnx").stat().st_size for p in parity}
    assert bytes_of["half"] < 0.55 * bytes_of["float32"]
    assert bytes_of["int8"] < 0.35 * bytes_of["float32"]
    assert 2 * parity["float32"].logits_difference < parity["half"].logits_difference < 0.01 * parity["half"].logits_largest
    stored = {x.name: onnx.numpy_helper.to_array(x) for x in onnx.load(str(tmp_path / "half.onnx")).graph.initializer}
    assert {array.dtype.name for array in stored.values() if array.size > 100} == {"float16"}
    image, truth = render_colors(7, (31, 45))
    for precision in parity:
        predictor = Predictor(tmp_path / f"{precision}.onnx")
        assert predictor.model.metadata["parity"]["precision"] == precision
        assert (predictor(image).labels == truth).mean() > 0.99, "colours of clear patches survive 8 bits"


def test_an_8_bit_file_needs_calibration_and_only_onnx_has_other_precisions(tmp_path):
    model = load_trained(*write_model(tmp_path), device="cpu")
    with pytest.raises(ValueError, match="needs calibration images"):
        export_model(model, IMAGES, tmp_path / "m.onnx", precision="int8")
    with pytest.raises(ValueError, match=r"cannot be of precision half, only an .onnx file can"):
        export_model(model, IMAGES, tmp_path / "m.torchscript", precision="half")
    for wrong in (["--half", "--int8"], ["--half", "--format", "torchscript"], ["--calibration", "photos"]):
        with pytest.raises(SystemExit):
            main(["export", "a.py", "a.pth", *wrong])


def test_8_bits_that_lose_the_classes_are_refused(tmp_path):
    model = load_trained(*write_model(tmp_path), device="cpu")
    dark = [image // 32 for image in IMAGES]  # ranges of a night that the checked days leave
    with pytest.raises(LaunchError, match="disagrees with the model"):
        export_model(model, IMAGES, tmp_path / "out" / "m.onnx", precision="int8", calibration=dark)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_network_with_pyramid_pooling_and_same_padding_keeps_its_sizes_open(tmp_path):
    change = """
model["backbone"] = dict(type="mmstreet.EfficientNetLite", depth=0, weights=None)
model["decode_head"] = dict(
    type="mmstreet.LadderHead", in_channels=[24, 40, 112, 320], in_index=[0, 1, 2, 3], channels=16, num_classes=3,
    loss_decode=dict(type="CrossEntropyLoss"),
)
"""
    config, checkpoint = write_model(tmp_path, change=change)
    torch.manual_seed(0)
    network = build_model(load_config(config))
    network.init_weights()
    torch.save({"state_dict": network.state_dict()}, checkpoint)
    model = load_trained(config, checkpoint, device="cpu")
    export_model(model, [render_colors(0, (128, 160))[0]], tmp_path / "m.onnx")
    exported, graph = load_exported(tmp_path / "m.onnx", device="cpu"), InferenceGraph(model.model).eval()
    for size_hw in ((33, 47), (96, 320), (301, 200)):
        batch = render_colors(1, size_hw)[0].transpose(2, 0, 1)[None].astype(np.float32)
        with torch.inference_mode():
            np.testing.assert_allclose(exported.run(batch), graph(torch.from_numpy(batch)).numpy(), atol=1e-4)


def test_a_network_that_fixes_sizes_is_told_to_have_one(tmp_path):
    model = load_trained(*write_model(tmp_path), device="cpu")

    class Fixed(nn.Module):
        def forward(self, x):
            height, width = (int(side) for side in x.shape[2:])
            return (x + torch.ones(height, width) * 0,)

    model.model.backbone = Fixed()
    with pytest.raises(LaunchError, match="export with --size"):
        export_model(model, IMAGES, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()
    assert export_model(model, IMAGES, tmp_path / "m.onnx", size_hw=(40, 60)).holds


def test_a_network_that_cannot_be_traced_is_named_with_the_reason(tmp_path):
    model = load_trained(*write_model(tmp_path), device="cpu")

    class Counting(nn.Module):
        def forward(self, x):
            return (x * x.shape[2].bit_length(),)

    model.model.backbone = Counting()
    with pytest.raises(LaunchError, match="EncoderDecoder with FCNHead cannot be exported: 'Tensor' object has no attribute 'bit_length'"):
        export_model(model, IMAGES, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_parity_measures_by_hand(tmp_path):
    model = load_trained(*write_model(tmp_path), device="cpu")
    export_model(model, IMAGES, tmp_path / "m.onnx")
    exported, graph = load_exported(tmp_path / "m.onnx", device="cpu"), InferenceGraph(model.model).eval()
    run = exported.run
    exported.run = lambda batch: run(batch) + np.array([0, 0.5, 0], np.float32)[:, None, None]
    parity = compare(graph, exported, IMAGES, exported.metadata)
    assert parity.logits_difference == pytest.approx(0.5, abs=1e-4)
    assert not parity.holds
    assert parity.logits_largest == pytest.approx(25.5, abs=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('model["test_cfg"] = dict(mode="slide", crop_size=(8, 8), stride=(4, 4))', "sliding windows.*model.test_cfg.mode=whole"),
        ('test_dataloader["dataset"]["pipeline"].insert(1, dict(type="RGB2Gray"))', "has 'RGB2Gray' .* cannot repeat"),
        ('model["data_preprocessor"].update(test_cfg=dict(size=(64, 64)))', "pads to one size"),
    ],
)
def test_what_a_file_cannot_repeat_is_refused(tmp_path, change, message):
    with pytest.raises(LaunchError, match=message):
        export_model(load_trained(*write_model(tmp_path, change=change + "\n"), device="cpu"), IMAGES, tmp_path / "m.onnx")


def test_without_an_image_or_a_known_ending_nothing_is_exported(tmp_path):
    model = load_trained(*write_model(tmp_path), device="cpu")
    with pytest.raises(ValueError, match="needs real images"):
        export_model(model, [], tmp_path / "m.onnx")
    with pytest.raises(ValueError, match=r"must end with .onnx or .torchscript"):
        export_model(model, IMAGES, tmp_path / "m.pt")


@pytest.mark.parametrize("suffix", [".onnx", ".torchscript"])
def test_damaged_and_foreign_files_are_named(tmp_path, suffix):
    path = tmp_path / f"m{suffix}"
    with pytest.raises(FileNotFoundError, match="does not exist; mmstreet export writes one"):
        Predictor(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be read as"):
        Predictor(path)
    if suffix == ".onnx":
        node = onnx.helper.make_node("Identity", ["image"], ["logits"])
        value = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in ("image", "logits")]
        graph = onnx.helper.make_graph([node], "g", value[:1], value[1:])
        onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), str(path))
    else:
        torch.jit.save(torch.jit.script(nn.Identity()), str(path))
    with pytest.raises(ValueError, match="carries no metadata of mmstreet"):
        Predictor(path)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    config, checkpoint = write_model(folder)
    for i, image in enumerate(IMAGES):
        write_png(folder / "images" / f"{i}.png", image)
    done = main(["export", config, checkpoint, "--images", str(folder / "images"), "--count", "2"])
    return done, folder


def test_the_command_writes_beside_the_checkpoint(exported):
    done, folder = exported
    assert done == 0
    assert sorted(x.name for x in folder.glob("colors.*")) == ["colors.onnx", "colors.pth", "colors.py"]


def test_mistakes_of_the_command_are_answered_in_one_line(exported, tmp_path, monkeypatch, capsys):
    folder = exported[1]
    monkeypatch.chdir(tmp_path)  # the config's test set is not there
    assert main(["export", str(folder / "colors.py"), str(folder / "colors.pth")]) == 1
    assert "the test set of" in capsys.readouterr().err
    given = ["export", str(folder / "colors.py"), str(folder / "colors.pth"), "--images", str(folder / "images")]
    assert main([*given, "--out", "m.pb"]) == 1
    assert "must end with .onnx for --format onnx" in capsys.readouterr().err
    for wrong in (["--size", "30"], ["--count", "0"]):
        with pytest.raises(SystemExit):
            main([*given, *wrong])


def test_it_predicts_where_neither_torch_nor_openmmlab_is_installed(exported, tmp_path):
    folder = exported[1]
    command = [
        sys.executable,
        "-c",
        BLOCKED,
        "predict",
        str(folder / "colors.onnx"),
        str(folder / "images"),
        "--out",
        str(tmp_path),
        "--tta",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    for i in range(3):
        predicted = read_ids(tmp_path / "labels" / f"{i}.png")
        np.testing.assert_array_equal(predicted, render_colors(i, (40, 60))[1])


def test_a_config_there_is_answered_with_the_install_line(exported):
    folder = exported[1]
    command = [sys.executable, "-c", BLOCKED, "predict", str(folder / "images"), "--config", "a.py", "--checkpoint", "a.pth"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert "pip install 'mmstreet[light]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_processes_of_torchrun_share_a_folder(exported, tmp_path):
    folder = exported[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "mmstreet", "predict"]
    done = subprocess.run(
        [*command, str(folder / "colors.onnx"), str(folder / "images"), "--out", str(tmp_path)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    did = dict(re.findall(r"\(share (\d) of 2\): (\d) predicted", done.stdout))
    assert sorted(did) == ["1", "2"]
    assert sum(map(int, did.values())) == 3
    assert json.loads((tmp_path / "summary.json").read_text())["done"] == 3


@pytest.mark.parametrize("suffix", [".onnx", ".torchscript"])
def test_a_file_that_cannot_be_written_whole_leaves_an_error_and_nothing_else(tmp_path, suffix):
    """A limit on the size of files stands for a full disk; torch's own writer of TorchScript ends the process there."""
    model = load_trained(*write_model(tmp_path / "model"), device="cpu")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            export_model(model, IMAGES[:1], tmp_path / "out" / f"m{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list((tmp_path / "out").iterdir())
