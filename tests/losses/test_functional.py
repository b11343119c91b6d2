import pytest
import torch
import torch.nn.functional as F

from mmstreet.losses import functional
from mmstreet.losses.functional import check_shapes, focal_dice_loss, split_ignored
from tests.helpers.loss_contract import LossContract, random_case
from tests.helpers.oracles import focal_dice_by_loops, plain_focal_dice

WEIGHTS = [0.5, 0.0, 2.0, 1.0]


def some_weights(labels):
    return 2 * torch.rand(labels.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


class TestFocalDiceLoss(LossContract):
    def loss(self, logits, labels):
        return focal_dice_loss(logits, labels)


class TestFocalDiceLossWeighted(LossContract):
    def loss(self, logits, labels):
        return focal_dice_loss(logits, labels, class_weight=[0.5, 0.1, 10.0, 1.0], gamma=3.0, dice_weight=1.5)


class TestFocalDiceLossBelowOne(LossContract):
    """Where gamma < 1 the derivative of (1 - p)^gamma alone is infinite at p = 1."""

    def loss(self, logits, labels):
        return focal_dice_loss(logits, labels, gamma=0.5)


class TestFocalDiceLossAsCrossEntropy(LossContract):
    def loss(self, logits, labels):
        return focal_dice_loss(logits, labels, gamma=0.0, dice_weight=0.0)


@pytest.fixture
def small_slabs(monkeypatch):
    """Slabs of five pixels, so that small inputs cross their borders."""
    monkeypatch.setattr(functional, "_CPU_SLAB_PER_THREAD", max(1, 5 * 4 // torch.get_num_threads()))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("dice_weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("weighted_pixels", [False, True])
def test_value_equals_the_loop(gamma, dice_weight, weighted_pixels):
    logits, labels = random_case(dtype=torch.float64)
    settings = dict(class_weight=WEIGHTS, gamma=gamma, dice_weight=dice_weight)
    if weighted_pixels:
        settings["pixel_weight"] = some_weights(labels)
    assert focal_dice_loss(logits, labels, **settings).item() == pytest.approx(focal_dice_by_loops(logits, labels, **settings), rel=1e-12)


@pytest.mark.parametrize("salt", range(8))
@pytest.mark.parametrize("scale", [1, 20])
def test_float32_value_and_gradient_equal_the_plain_formula(salt, scale, small_slabs):
    logits, labels = random_case(salt=salt)
    logits = (scale * logits).requires_grad_()
    settings = dict(gamma=2.5, dice_weight=0.7)
    value = focal_dice_loss(logits, labels, class_weight=WEIGHTS, **settings)
    (grad,) = torch.autograd.grad(value, logits)
    exact_logits = logits.detach().double().requires_grad_()
    exact = plain_focal_dice(exact_logits, labels, class_weight=torch.tensor(WEIGHTS, dtype=torch.float64), **settings)
    (exact_grad,) = torch.autograd.grad(exact, exact_logits)
    torch.testing.assert_close(value.double(), exact, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(grad.double(), exact_grad, rtol=1e-6, atol=1e-6)


def test_slabs_do_not_change_the_result(small_slabs, monkeypatch):
    logits, labels = random_case(dtype=torch.float64)
    pixel_weight = some_weights(labels)
    results = []
    for slab in (functional._CPU_SLAB_PER_THREAD, 2**19):
        monkeypatch.setattr(functional, "_CPU_SLAB_PER_THREAD", slab)
        leaf = logits.clone().requires_grad_()
        value = focal_dice_loss(leaf, labels, pixel_weight=pixel_weight)
        results.append((value.detach(), *torch.autograd.grad(value, leaf)))
    torch.testing.assert_close(results[0], results[1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", [(4, 6, 512, 1024), (2, 19, 256, 512), (3, 7, 5, 9), (9, 2, 1, 1), (1, 3, 700, 700)])
def test_slabs_cover_every_pixel_once(shape):
    batch, classes, height, width = shape
    seen = torch.zeros(batch, height * width, dtype=torch.int32)
    for at in functional.iter_slabs(torch.empty(batch, classes, 1).expand(batch, classes, height * width)):
        seen[at] += 1
    assert (seen == 1).all()


def test_without_focus_dice_and_weights_it_is_cross_entropy():
    logits, labels = random_case()
    logits.requires_grad_()
    ours = focal_dice_loss(logits, labels, gamma=0.0, dice_weight=0.0)
    theirs = F.cross_entropy(logits, labels, ignore_index=255)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits))


def test_class_weights_scale_the_sum_but_not_the_divisor():
    logits, labels = random_case()
    ours = focal_dice_loss(logits, labels, class_weight=WEIGHTS, gamma=0.0, dice_weight=0.0)
    total = F.cross_entropy(logits, labels, weight=torch.tensor(WEIGHTS), ignore_index=255, reduction="sum")
    torch.testing.assert_close(ours, total / (labels != 255).sum())


def test_a_wholly_missed_rare_class_costs_its_share_of_dice():
    labels = torch.zeros(1, 100, 100, dtype=torch.long)
    labels[0, 0, 0] = 1
    logits = torch.zeros(1, 2, 100, 100)
    logits[:, 0] = 40  # nothing but class 0
    dice = focal_dice_loss(logits, labels, dice_weight=1.0) - focal_dice_loss(logits, labels, dice_weight=0.0)
    assert dice.item() == pytest.approx((0 + 1) / 2, abs=1e-3)


def test_a_class_of_weight_zero_has_no_term_of_its_own():
    labels = torch.tensor([[[0, 1, 1]]])
    logits = torch.tensor([[2.0, 0.5, -1.0], [0.0, 0.0, 0.0]])[None, :, None]
    only_zero = focal_dice_loss(logits, labels.clamp(min=1), class_weight=[1.0, 0.0])
    assert only_zero == 0
    p = logits.softmax(1)[0, 0, 0]
    expected = 1 - 2 * p[0] / (p.sum() + 1)
    loss = focal_dice_loss(logits, labels, class_weight=[1.0, 0.0], dice_weight=1.0)
    focal = focal_dice_loss(logits, labels, class_weight=[1.0, 0.0], dice_weight=0.0)
    torch.testing.assert_close(loss - focal, expected, rtol=1e-5, atol=1e-6)


def test_a_false_alarm_on_a_class_of_weight_zero_costs_dice():
    labels = torch.tensor([[[0, 1]]])
    quiet = torch.tensor([[8.0, -8.0], [0.0, 0.0]])[None, :, None]
    alarm = torch.tensor([[8.0, 8.0], [0.0, 0.0]])[None, :, None].requires_grad_()
    loss = focal_dice_loss(alarm, labels, class_weight=[1.0, 0.0])
    assert loss > focal_dice_loss(quiet, labels, class_weight=[1.0, 0.0]) + 0.05
    (grad,) = torch.autograd.grad(loss, alarm)
    assert grad[0, 0, 0, 1] > 0


def test_pixel_weight_zero_is_ignored_and_two_is_twice():
    logits, labels = random_case()
    keep = some_weights(labels) < 1
    torch.testing.assert_close(
        focal_dice_loss(logits, labels, pixel_weight=keep.float()), focal_dice_loss(logits, labels.masked_fill(~keep, 255))
    )
    twice = torch.ones(labels.shape)
    twice[1] = 2
    torch.testing.assert_close(focal_dice_loss(logits, labels, pixel_weight=twice), focal_dice_loss(logits[[0, 1, 1]], labels[[0, 1, 1]]))


def test_pixel_weights_have_the_right_gradient():
    logits, labels = random_case(dtype=torch.float64)
    pixel_weight = some_weights(labels)
    assert torch.autograd.gradcheck(
        lambda x: focal_dice_loss(x, labels, class_weight=WEIGHTS, pixel_weight=pixel_weight), logits.requires_grad_()
    )


def test_large_float32_batches_keep_their_precision():
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 3, 800, 900, generator=rng)
    labels = torch.randint(0, 3, (1, 800, 900), generator=rng)
    exact = plain_focal_dice(logits.double(), labels, class_weight=torch.ones(3, dtype=torch.float64), gamma=2.0, dice_weight=0.3)
    assert focal_dice_loss(logits, labels).item() == pytest.approx(exact.item(), rel=1e-6)


def test_a_certain_and_right_pixel_costs_nothing():
    logits = torch.tensor([[[[200.0]], [[0.0]]]], requires_grad=True)
    for gamma in (0.0, 0.3, 1.0, 2.0):
        loss = focal_dice_loss(logits, torch.zeros(1, 1, 1, dtype=torch.long), gamma=gamma)
        (grad,) = torch.autograd.grad(loss, logits)
        assert loss.item() == pytest.approx(0, abs=1e-6)
        assert (grad == 0).all()


def test_not_a_number_is_passed_on():
    logits, labels = random_case()
    logits[(labels != 255)[:, None].expand_as(logits)] = float("nan")
    assert focal_dice_loss(logits, labels).isnan()


def test_autocast_keeps_the_loss_in_float32():
    logits, labels = random_case(dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        assert focal_dice_loss(logits, labels).dtype == torch.float32
    torch.testing.assert_close(focal_dice_loss(logits, labels), focal_dice_loss(logits.float(), labels))


@pytest.mark.parametrize("ignore_index", [255, -100, 0])
def test_any_label_may_be_the_ignored_one(ignore_index):
    logits, labels = random_case()
    renamed = labels.masked_fill(labels == 0, 255)
    expected = focal_dice_loss(logits, renamed)
    torch.testing.assert_close(
        focal_dice_loss(logits, renamed.masked_fill(renamed == 255, ignore_index), ignore_index=ignore_index), expected
    )


def test_sampled_pixels_equal_an_image():
    logits, labels = random_case()
    torch.testing.assert_close(focal_dice_loss(logits.flatten(2), labels.flatten(1)), focal_dice_loss(logits, labels))


def test_no_pixels_at_all_gives_zero():
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
def test_a_wrong_setting_is_named(settings, message):
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


def test_second_derivatives_are_refused():
    logits, labels = random_case()
    (grad,) = torch.autograd.grad(focal_dice_loss(logits.requires_grad_(), labels), logits, create_graph=True)
    with pytest.raises(RuntimeError):
        grad.sum().backward()
