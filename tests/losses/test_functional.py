import pytest
import torch
import torch.nn.functional as F

from mmstreet.losses import focal_dice, functional
from mmstreet.losses.functional import check_shapes, split_ignored, tversky_loss
from tests.helpers.loss_contract import LossContract, random_case
from tests.helpers.oracles import focal_dice_by_loops, tversky_by_loops

WEIGHTS = [0.5, 0.0, 2.0, 1.0]


@pytest.fixture(params=[functional, focal_dice], ids=["plain", "analytic"])
def focal_dice_loss(request):
    """Both ways to the same loss."""
    return request.param.focal_dice_loss


def some_weights(labels):
    return 2 * torch.rand(labels.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


class TestPlainFocalDiceLoss(LossContract):
    def loss(self, logits, labels):
        return functional.focal_dice_loss(logits, labels, class_weight=[0.5, 0.1, 10.0, 1.0], gamma=3.0, dice_weight=1.5)


class TestTverskyLoss(LossContract):
    def loss(self, logits, labels):
        return tversky_loss(logits, labels)


class TestTverskyLossThatPricesMissesOnly(LossContract):
    def loss(self, logits, labels):
        return tversky_loss(logits, labels, alpha=0.0, beta=1.0)


@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.7), (0.5, 0.5), (1.0, 1.0), (0.0, 2.0)])
def test_tversky_equals_the_loop(alpha, beta):
    logits, labels = random_case(dtype=torch.float64)
    labels[labels == 2] = 1  # a class that does not occur
    value = tversky_loss(logits, labels, alpha=alpha, beta=beta)
    assert value.item() == pytest.approx(tversky_by_loops(logits, labels, alpha=alpha, beta=beta), rel=1e-12)


def test_tversky_of_equal_costs_is_dice():
    logits, labels = random_case(dtype=torch.float64)
    cross_entropy = functional.focal_dice_loss(logits, labels, gamma=0.0, dice_weight=0.0)
    dice = functional.focal_dice_loss(logits, labels, gamma=0.0, dice_weight=1.0, eps=2e-6) - cross_entropy
    torch.testing.assert_close(tversky_loss(logits, labels, alpha=0.5, beta=0.5, eps=1e-6), dice)


def test_tversky_charges_a_miss_and_a_false_alarm_at_their_prices():
    """Two pixels of class 0, one scored as class 1: for class 0 one hit and one miss, and nothing else is scored."""
    logits = torch.tensor([[90.0, 0.0], [0.0, 90.0]])[None, :, None]
    assert tversky_loss(logits, torch.zeros(1, 1, 2, dtype=torch.long), alpha=0.1, beta=3.0).item() == pytest.approx(1 - 1 / (1 + 3))
    labels = torch.tensor([[[0, 1]]])
    alarm = torch.tensor([[90.0, 90.0], [0.0, 0.0]])[None, :, None]  # class 0: a hit and a false alarm; class 1: a miss
    assert tversky_loss(alarm, labels, alpha=0.1, beta=3.0).item() == pytest.approx((1 - 1 / (1 + 0.1) + 1) / 2, abs=1e-5)


@pytest.mark.parametrize("setting", ["alpha", "beta", "eps"])
def test_a_negative_price_is_named(setting):
    with pytest.raises(ValueError, match=f"{setting} must be >= 0, got -1"):
        tversky_loss(*random_case(), **{setting: -1.0})


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("dice_weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("weighted_pixels", [False, True])
def test_value_equals_the_loop(focal_dice_loss, gamma, dice_weight, weighted_pixels):
    logits, labels = random_case(dtype=torch.float64)
    settings = dict(class_weight=WEIGHTS, gamma=gamma, dice_weight=dice_weight)
    if weighted_pixels:
        settings["pixel_weight"] = some_weights(labels)
    assert focal_dice_loss(logits, labels, **settings).item() == pytest.approx(focal_dice_by_loops(logits, labels, **settings), rel=1e-12)


def test_without_focus_dice_and_weights_it_is_cross_entropy(focal_dice_loss):
    logits, labels = random_case()
    logits.requires_grad_()
    ours = focal_dice_loss(logits, labels, gamma=0.0, dice_weight=0.0)
    theirs = F.cross_entropy(logits, labels, ignore_index=255)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits))


