from copy import deepcopy

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmstreet.models.hypercolumn import sample_levels
from mmstreet.models.pixelnet import PixelNetHead

NUM_CLASSES = 5
CHANNELS = (3, 4, 6)
CROSS_ENTROPY = {"type": "mmseg.CrossEntropyLoss", "avg_non_ignore": True}


@pytest.fixture(autouse=True)
def fixed_state():
    torch.manual_seed(0)


def make_head(**settings):
    settings = {"num_classes": NUM_CLASSES, "in_index": (0, 1, 2), "widths": (16, 12), "num_pixels": 40} | settings
    head = PixelNetHead(CHANNELS, **settings)
    head.init_weights()
    return head


def make_feats(size_hw=(32, 48), batch=2, requires_grad=False):
    feats = [torch.randn(batch, c, -(-size_hw[0] // s), -(-size_hw[1] // s)) for c, s in zip(CHANNELS, (1, 4, 16))]
    return [feat.requires_grad_(requires_grad) for feat in feats]


def make_samples(labels):
    meta = {"img_shape": labels.shape[1:], "ori_shape": labels.shape[1:], "pad_shape": labels.shape[1:]}
    return [SegDataSample(gt_sem_seg=PixelData(data=label[None]), metainfo={k: tuple(v) for k, v in meta.items()}) for label in labels]


def make_labels(size_hw=(32, 48), batch=2):
    return torch.randint(NUM_CLASSES, (batch, *size_hw))


def give_statistics(head):
    """Running statistics and an affine part as after training."""
    for value in (head.level_norm.running_mean, head.level_norm.bias):
        value.data.normal_()
    for value in (head.level_norm.running_var, head.level_norm.weight):
        value.data.uniform_(0.5, 2)
    return head.eval()


def segmentor(backbone, head, test_cfg=None):
    with DefaultScope.overwrite_default_scope("mmseg"):
        return MODELS.build(
            {
                "type": "EncoderDecoder",
                "data_preprocessor": {"type": "SegDataPreProcessor", "mean": [127.5] * 3, "std": [50.0] * 3, "seg_pad_val": 255},
                "backbone": backbone,
                "decode_head": {"type": "mmstreet.PixelNetHead", "num_classes": NUM_CLASSES, "widths": (16,), "num_pixels": 50} | head,
                "test_cfg": ConfigDict(test_cfg or {"mode": "whole"}),
            }
        )


VGG = (
    {"type": "mmstreet.HypercolumnVGG", "levels": ("conv1_2", "conv2_2", "conv3_3")},
    {"in_channels": (64, 128, 256), "in_index": (0, 1, 2)},
)
RESNET = (
    {"type": "ResNet", "depth": 18, "out_indices": (0, 1, 2, 3)},
    {"in_channels": (64, 128, 512), "in_index": (0, 1, 3)},
)
DILATED = (
    {"type": "ResNetV1c", "depth": 50, "strides": (1, 2, 1, 1), "dilations": (1, 1, 2, 4), "out_indices": (0, 1, 2, 3)},
    {"in_channels": (256, 2048), "in_index": (0, -1)},
)


@pytest.mark.parametrize(("backbone", "head"), [VGG, RESNET, DILATED], ids=["vgg", "resnet18", "resnet50_dilated"])
def test_any_backbone_trains_and_tests_on_mmsegs_normal_path_at_any_size(backbone, head):
    model = segmentor(backbone, head)
    model.init_weights()
    labels = make_labels((45, 61))
    data = {"inputs": [torch.randint(256, (3, 45, 61), dtype=torch.uint8) for _ in labels], "data_samples": make_samples(labels)}
    batch = model.data_preprocessor({**data, "inputs": list(data["inputs"])}, training=False)
    losses = model.loss(batch["inputs"], batch["data_samples"])
    assert set(losses) == {"decode.loss_ce", "decode.acc_seg"}
    losses["decode.loss_ce"].backward()
    assert all(p.grad is not None for p in model.decode_head.parameters())
    first = next(model.backbone.parameters())
    assert first.grad.abs().sum() > 0

    model.eval()
    with torch.no_grad():
        predicted = model.test_step(data)
        feats = model.extract_feat(batch["inputs"])
        columns = sample_levels(model.decode_head._transform_inputs(feats), torch.arange(45 * 61).expand(2, -1), (45, 61))
        expected = model.decode_head.classify(columns.flatten(0, 1))
    logits = torch.stack([sample.seg_logits.data for sample in predicted])
    assert logits.shape == (2, NUM_CLASSES, 45, 61)
    torch.testing.assert_close(logits, expected.view(NUM_CLASSES, 2, 45, 61).transpose(0, 1), rtol=1e-4, atol=1e-5)
    assert torch.equal(predicted[0].pred_sem_seg.data, logits[0].argmax(0, keepdim=True))


def test_sliding_windows_work():
    model = segmentor(*VGG, test_cfg={"mode": "slide", "crop_size": (32, 32), "stride": (20, 20)}).eval()
    data = {"inputs": [torch.zeros(3, 45, 61, dtype=torch.uint8)], "data_samples": make_samples(make_labels((45, 61), 1))}
    assert model.test_step(data)[0].seg_logits.data.shape == (NUM_CLASSES, 45, 61)


@pytest.mark.parametrize("settings", [{}, {"widths": ()}, {"level_norm": "none"}], ids=["two_layers", "linear", "no_norm"])
def test_dense_logits_are_those_of_training_in_evaluation_mode(settings):
    head = make_head(**settings)
    head = give_statistics(head) if head.level_norm else head.eval()
    feats = make_feats()
    sampled = head.classify(sample_levels(feats, torch.arange(32 * 48).expand(2, -1), (32, 48)).flatten(0, 1))
    dense = head(feats)
    torch.testing.assert_close(dense, sampled.view(NUM_CLASSES, 2, 32, 48).transpose(0, 1), rtol=0, atol=1e-5)
    torch.testing.assert_close(head.train()(feats), dense, rtol=0, atol=0)


@pytest.mark.parametrize("tile_size", [64, 256, None])
def test_predictions_do_not_depend_on_the_tile_size(tile_size):
    meta = [{"img_shape": (70, 300), "pad_shape": (70, 300)}] * 2
    head, feats = give_statistics(make_head()), make_feats((70, 300))
    whole = give_statistics(head).predict(feats, meta, {})
    head.tile_size = tile_size
    torch.testing.assert_close(head.predict(feats, meta, {}), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("sampling", ["uniform", "class_balanced", "hard"])
def test_loss_is_the_cross_entropy_of_the_sampled_pixels(sampling, monkeypatch):
    head = make_head(sampling=sampling, dropout_ratio=0.0)
    feats, labels, drawn = make_feats(), make_labels(), []
    sample = head._sample
    monkeypatch.setattr(head, "_sample", lambda *arguments: drawn.append(sample(*arguments)) or drawn[-1])
    losses = head.loss(feats, make_samples(labels), {})
    assert [len(pixels) for pixels in drawn] == [40, 40]
    logits = head.classify(sample_levels(feats, torch.stack(drawn), (32, 48)).flatten(0, 1))[0, :, :, 0].t()
    truth = torch.cat([label.flatten()[pixels] for label, pixels in zip(labels, drawn)])
    torch.testing.assert_close(losses["loss_ce"], torch.nn.functional.cross_entropy(logits, truth))
    torch.testing.assert_close(losses["acc_seg"], 100 * (logits.argmax(1) == truth).float().mean().reshape(1))


def test_order_of_sampled_pixels_is_irrelevant():
    head = make_head(dropout_ratio=0.0)
    columns = torch.randn(80, sum(CHANNELS))
    order = torch.randperm(80)
    torch.testing.assert_close(head.classify(columns)[:, :, order], head.classify(columns[order]), rtol=0, atol=1e-5)


def test_scoring_hard_pixels_leaves_no_trace_in_the_statistics():
    head = make_head(sampling="hard")
    head.loss(make_feats(), make_samples(make_labels()), {})
    assert head.level_norm.num_batches_tracked == 1
    assert head.training
    assert head.level_norm.training


def test_same_random_state_gives_the_same_loss():
    head, feats, samples, values = make_head(), make_feats(), make_samples(make_labels()), []
    for state in (1, 1, 2):
        torch.manual_seed(state)
        values.append(head.loss(feats, samples, {})["loss_ce"].item())
    assert values[0] == values[1] != values[2]


def test_ignored_pixels_carry_no_gradient_and_no_effect():
    head, feats, labels = make_head(num_pixels=32 * 24), make_feats(requires_grad=True), make_labels()
    labels[:, :, 24:] = 255
    head.loss(feats, make_samples(labels), {})["loss_ce"].backward()
    assert feats[0].grad[:, :, :, 24:].abs().sum() == 0
    assert (feats[0].grad[:, :, :, :24].abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("sampling", ["uniform", "class_balanced", "hard"])
def test_image_without_labels_contributes_nothing(sampling):
    head, feats, labels = make_head(sampling=sampling), make_feats(batch=3, requires_grad=True), make_labels(batch=3)
    labels[1] = 255
    values = []
    for kept in ([0, 1, 2], [0, 2]):
        torch.manual_seed(5)
        values.append(deepcopy(head).loss([feat[kept] for feat in feats], make_samples(labels[kept]), {})["loss_ce"])
    assert values[0] == values[1]
    values[0].backward()
    assert all(feat.grad[1].abs().sum() == 0 < feat.grad[0].abs().sum() for feat in feats)


def test_batch_without_labels_gives_zero_with_a_graph():
    head, feats = make_head(loss_decode=[CROSS_ENTROPY, CROSS_ENTROPY | {"loss_name": "loss_more"}]), make_feats(requires_grad=True)
    losses = head.loss(feats, make_samples(torch.full((2, 32, 48), 255)), {})
    assert {name: value.item() for name, value in losses.items()} == {"loss_ce": 0, "loss_more": 0, "acc_seg": 0}
    (losses["loss_ce"] + losses["loss_more"]).backward()
    assert all(value.grad is not None and not value.grad.any() for value in [*head.parameters(), *feats])
    assert head.level_norm.num_batches_tracked == 0


def test_fewer_labelled_pixels_than_the_sample_are_drawn_repeatedly():
    head, feats, labels = make_head(), make_feats(requires_grad=True), torch.full((2, 32, 48), 255)
    labels[:, 3, 7:10] = 2
    head.loss(feats, make_samples(labels), {})["loss_ce"].backward()
    assert feats[0].grad.abs().sum(dim=1).nonzero()[:, 1:].unique(dim=0).tolist() == [[3, 7], [3, 8], [3, 9]]


def test_the_head_learns_classes_that_depend_on_two_levels():
    head = make_head(widths=(32,), num_classes=4, num_pixels=200, dropout_ratio=0.0)
    feats = make_feats((32, 32), batch=4)
    fine = feats[0][:, 0] > 0
    coarse = torch.nn.functional.interpolate(feats[2][:, :1], (32, 32), mode="bilinear")[:, 0] > 0
    samples = make_samples(fine.long() + 2 * coarse)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9)
    for _ in range(120):
        optimizer.zero_grad()
        head.loss(feats, samples, {})["loss_ce"].backward()
        optimizer.step()
    predicted = head.eval()(feats).argmax(1)
    assert (predicted == fine.long() + 2 * coarse).float().mean() > 0.95


def test_autocast_trains_and_predicts():
    head, feats = make_head(), make_feats()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = head.loss([feat.bfloat16() for feat in feats], make_samples(make_labels()), {})["loss_ce"]
        logits = head([feat.bfloat16() for feat in feats])
    assert loss.isfinite()
    torch.testing.assert_close(logits.float(), head(feats), rtol=0.1, atol=0.05)


def test_a_misspelt_setting_is_reported():
    with pytest.raises(TypeError, match="num_pixel"):
        MODELS.build({"type": "mmstreet.PixelNetHead", "num_classes": 3, "num_pixel": 100})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"in_index": (0, 1)}, "as many in_channels as in_index"),
        ({"widths": (16, 0)}, "positive widths"),
        ({"level_norm": "ln"}, "level_norm 'bn' or 'none', got 'ln'"),
        ({"num_pixels": 1}, "num_pixels of at least 2"),
        ({"sampling": "random"}, "sampling one of uniform, class_balanced, hard, got 'random'"),
        ({"hard_oversample": 0}, "hard_oversample of at least 1"),
        ({"hard_share": 1.5}, r"hard_share in \[0, 1\]"),
        ({"tile_size": 0}, "positive tile_size"),
        ({"align_corners": True}, "half-pixel centres"),
    ],
)
def test_impossible_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        make_head(**settings)


