"""Checkpoints as SAM's and SAM 2's authors publish them: every tensor is used, and the model gives the same answers.

The names here are written out from the modules of the two official repositories, the other way round than the package reads them.
"""

import numpy as np
import pytest
import torch

from mmstreet.refine import official_sam
from mmstreet.refine.proposals import Prompts
from mmstreet.refine.sam import SAMMasks
from tests.helpers.tiny_sam import _DECODER, _PROMPTS, _VISION, _sam2

pytest.importorskip("transformers")
MLP = {"proj_in": "layers.0", "layers.0": "layers.1", "proj_out": "layers.2"}


def heads(name, parts):
    """An MLP of three layers in the decoder."""
    for ours, theirs in MLP.items():
        if f".{ours}." in name and any(part in name for part in parts):
            return name.replace(f".{ours}.", f".{theirs}.")
    return name


def decoder_name(name):
    """The name that the official prompt encoder and mask decoder have for a tensor of transformers' model."""
    swaps = {
        "shared_embedding.positional_embedding": "pe_layer.positional_encoding_gaussian_matrix",
        "mask_embed.conv1": "mask_downscaling.0",
        "mask_embed.layer_norm1": "mask_downscaling.1",
        "mask_embed.conv2": "mask_downscaling.3",
        "mask_embed.layer_norm2": "mask_downscaling.4",
        "mask_embed.conv3": "mask_downscaling.6",
        ".point_embed.": ".point_embeddings.",
        "upscale_conv1": "output_upscaling.0",
        "upscale_layer_norm": "output_upscaling.1",
        "upscale_conv2": "output_upscaling.3",
        "layer_norm_final_attn": "norm_final_attn",
    }
    for ours, theirs in swaps.items():
        if ours in name:
            return name.replace(ours, theirs)
    if "transformer.layers." in name:
        return name.replace("layer_norm", "norm")
    return heads(name, ("hypernetworks", "iou_prediction", "pred_obj"))


def as_sam(model):
    """A state dict of ``segment_anything/modeling``."""
    official = {}
    for name, value in model.state_dict().items():
        if name.startswith("vision_encoder.neck."):
            _, _, layer, leaf = name.split(".")
            name = f"image_encoder.neck.{['conv1', 'layer_norm1', 'conv2', 'layer_norm2'].index(layer)}.{leaf}"
        elif name.startswith("vision_encoder.layers."):
            _, _, number, *rest = name.split(".")
            name = f"image_encoder.blocks.{number}." + ".".join(rest).replace("layer_norm", "norm")
        elif name.startswith("vision_encoder."):
            name = "image_encoder." + name.removeprefix("vision_encoder.").replace("projection", "proj")
        elif name.startswith("shared_image_embedding"):
            continue
        else:
            name = decoder_name(name)
        official[name] = value.clone()
    return official


def as_sam2(model):
    """A state dict of ``sam2/modeling``, with a part of the video memory."""
    official = {"memory_encoder.out_proj.weight": torch.ones(3), "maskmem_tpos_enc": torch.ones(7), "no_obj_ptr": torch.ones(1)}
    for name, value in model.state_dict().items():
        if name.startswith("vision_encoder.backbone.blocks."):
            _, _, _, number, *rest = name.split(".")
            leaf = (
                ".".join(rest).replace("layer_norm", "norm").replace("mlp.proj_in", "mlp.layers.0").replace("mlp.proj_out", "mlp.layers.1")
            )
            name = f"image_encoder.trunk.blocks.{number}.{leaf}"
        elif name.startswith("vision_encoder.backbone."):
            name = "image_encoder.trunk." + name.removeprefix("vision_encoder.backbone.").replace("projection", "proj")
        elif name.startswith("vision_encoder.neck."):
            _, _, _, number, leaf = name.split(".")
            name = f"image_encoder.neck.convs.{number}.conv.{leaf}"
        elif name == "no_memory_embedding":
            name = "no_mem_embed"
        elif name.startswith("shared_image_embedding"):
            continue
        elif name == "prompt_encoder.point_embed.weight":
            official |= {f"sam_prompt_encoder.point_embeddings.{i}.weight": row[None].clone() for i, row in enumerate(value)}
            continue
        else:
            name = "sam_" + decoder_name(name).replace("o_proj", "out_proj")
            if ".mlp." in name:
                name = name.replace("proj_in", "layers.0").replace("proj_out", "layers.1")
        official[name] = value.clone()
    return {"model": official}


def randomize(model):
    torch.manual_seed(1)
    with torch.no_grad():
        for value in model.state_dict().values():
            value.copy_(torch.randn_like(value) * 0.2)
        shared = model.state_dict()
        shared["prompt_encoder.shared_embedding.positional_embedding"].copy_(shared["shared_image_embedding.positional_embedding"])
    return model.eval()


