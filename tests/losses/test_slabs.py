"""The analytic losses equal the plain ones, in value and gradient, and keep the promises of every loss."""

import pytest
import torch

from benchmarks.host_waits import as_on_device
from mmstreet.losses import functional, region_balance, slabs
from mmstreet.losses.focal_dice import focal_dice_loss, measured_focal_dice
from tests.helpers.loss_contract import LossContract, random_case

WEIGHTS = [0.5, 0.0, 2.0, 1.0]
PRESENT = torch.tensor([[1, 1, 0, 1], [0, 1, 1, 1]])


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


class TestCarbLoss(LossContract):
    def loss(self, logits, labels):
        return slabs.carb_loss(logits, labels, factor=0.3)


class TestCarbLossWithClassesAndPatch(LossContract):
    def loss(self, logits, labels):
        present = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 0]])
        return slabs.carb_loss(logits, labels, factor=0.3, present=present, local_labels=labels[:, 1:, 2:5], local_offset_yx=(1, 2))


@pytest.fixture(autouse=True)
def small_slabs(monkeypatch):
    """Slabs of five pixels, so that small inputs cross their borders."""
    monkeypatch.setattr(slabs, "_CPU_SLAB_PER_THREAD", max(1, 5 * 4 // torch.get_num_threads()))


def some_weights(labels):
    return 2 * torch.rand(labels.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def value_and_grad(loss, logits):
    leaf = logits.clone().requires_grad_()
    value = loss(leaf)
    return value.detach(), *torch.autograd.grad(value.sum(), leaf)


@pytest.mark.parametrize("salt", range(3))
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.5])
@pytest.mark.parametrize("dice_weight", [0.0, 0.7])
@pytest.mark.parametrize("weighted_pixels", [False, True])
def test_focal_dice_equals_the_plain_formula_with_its_gradient(salt, gamma, dice_weight, weighted_pixels):
    logits, labels = random_case(dtype=torch.float64, salt=salt)
    settings = dict(
        class_weight=WEIGHTS, gamma=gamma, dice_weight=dice_weight, pixel_weight=some_weights(labels) if weighted_pixels else None
    )
    ours = value_and_grad(lambda x: focal_dice_loss(x, labels, **settings), logits)
    plain = value_and_grad(lambda x: functional.focal_dice_loss(x, labels, **settings), logits)
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("scale", [1, 20])
def test_float32_is_as_near_to_the_plain_formula_as_float32_can_be(scale):
    logits, labels = random_case()
    ours = value_and_grad(lambda x: focal_dice_loss(x, labels, class_weight=WEIGHTS, gamma=2.5), scale * logits)
    exact = value_and_grad(lambda x: functional.focal_dice_loss(x, labels, class_weight=WEIGHTS, gamma=2.5), scale * logits.double())
    for got, expected in zip(ours, exact):
        torch.testing.assert_close(got.double(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("salt", range(3))
@pytest.mark.parametrize("factor", [None, 0.0, 0.1, 7.5])
def test_carb_equals_the_plain_formula_with_its_gradient(salt, factor):
    logits, labels = random_case(dtype=torch.float64, salt=salt)
    local = random_case(salt=salt + 50)[1][:, :3, :2]
    settings = dict(factor=factor, present=PRESENT, local_labels=local, local_offset_yx=(1, 3))
    ours = value_and_grad(lambda x: slabs.carb_loss(x, labels, **settings), logits)
    plain = value_and_grad(lambda x: region_balance.carb_loss(x, labels, **settings), logits)
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-14)


def test_cross_entropy_maps_equal_the_plain_ones_with_their_gradient():
    logits, labels = random_case(dtype=torch.float64)
    maps, slopes = torch.stack([labels, labels.flip(0)]), some_weights(torch.empty(2, *labels.shape))
    ours = value_and_grad(lambda x: slopes * slabs.cross_entropy_maps(x, maps), logits)
    plain = value_and_grad(lambda x: slopes * region_balance.cross_entropy_maps(x, maps), logits)
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-14)


def test_predictions_are_the_first_of_the_highest_scores():
    logits = torch.randint(0, 3, (2, 5, 8, 8), generator=torch.Generator().manual_seed(0)).float()
    assert torch.equal(slabs.predict_present(logits), logits.argmax(1))
    present = torch.tensor([[1, 0, 1, 1, 0], [0, 0, 0, 0, 1]])
    assert torch.equal(slabs.predict_present(-logits, present), region_balance.predict_present(-logits, present))
    many = torch.randn(1, 300, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(slabs.predict_present(many), many.argmax(1))


def test_slabs_do_not_change_the_result(monkeypatch):
    logits, labels = random_case(dtype=torch.float64)
    pixel_weight = some_weights(labels)
    results = []
    for slab in (slabs._CPU_SLAB_PER_THREAD, 2**19):
        monkeypatch.setattr(slabs, "_CPU_SLAB_PER_THREAD", slab)
        leaf = logits.clone().requires_grad_()
        value = focal_dice_loss(leaf, labels, pixel_weight=pixel_weight)
        results.append((value.detach(), *torch.autograd.grad(value, leaf)))
    torch.testing.assert_close(results[0], results[1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", [(4, 6, 512, 1024), (2, 19, 256, 512), (3, 7, 5, 9), (9, 2, 1, 1), (1, 3, 700, 700)])
def test_slabs_cover_every_pixel_once(shape, monkeypatch):
    monkeypatch.setattr(slabs, "_CPU_SLAB_PER_THREAD", 2**19)
    batch, classes, height, width = shape
    seen = torch.zeros(batch, height * width, dtype=torch.int32)
    for at in slabs.iter_slabs(torch.empty(batch, classes, 1).expand(batch, classes, height * width)):
        seen[at] += 1
    assert (seen == 1).all()


def test_second_derivatives_are_refused():
    logits, labels = random_case()
    (grad,) = torch.autograd.grad(focal_dice_loss(logits.requires_grad_(), labels), logits, create_graph=True)
    with pytest.raises(RuntimeError):
        grad.sum().backward()


def test_pixel_weights_have_the_right_gradient():
    logits, labels = random_case(dtype=torch.float64)
    pixel_weight = some_weights(labels)
    assert torch.autograd.gradcheck(
        lambda x: focal_dice_loss(x, labels, class_weight=WEIGHTS, pixel_weight=pixel_weight), logits.requires_grad_()
    )


def test_large_float32_batches_keep_their_precision(monkeypatch):
    monkeypatch.setattr(slabs, "_CPU_SLAB_PER_THREAD", 2**19)
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 3, 800, 900, generator=rng)
    labels = torch.randint(0, 3, (1, 800, 900), generator=rng)
    exact = functional.focal_dice_loss(logits.double(), labels)
    assert focal_dice_loss(logits, labels).item() == pytest.approx(exact.item(), rel=1e-6)


@pytest.mark.parametrize("weighted_pixels", [False, True])
def test_on_a_device_focal_dice_is_the_same_without_atomics(weighted_pixels):
    logits, labels = random_case(dtype=torch.float64)
    settings = dict(class_weight=WEIGHTS, gamma=1.5, pixel_weight=some_weights(labels) if weighted_pixels else None)
    with as_on_device():
        ours = value_and_grad(lambda x: focal_dice_loss(x, labels, **settings), logits)
    plain = value_and_grad(lambda x: functional.focal_dice_loss(x, labels, **settings), logits)
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-14)


def test_on_a_device_carb_is_the_same():
    logits, labels = random_case(dtype=torch.float64)
    settings = dict(factor=torch.tensor(0.3), present=PRESENT, local_labels=labels[:, :3, :2].flip(0), local_offset_yx=(1, 3))
    with as_on_device():
        ours = value_and_grad(lambda x: slabs.carb_loss(x, labels, **settings), logits)
    plain = value_and_grad(lambda x: region_balance.carb_loss(x, labels, **settings), logits)
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-14)


def test_a_factor_of_nan_is_the_warm_up():
    logits, labels = random_case(dtype=torch.float64)
    factors = (torch.tensor(torch.nan), None)
    nan, none = (value_and_grad(lambda x, factor=factor: slabs.carb_loss(x, labels, factor=factor), logits) for factor in factors)
    torch.testing.assert_close(nan, none, rtol=0, atol=0)


def test_a_graph_that_is_kept_gives_its_gradient_again():
    logits, labels = random_case(dtype=torch.float64)
    leaf = logits.clone().requires_grad_()
    value = focal_dice_loss(leaf, labels)
    first, second, last = (torch.autograd.grad(value, leaf, retain_graph=keep)[0] for keep in (True, True, False))
    assert torch.equal(first, second)
    assert torch.equal(first, last)


def test_what_the_caller_gives_stays_as_it_is():
    logits, labels = random_case()
    pixel_weight = some_weights(labels).float()
    before = logits.clone(), labels.clone(), pixel_weight.clone()
    leaf = logits.requires_grad_()
    focal_dice_loss(leaf, labels, pixel_weight=pixel_weight).backward()
    assert all(torch.equal(a, b) for a, b in zip(before, (leaf.detach(), labels, pixel_weight)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_loses_no_more_than_its_own_rounding(dtype):
    logits, labels = random_case(dtype=dtype)
    value, grad = value_and_grad(lambda x: 1024 * focal_dice_loss(x, labels, class_weight=WEIGHTS), logits)
    exact, exact_grad = value_and_grad(lambda x: 1024 * functional.focal_dice_loss(x, labels, class_weight=WEIGHTS), logits.double())
    assert grad.dtype == dtype
    torch.testing.assert_close(value.double(), exact, rtol=1e-5, atol=0)
    torch.testing.assert_close(grad.double(), exact_grad, rtol=torch.finfo(dtype).eps, atol=1e-6)


def test_autocast_does_not_round_its_sums():
    logits, labels = random_case()
    with torch.autocast("cpu", torch.bfloat16):
        inside = value_and_grad(lambda x: focal_dice_loss(x, labels), logits)
    torch.testing.assert_close(inside, value_and_grad(lambda x: focal_dice_loss(x, labels), logits), rtol=0, atol=0)


def test_the_accuracy_is_the_share_of_right_predictions():
    logits, labels = random_case()
    valid = labels != 255
    _, accuracy = measured_focal_dice(logits, labels, class_weight=WEIGHTS, pixel_weight=some_weights(labels))
    assert accuracy.item() == pytest.approx((logits.argmax(1) == labels)[valid].float().mean().item())
    assert not accuracy.requires_grad
    assert measured_focal_dice(logits, torch.full_like(labels, 255))[1] == 0
