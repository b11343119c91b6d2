"""Models of transformers as segmentors: their own logits, classes by name, trained with our losses and with their own."""

import json
import shutil

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from safetensors.torch import load_file

from mmstreet.labels import get_table
from mmstreet.models.transformers_hub import read_processor
from mmstreet.predict import Predictor
from tests.helpers.tiny_transformers import CITYSCAPES, FAMILIES, SIDE, UNIVERSAL, write_tiny

transformers = pytest.importorskip("transformers")
STREET = get_table("bdd100k_sem19").names
LOSSES = [dict(type="mmseg.CrossEntropyLoss", avg_non_ignore=True), dict(type="mmstreet.TverskyLoss")]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    root, made = tmp_path_factory.mktemp("tiny"), {}

    def folder(family):
        if family not in made:
            made[family] = write_tiny(root / family, family)
        return made[family]

    return folder


def build(folder, **settings):
    model = MODELS.build(dict(dict(type="mmstreet.TransformersSegmentor", model=str(folder), classes="bdd100k_sem19"), **settings))
    model.init_weights()
    return model.eval()


def theirs(folder, images):
    """Logits, or scores of a universal model, as the library computes them."""
    kind = transformers.AutoConfig.from_pretrained(folder).model_type
    universal = kind in ("mask2former", "maskformer", "oneformer", "eomt")
    auto = transformers.AutoModelForUniversalSegmentation if universal else transformers.AutoModelForSemanticSegmentation
    more = {}
    if kind == "oneformer":
        words = transformers.CLIPTokenizer.from_pretrained(folder)(
            ["the task is semantic"], padding="max_length", max_length=9, truncation=True
        )
        more["task_inputs"] = torch.tensor(words.input_ids * len(images)).float() * torch.tensor(words.attention_mask * len(images))
    with torch.no_grad():
        out = auto.from_pretrained(folder).eval()(pixel_values=images, **more)
    if not universal:
        return out.logits
    classes, masks = out.class_queries_logits.softmax(-1)[:, :, :-1], out.masks_queries_logits.sigmoid()
    return (classes[:, :, :, None, None] * masks[:, :, None]).sum(1)