def test_class_weights_scale_the_sum_but_not_the_divisor(focal_dice_loss):
    logits, labels = random_case()
    ours = focal_dice_loss(logits, labels, class_weight=WEIGHTS, gamma=0.0, dice_weight=0.0)
    total = F.cross_entropy(logits, labels, weight=torch.tensor(WEIGHTS), ignore_index=255, reduction="sum")
    torch.testing.assert_close(ours, total / (labels != 255).sum())


def test_a_fully_missed_rare_class_costs_its_share_of_dice(focal_dice_loss):
    labels = torch.zeros(1, 100, 100, dtype=torch.long)
    labels[0, 0, 0] = 1
    logits = torch.zeros(1, 2, 100, 100)
    logits[:, 0] = 40  # nothing but class 0
    dice = focal_dice_loss(logits, labels, dice_weight=1.0) - focal_dice_loss(logits, labels, dice_weight=0.0)
    assert dice.item() == pytest.approx((0 + 1) / 2, abs=1e-3)


def test_a_class_of_weight_zero_has_no_term_of_its_own(focal_dice_loss):
    labels = torch.tensor([[[0, 1, 1]]])
    logits = torch.tensor([[2.0, 0.5, -1.0], [0.0, 0.0, 0.0]])[None, :, None]
    only_zero = focal_dice_loss(logits, labels.clamp(min=1), class_weight=[1.0, 0.0])
    assert only_zero == 0
    p = logits.softmax(1)[0, 0, 0]
    expected = 1 - 2 * p[0] / (p.sum() + 1)
    loss = focal_dice_loss(logits, labels, class_weight=[1.0, 0.0], dice_weight=1.0)
    focal = focal_dice_loss(logits, labels, class_weight=[1.0, 0.0], dice_weight=0.0)
    torch.testing.assert_close(loss - focal, expected, rtol=1e-5, atol=1e-6)


def test_a_false_alarm_on_a_class_of_weight_zero_costs_dice(focal_dice_loss):
    labels = torch.tensor([[[0, 1]]])
    quiet = torch.tensor([[8.0, -8.0], [0.0, 0.0]])[None, :, None]
    alarm = torch.tensor([[8.0, 8.0], [0.0, 0.0]])[None, :, None].requires_grad_()
    loss = focal_dice_loss(alarm, labels, class_weight=[1.0, 0.0])
    assert loss > focal_dice_loss(quiet, labels, class_weight=[1.0, 0.0]) + 0.05
    (grad,) = torch.autograd.grad(loss, alarm)
    assert grad[0, 0, 0, 1] > 0


def test_pixel_weight_zero_is_ignored_and_two_is_twice(focal_dice_loss):
    logits, labels = random_case()
    keep = some_weights(labels) < 1
    torch.testing.assert_close(
        focal_dice_loss(logits, labels, pixel_weight=keep.float()), focal_dice_loss(logits, labels.masked_fill(~keep, 255))
    )
    twice = torch.ones(labels.shape)
    twice[1] = 2
    torch.testing.assert_close(focal_dice_loss(logits, labels, pixel_weight=twice), focal_dice_loss(logits[[0, 1, 1]], labels[[0, 1, 1]]))


def test_a_certain_and_right_pixel_costs_nothing(focal_dice_loss):
    logits = torch.tensor([[[[200.0]], [[0.0]]]], requires_grad=True)
    for gamma in (0.0, 0.3, 1.0, 2.0):
        loss = focal_dice_loss(logits, torch.zeros(1, 1, 1, dtype=torch.long), gamma=gamma)
        (grad,) = torch.autograd.grad(loss, logits)
        assert loss.item() == pytest.approx(0, abs=1e-6)
        assert (grad == 0).all()