def test_a_level_that_the_backbone_lacks_is_named():
    with pytest.raises(ValueError, match="asks for level 3, but the backbone gives 3 levels"):
        make_head(in_index=(0, 1, 3))(make_feats())


def test_other_channels_than_promised_are_named():
    feats = make_feats()[::-1]
    with pytest.raises(ValueError, match=r"have \[6, 4, 3\] channels, in_channels says \[3, 4, 6\]"):
        make_head()(feats)


def test_a_label_that_is_no_class_is_named():
    labels = make_labels()
    labels[1, 2, 3] = NUM_CLASSES
    with pytest.raises(ValueError, match=r"label id 5 in .* is neither a class"):
        make_head().loss(make_feats(), make_samples(labels), {})


def test_focal_dice_loss_works_on_sampled_pixels_with_class_weights():
    loss = {"type": "mmstreet.FocalDiceLoss", "class_weight": [1.0, 2.0, 0.0, 0.5, 1.0], "gamma": 2.0, "dice_weight": 0.3}
    head, feats, labels = make_head(loss_decode=loss, sampling="class_balanced"), make_feats(requires_grad=True), make_labels()
    labels[1] = 255
    losses = head.loss(feats, make_samples(labels), {})
    value = losses[head.loss_decode.loss_name]
    value.backward()
    assert 0 < value.item() < 10
    assert all(feat.grad[1].abs().sum() == 0 < feat.grad[0].abs().sum() for feat in feats)