def samples(labels):
    return [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_the_librarys_own(tiny, family):
    images = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    model, expected = build(tiny(family)), theirs(tiny(family), images)
    with torch.no_grad():
        found = model.decode_head(model.backbone(images))
        logits = model.encode_decode(images, [dict(img_shape=images.shape[2:])])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert expected.std((0, 2, 3)).min() > 0
    larger = torch.nn.functional.interpolate(expected, size=(SIDE, SIDE), mode="bilinear")
    torch.testing.assert_close(logits, (larger + 1e-4).log() if family in UNIVERSAL else larger, atol=1e-5, rtol=1e-5)
    assert family not in UNIVERSAL or torch.equal(logits.argmax(1), larger.argmax(1)), "the class is the one that they would choose"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_learns_with_our_losses(tiny, family):
    model = build(tiny(family), loss_decode=LOSSES).train()
    labels = torch.randint(0, 19, (2, SIDE, SIDE))
    labels[:, :9] = 255
    losses = model.loss(torch.randn(2, 3, SIDE, SIDE), samples(labels))
    assert {"decode.loss_ce", "decode.loss_tversky"} <= losses.keys()
    sum(value for name, value in losses.items() if "loss" in name).backward()
    learning = {name: value.grad is not None for name, value in model.named_parameters()}
    # Some networks have layers after the last that they read; the configs say find_unused_parameters for them.
    assert sum(learning.values()) > 0.75 * len(learning)
    assert all(grown for name, grown in learning.items() if "classifier" in name or "predictor" in name)


@pytest.mark.parametrize("family", UNIVERSAL)
def test_universal_models_learn_with_their_own_loss(tiny, family):
    torch.manual_seed(0)
    model = build(tiny(family), head="new", classes=("road", "car", "tree"), pretrained=False).train()
    labels = torch.zeros(2, SIDE, SIDE, dtype=torch.long)
    labels[:, 32:], labels[:, :, :8] = 2, 255
    images = torch.where(labels[:, None] == 2, 1.5, -1.5).repeat(1, 3, 1, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    history = []
    for _ in range(12):
        losses = model.loss(images, samples(labels))
        assert losses.keys() == {"decode.loss_queries", "decode.acc_seg"}
        optimizer.zero_grad()
        losses["decode.loss_queries"].backward()
        optimizer.step()
        history.append(losses["decode.loss_queries"].item())
    assert history[-1] < 0.8 * history[0]


@pytest.mark.parametrize("family", UNIVERSAL)
def test_images_without_labels_give_no_loss_of_queries(tiny, family):
    model = build(tiny(family)).train()
    labels = torch.full((2, SIDE, SIDE), 255)
    loss = model.loss(torch.randn(2, 3, SIDE, SIDE), samples(labels))["decode.loss_queries"]
    loss.backward()
    assert loss.item() == 0
    labels[0, :20] = 3
    assert model.loss(torch.randn(2, 3, SIDE, SIDE), samples(labels))["decode.loss_queries"].item() > 0


def test_classes_are_matched_by_name_whatever_their_order(tiny, tmp_path):
    order = np.random.default_rng(0).permutation(19)
    folder = shutil.copytree(tiny("segformer"), tmp_path / "shuffled")
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {str(i): CITYSCAPES[j].upper() for i, j in enumerate(order)}
    (folder / "config.json").write_text(json.dumps(config))
    images = torch.randn(1, 3, SIDE, SIDE)
    with torch.no_grad():
        given, shuffled = (model.decode_head(model.backbone(images)) for model in (build(tiny("segformer")), build(folder)))
    for i, j in enumerate(order):
        torch.testing.assert_close(shuffled[:, j], given[:, i])


@pytest.mark.parametrize("family", ["segformer", "mask2former"])
def test_several_classes_that_stand_for_one_add_up_and_unknown_ones_lose(tmp_path, family):
    names = ("tree", "road, route", "car", "van", "bed ", "palm, palm tree")
    model = build(write_tiny(tmp_path, family, names))
    assert model.decode_head.unknown == [n for n in STREET if n not in ("vegetation", "road", "car")]
    images = torch.randn(1, 3, SIDE, SIDE)
    with torch.no_grad():
        own = theirs(tmp_path, images)
        found = model.decode_head.finish(model.decode_head(model.backbone(images)))
    parts = own.exp() if family == "segformer" else own
    expected = torch.stack([parts[:, 1], parts[:, [0, 5]].sum(1), parts[:, [2, 3]].sum(1)], 1)
    known = [STREET.index(n) for n in ("road", "vegetation", "car")]
    joined = found[:, known].exp() - (0 if family == "segformer" else 1e-4)
    torch.testing.assert_close(joined, expected, atol=1e-4, rtol=1e-4)
    assert set(found.argmax(1).unique().tolist()) <= set(known)
    with pytest.raises(ValueError, match=r"no class for sidewalk, building.*train with head='new'"):
        build(tmp_path, loss_decode=LOSSES).loss(images, samples(torch.zeros(1, SIDE, SIDE, dtype=torch.long)))


def test_a_universal_models_own_loss_cannot_learn_joined_classes(tmp_path):
    model = build(write_tiny(tmp_path, "mask2former", ("tree", "palm", "road")), classes=("vegetation", "road"))
    with pytest.raises(ValueError, match="its own loss cannot learn; train with head='new'"):
        model.loss(torch.zeros(1, 3, SIDE, SIDE), samples(torch.zeros(1, SIDE, SIDE, dtype=torch.long)))


def test_a_new_head_has_the_classes_of_the_table_and_keeps_every_other_weight(tiny):
    model = build(tiny("segformer"), head="new", classes="camvid11")
    assert (model.num_classes, model.backbone.network.config.num_labels) == (11, 11)
    saved = transformers.AutoModelForSemanticSegmentation.from_pretrained(tiny("segformer")).state_dict()
    different = [name for name, value in model.backbone.network.state_dict().items() if not torch.equal(value, saved[name])]
    assert different == ["decode_head.classifier.weight", "decode_head.classifier.bias"]


@pytest.mark.parametrize(("family", "mean", "std", "rgb"), [
    ("segformer", [123.675, 116.28, 103.53], [58.395, 57.12, 57.375], True),
    ("beit", [127.5] * 3, [127.5] * 3, True),
    ("mobilevit", [0.0] * 3, [255.0] * 3, False),
])  # fmt: skip
def test_colours_are_normalised_as_the_models_processor_does(tiny, family, mean, std, rgb):
    prep = build(tiny(family), data_preprocessor=dict(size=(SIDE, SIDE))).data_preprocessor
    pixel = torch.tensor([10, 20, 200], dtype=torch.uint8)  # BGR, as loaders give it
    batch = prep(dict(inputs=[pixel[:, None, None].expand(3, SIDE, SIDE)], data_samples=[SegDataSample()]), False)["inputs"]
    seen = pixel.flip(0) if rgb else pixel
    expected = (seen.double() - torch.tensor(mean)) / torch.tensor(std)
    torch.testing.assert_close(batch[0, :, 5, 5].double(), expected, atol=1e-5, rtol=1e-5)


def test_a_model_of_one_size_says_which(tiny):
    with pytest.raises(ValueError, match=r"takes inputs of 64x64 pixels, not 96x80: .*test_cfg.mode='slide'"):
        build(tiny("eomt")).backbone(torch.zeros(1, 3, 80, 96))
    with pytest.raises(ValueError, match=r"takes square inputs, not 96x80: .*test_cfg.mode='slide'"):
        build(tiny("dpt")).backbone(torch.zeros(1, 3, 80, 96))
    assert build(tiny("dpt")).backbone(torch.zeros(1, 3, 96, 96))[0].shape[1] == 19


@pytest.mark.parametrize(("content", "size"), [
    (dict(feature_extractor_type="SegformerFeatureExtractor", size=512), {"height": 512, "width": 512}),
    (dict(feature_extractor_type="MaskFormerFeatureExtractor", size=800, max_size=1333), {"shortest_edge": 800, "longest_edge": 1333}),
    (dict(image_processor_type="EomtImageProcessor", size={"shortest_edge": 512, "longest_edge": None}),
     {"shortest_edge": 512, "longest_edge": None}),
    (dict(image_processor_type="SegformerImageProcessor", size={"height": 512, "width": 1024}, do_resize=False), None),
])  # fmt: skip
def test_sizes_of_published_processor_files_are_understood(tmp_path, content, size):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(content))
    assert read_processor(tmp_path)["size"] == size


def test_published_layouts_with_older_files_load_too(tiny, tmp_path):
    folder = shutil.copytree(tiny("segformer"), tmp_path / "old")
    images = torch.randn(1, 3, SIDE, SIDE)
    expected = theirs(folder, images)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    processor = folder / "preprocessor_config.json"
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": json.loads(processor.read_text())}))
    processor.unlink()
    model = build(folder)
    with torch.no_grad():
        torch.testing.assert_close(model.decode_head(model.backbone(images)), expected)
    assert model.data_preprocessor.mean.flatten().tolist() == pytest.approx([123.675, 116.28, 103.53])


def test_mistakes_are_one_sentence(tiny, tmp_path, monkeypatch):
    def refused(match, kind=OSError, **settings):
        with pytest.raises(kind, match=match):
            build(**dict(dict(folder=tmp_path / "m"), **settings))

    refused("does not exist; give a folder", folder="./gone")
    (tmp_path / "m").mkdir()
    refused("has no config.json")
    shutil.copytree(tiny("segformer"), tmp_path / "m", dirs_exist_ok=True)
    refused("head must be", ValueError, head="fresh")
    refused("none of the model's 19 classes", ValueError, classes=("kitchen", "sofa"))
    weights = (tmp_path / "m/model.safetensors").read_bytes()
    (tmp_path / "m/model.safetensors").write_bytes(weights[: len(weights) // 2])
    refused("is damaged or was downloaded in part only: fetch it again")
    (tmp_path / "m/model.safetensors").unlink()
    refused("holds no such model")
    (tmp_path / "m/model.safetensors").write_bytes(weights)
    (tmp_path / "m/preprocessor_config.json").unlink()
    refused("holds no such model.*preprocessor_config.json")
    (tmp_path / "m/config.json").write_text('{"model_type": "bert"}')
    refused("is of type 'bert', expected one of the semantic", ValueError)
    (tmp_path / "m/config.json").write_text("{")
    refused("is damaged or was downloaded in part")


def test_a_gated_or_unknown_name_says_what_to_do(monkeypatch):
    import huggingface_hub

    class GatedRepoError(OSError):
        pass

    class ClientError(Exception):
        """As httpx raises it: no OSError."""

    def info(self, name, **more):
        raise GatedRepoError(name) if "gated" in name else ClientError("no route")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", info)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(OSError, match=r"'some/gated' is gated: accept its terms at https://huggingface.co/some/gated, log in"):
        build("some/gated")
    with pytest.raises(OSError, match=r"'some/model' is neither a folder .* cannot be reached .*`hf download some/model config.json"):
        build("some/model")
    with pytest.raises(OSError, match=r"'some/model' is neither a folder"):
        Predictor("some/model")