def make(family, monkeypatch):
    """A random model with the official number of heads in its decoder, and its official state dict."""
    if family == "sam":
        from transformers import SamConfig, SamModel

        decoder = {**_DECODER, "num_attention_heads": 8}
        model = randomize(SamModel(SamConfig(vision_config=_VISION, prompt_encoder_config=_PROMPTS, mask_decoder_config=decoder)))
        return model, as_sam(model)
    row = {"heads": 1, "windows": [8, 4, 4, 2], "global": [3], "side": 64}
    monkeypatch.setitem(official_sam.HIERA, (12, (1, 1, 2, 1)), row)
    model = randomize(_sam2())
    return model, as_sam2(model)


@pytest.mark.parametrize("family", ["sam", "sam2"])
def test_every_tensor_is_used_and_the_answers_are_equal(family, tmp_path, monkeypatch):
    model, official = make(family, monkeypatch)
    torch.save(official, tmp_path / "official.pth")
    assert official_sam.official_type(tmp_path / "official.pth") == family
    loaded = official_sam.load_official(tmp_path / "official.pth").eval()
    expected = model.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, expected[name]), name
    ask = {"pixel_values": torch.randn(1, 3, 64, 64), "input_boxes": torch.tensor([[[4.0, 6, 50, 40]]])}
    with torch.inference_mode():
        ours, theirs = loaded(**ask), model(**ask)
    torch.testing.assert_close(ours.pred_masks, theirs.pred_masks)
    torch.testing.assert_close(ours.iou_scores, theirs.iou_scores)


@pytest.mark.parametrize("family", ["sam", "sam2"])
def test_a_mask_source_takes_the_file_like_a_folder(family, tmp_path, monkeypatch):
    model, official = make(family, monkeypatch)
    torch.save(official, tmp_path / "official.pth")
    model.save_pretrained(tmp_path / "folder")
    image = np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    prompts = Prompts(np.array([[5, 5, 40, 30]], np.float32), np.zeros((1, 0, 2), np.float32), np.zeros((1, 0), np.int64))
    predicted = [SAMMasks(weights=tmp_path / name).predict(image, prompts) for name in ("official.pth", "folder")]
    assert predicted[0].boxes_xyxy.tolist() == predicted[1].boxes_xyxy.tolist()
    np.testing.assert_allclose(predicted[0].logits[0], predicted[1].logits[0], rtol=1e-2, atol=1e-4)
    first = SAMMasks(weights=tmp_path / "official.pth").fingerprint
    torch.save(official | {"more": torch.ones(1)}, tmp_path / "official.pth")
    assert official_sam.official_type(tmp_path / "official.pth") == family
    from mmstreet.refine.hub_models import fingerprint

    assert fingerprint(tmp_path / "official.pth") != first


def test_the_four_backbones_of_sam2_are_those_of_transformers_configs():
    from transformers import Sam2HieraDetConfig

    tiny = Sam2HieraDetConfig()  # transformers' default is the tiny one
    row = official_sam.HIERA[96, (1, 2, 7, 2)]
    assert (tiny.hidden_size, tuple(tiny.blocks_per_stage)) == (96, (1, 2, 7, 2))
    assert (tiny.num_attention_heads, tiny.window_size_per_stage) == (row["heads"], row["windows"])
    assert (tiny.global_attention_blocks, tiny.image_size) == (row["global"], [row["side"]] * 2)


@pytest.mark.parametrize("family", ["sam", "sam2"])
def test_a_file_that_lacks_tensors_or_holds_nan_is_refused(family, tmp_path, monkeypatch):
    _, official = make(family, monkeypatch)
    tensors = official if family == "sam" else official["model"]
    name = next(key for key in tensors if "iou_token" in key)
    kept = tensors.pop(name)
    tensors[name + "s"] = kept
    torch.save(official, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"does not fit|lacks"):
        SAMMasks(weights=tmp_path / "a.pth")
    del tensors[name + "s"]
    tensors[name] = kept * float("nan")
    torch.save(official, tmp_path / "b.pth")
    with pytest.raises(ValueError, match=r"b.pth' holds values that are not finite .* first in 'mask_decoder.iou_token.weight'"):
        SAMMasks(weights=tmp_path / "b.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "no checkpoint of SAM or SAM 2; give one"),
        ({"state_dict": {"w": torch.ones(1)}}, "no checkpoint of SAM or SAM 2; give one"),
        ({"mask_decoder.hf_token.weight": torch.ones(1)}, "SAM-HQ as its authors publish it"),
        ({"model": {"image_encoder.trunk.patch_embed.proj.weight": torch.ones(1)}}, "lacks tensors of SAM or SAM 2"),
    ],
)
def test_other_files_are_named_in_one_sentence(tmp_path, content, message):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=message) as caught:
        SAMMasks(weights=tmp_path / "x.pt")
    assert "\n" not in str(caught.value)