def test_not_a_number_is_passed_on(focal_dice_loss):
    logits, labels = random_case()
    logits[(labels != 255)[:, None].expand_as(logits)] = float("nan")
    assert focal_dice_loss(logits, labels).isnan()


def test_autocast_keeps_the_loss_in_float32(focal_dice_loss):
    logits, labels = random_case(dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        assert focal_dice_loss(logits, labels).dtype == torch.float32
    torch.testing.assert_close(focal_dice_loss(logits, labels), focal_dice_loss(logits.float(), labels))


@pytest.mark.parametrize("ignore_index", [255, -100, 0])
def test_any_label_may_be_the_ignored_one(focal_dice_loss, ignore_index):
    logits, labels = random_case()
    renamed = labels.masked_fill(labels == 0, 255)
    expected = focal_dice_loss(logits, renamed)
    torch.testing.assert_close(
        focal_dice_loss(logits, renamed.masked_fill(renamed == 255, ignore_index), ignore_index=ignore_index), expected
    )


def test_sampled_pixels_equal_an_image(focal_dice_loss):
    logits, labels = random_case()
    torch.testing.assert_close(focal_dice_loss(logits.flatten(2), labels.flatten(1)), focal_dice_loss(logits, labels))


def test_no_pixels_at_all_gives_zero(focal_dice_loss):
    assert focal_dice_loss(torch.zeros(0, 3, 4, 4), torch.zeros(0, 4, 4, dtype=torch.long)) == 0
    assert focal_dice_loss(torch.zeros(2, 3, 0), torch.zeros(2, 0, dtype=torch.long)) == 0


def test_split_ignored_reads_bytes_and_leaves_safe_targets():
    targets, valid = split_ignored(torch.tensor([3, 255, 0], dtype=torch.uint8), num_classes=4)
    assert targets.dtype == torch.int64
    assert valid.tolist() == [True, False, True]
    assert targets[valid].tolist() == [3, 0]
    assert 0 <= targets.min() <= targets.max() < 4
    assert split_ignored(torch.tensor([156], dtype=torch.uint8), num_classes=200, ignore_index=-100)[1].all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(class_weight=[1.0] * 3), "class_weight has 3 entries, but the logits have 4 classes"),
        (dict(gamma=-1.0), "gamma must be >= 0"),
        (dict(dice_weight=float("nan")), "dice_weight must be >= 0"),
        (dict(eps=-1e-6), "eps must be >= 0"),
        (dict(pixel_weight=torch.ones(2, 4)), "pixel_weight must be shaped as the labels"),
    ],
)
def test_a_wrong_setting_is_named(focal_dice_loss, settings, message):
    with pytest.raises(ValueError, match=message):
        focal_dice_loss(*random_case(), **settings)


def test_wrong_types_are_refused():
    logits, labels = random_case()
    with pytest.raises(ValueError, match="labels must be integer class ids"):
        check_shapes(logits, labels.float())
    with pytest.raises(ValueError, match="floating-point"):
        check_shapes(logits.long(), labels)
    with pytest.raises(ValueError, match=r"floating-point \[B, C, H, W\]"):
        check_shapes(logits[0, 0], labels[0])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
@pytest.mark.parametrize("ignore_index", [255, 1])
def test_ignored_and_stray_labels_are_told_apart(dtype, ignore_index):
    labels = torch.tensor([0, 1, 2, ignore_index], dtype=dtype)
    targets, valid, stray = functional.find_targets(labels, num_classes=3, ignore_index=ignore_index)
    assert targets[valid].tolist() == [int(x) for x in labels if x != ignore_index]
    assert not stray
    labels[0] = 7
    _, valid, stray = functional.find_targets(labels, num_classes=3, ignore_index=ignore_index)
    assert stray
    assert not valid[0]
