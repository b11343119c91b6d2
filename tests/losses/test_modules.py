import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope

from mmstreet.losses.functional import focal_dice_loss, tversky_loss
from mmstreet.losses.modules import FocalDiceLoss
from mmstreet.registry import MODELS
from tests.helpers.loss_contract import LossContract, random_case

V3 = dict(
    type="mmstreet.FocalDiceLoss",
    class_weight=dict(table="street6", method="inverse", normalize="mean", boosts=dict(bicycle=3, motorcycle=3, pole=2), clip=(0.1, 10)),
    gamma=3.0,
    dice_weight=0.3,
    loss_weight=0.4,
)


class TestFocalDiceLossModule(LossContract):
    num_classes = 6

    def loss(self, logits, labels):
        return MODELS.build(V3)(logits, labels, weight=None, ignore_index=255)


class TestTverskyLossModule(LossContract):
    def loss(self, logits, labels):
        return MODELS.build(dict(type="mmstreet.TverskyLoss", alpha=0.2, beta=0.8))(logits, labels, weight=None, ignore_index=255)


def test_the_tversky_module_equals_its_function_times_its_weight():
    logits, labels = random_case()
    hard = (torch.arange(labels.numel()) % 3 == 0).view(labels.shape).float()
    module = MODELS.build(dict(type="mmstreet.TverskyLoss", alpha=0.2, beta=0.8, loss_weight=0.4))
    expected = 0.4 * tversky_loss(logits, labels.masked_fill(hard == 0, 255), alpha=0.2, beta=0.8)
    torch.testing.assert_close(module(logits, labels, weight=hard), expected)
    assert module.loss_name == "loss_tversky"
    assert repr(module) == "TverskyLoss(alpha=0.2, beta=0.8, eps=1e-06, loss_weight=0.4)"


def test_module_equals_function_times_its_weight():
    logits, labels = random_case(6)
    module = MODELS.build(V3)
    expected = focal_dice_loss(logits, labels, class_weight=module.class_weight, gamma=3.0, dice_weight=0.3)
    torch.testing.assert_close(module(logits, labels), 0.4 * expected)
    assert module.loss_name == "loss_focal_dice"


def test_class_weights_move_with_the_model_but_are_not_saved():
    module = FocalDiceLoss(class_weight=[1, 2])
    assert [name for name, _ in module.named_buffers()] == ["class_weight"]
    assert module.state_dict() == {}
    assert module.to("meta").class_weight.device.type == "meta"


def test_a_misspelt_setting_is_reported():
    with pytest.raises(TypeError, match="gama"):
        MODELS.build(dict(type="mmstreet.FocalDiceLoss", gama=2.0))


def test_the_weights_can_be_read_off_the_model():
    assert "class_weight=[7.0088, 10.4543, 0.2, 0.1, 0.1326, 0.1]" in repr(MODELS.build(V3))


def test_sampler_weights_are_honoured():
    logits, labels = random_case()
    hard = (torch.arange(labels.numel()) % 3 == 0).view(labels.shape).float()
    module = FocalDiceLoss()
    torch.testing.assert_close(module(logits, labels, weight=hard), module(logits, labels.masked_fill(hard == 0, 255)))


@pytest.mark.parametrize("name", ["FocalDiceLoss", "TverskyLoss", "CARBLoss"])
def test_a_loss_per_pixel_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} gives one number for the batch and cannot reduce by 'none'"):
        MODELS.build(dict(type=f"mmstreet.{name}"))(*random_case(), reduction_override="none")


class TestInsideMmseg:
    @pytest.fixture(autouse=True)
    def inside(self):
        with DefaultScope.overwrite_default_scope("mmseg"):
            yield

    def head(self, loss, **settings):
        pytest.importorskip("mmseg")
        from mmseg.models.decode_heads import FCNHead

        return FCNHead(in_channels=3, channels=4, num_classes=4, num_convs=1, norm_cfg=None, loss_decode=loss, **settings)

    def losses(self, head, labels):
        from mmengine.structures import PixelData
        from mmseg.structures import SegDataSample

        samples = [SegDataSample(gt_sem_seg=PixelData(data=x[None])) for x in labels]
        logits = torch.randn(2, 4, 2, 3, requires_grad=True)
        return logits, head.loss_by_feat(logits, samples)

    def test_a_decode_head_collects_it_by_name(self):
        _, labels = random_case()
        head = self.head([dict(type="mmstreet.FocalDiceLoss"), dict(type="mmstreet.FocalDiceLoss", loss_name="loss_aux", gamma=0.0)])
        logits, losses = self.losses(head, labels)
        resized = F.interpolate(logits, size=labels.shape[1:], mode="bilinear", align_corners=False)
        torch.testing.assert_close(losses["loss_focal_dice"], focal_dice_loss(resized, labels))
        torch.testing.assert_close(losses["loss_aux"], focal_dice_loss(resized, labels, gamma=0.0))

    def test_hard_pixel_mining_by_threshold_works(self):
        _, labels = random_case()
        sampler = dict(type="OHEMPixelSampler", thresh=0.3, min_kept=5)
        logits, losses = self.losses(self.head(dict(type="mmstreet.FocalDiceLoss"), sampler=sampler), labels)
        losses["loss_focal_dice"].backward()
        assert losses["loss_focal_dice"] > 0
        assert logits.grad.abs().sum() > 0

    def test_hard_pixel_mining_by_loss_is_refused(self):
        _, labels = random_case()
        head = self.head(dict(type="mmstreet.FocalDiceLoss"), sampler=dict(type="OHEMPixelSampler", min_kept=5))
        with pytest.raises(ValueError, match="works with it when its 'thresh' is set"):
            self.losses(head, labels)

    def test_upstreams_plain_cross_entropy_averages_over_valid_pixels_when_told(self):
        """Configs without class weights rely on it."""
        _, labels = random_case()
        logits, losses = self.losses(self.head(dict(type="CrossEntropyLoss", avg_non_ignore=True)), labels)
        resized = F.interpolate(logits, size=labels.shape[1:], mode="bilinear", align_corners=False)
        torch.testing.assert_close(losses["loss_ce"], F.cross_entropy(resized, labels, ignore_index=255))
