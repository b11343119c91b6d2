"""The compiled loops of the focal and Dice loss against the formula in float64."""

import pytest
import torch

from mmstreet.losses import focal_dice, functional
from tests.helpers.loss_contract import LossContract, random_case

loops = pytest.importorskip("mmstreet.losses.focal_dice_numba", reason="needs numba: extra 'fast'", exc_type=ImportError)


@pytest.fixture(autouse=True)
def _also_small_ones(monkeypatch):
    monkeypatch.setattr(focal_dice, "COMPILED_FROM", 1)


@pytest.fixture
def counted(monkeypatch):
    """How often the loops measured something."""
    calls, real = [], loops.measure
    monkeypatch.setattr(loops, "measure", lambda *arguments: calls.append(arguments) or real(*arguments))
    return calls


class TestCompiledFocalDice(LossContract):
    def loss(self, logits, labels):
        return focal_dice.focal_dice_loss(logits, labels, class_weight=[0.5, 0.1, 10.0, 1.0], gamma=3.0, dice_weight=1.5)


def value_accuracy_grad(logits, labels, **settings):
    leaf = logits.clone().requires_grad_()
    value, accuracy = focal_dice.measured_focal_dice(leaf, labels, **settings)
    return value.detach(), accuracy, torch.autograd.grad(3 * value, leaf)[0]


def exact(logits, labels, **settings):
    leaf = logits.double().requires_grad_()
    value = functional.focal_dice_loss(leaf, labels, **settings)
    return value.detach(), torch.autograd.grad(3 * value, leaf)[0]


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.3])
@pytest.mark.parametrize("shape", [(1, 2, 1, 1), (2, 6, 37, 41), (3, 19, 100, 181), (2, 5, 700)], ids=str)
def test_value_gradient_and_accuracy(counted, shape, gamma):
    rng = torch.Generator().manual_seed(sum(shape))
    logits = 4 * torch.randn(shape, generator=rng)
    labels = torch.randint(shape[1], (shape[0], *shape[2:]), generator=rng)
    labels[torch.rand(labels.shape, generator=rng) < 0.2] = 255
    labels.flatten()[0] = 1
    weights = torch.rand(shape[1], generator=rng) + 0.1
    weights[0] = 0
    settings = dict(class_weight=weights, gamma=gamma, dice_weight=0.7, pixel_weight=2 * torch.rand(labels.shape, generator=rng))
    value, accuracy, grad = value_accuracy_grad(logits, labels, **settings)
    expected, expected_grad = exact(logits, labels, **settings)
    assert len(counted) == 1
    torch.testing.assert_close(value.double(), expected, rtol=2e-6, atol=1e-7)
    torch.testing.assert_close(grad.double(), expected_grad, rtol=1e-5, atol=2e-6 * float(expected_grad.abs().max()))
    valid = labels != 255
    assert accuracy == pytest.approx(float((logits.argmax(1) == labels)[valid].double().mean()), abs=1e-7)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("gap", [1e-7, 1e-3, 16.0, 30.0, 100.0, 1e4])
def test_the_sure_and_the_hopeless(gap, gamma):
    logits = torch.tensor([gap, 0.0, -gap]).view(1, 3, 1, 1).expand(1, 3, 1, 3).contiguous()
    labels = torch.tensor([[[0, 1, 2]]])
    value, _, grad = value_accuracy_grad(logits, labels, gamma=gamma)
    expected, expected_grad = exact(logits, labels, gamma=gamma)
    torch.testing.assert_close(value.double(), expected, rtol=2e-6, atol=1e-7)
    torch.testing.assert_close(grad.double(), expected_grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_passed_on(bad):
    logits, labels = random_case()
    labels[0, 1, 2] = 3
    logits[0, 3, 1, 2] = bad
    value = focal_dice.focal_dice_loss(logits, labels)
    assert not value.isfinite()


def test_threads_change_no_bit():
    rng = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(3, 7, 150, 230, generator=rng), torch.randint(7, (3, 150, 230), generator=rng)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(value_accuracy_grad(logits, labels))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other):
            assert torch.equal(a, b)


@pytest.mark.parametrize("ignore_index", [0, 2, -1, 255])
def test_any_label_may_be_the_ignored_one(ignore_index):
    logits, labels = random_case()
    labels[labels == 255] = ignore_index
    value, accuracy, grad = value_accuracy_grad(logits, labels, ignore_index=ignore_index)
    expected, expected_grad = exact(logits, labels, ignore_index=ignore_index)
    torch.testing.assert_close(value.double(), expected, rtol=2e-6, atol=1e-7)
    torch.testing.assert_close(grad.double(), expected_grad, rtol=1e-5, atol=1e-6)
    valid = labels != ignore_index
    assert accuracy == pytest.approx(float((logits.argmax(1) == labels)[valid].double().mean()), abs=1e-7)


@pytest.mark.parametrize("stray", [4, 254, -3, 2**40])
def test_a_label_that_is_no_class_is_named(stray):
    logits, labels = random_case()
    labels[1, 3, 5] = stray
    with pytest.raises(ValueError, match=str(stray)):
        focal_dice.focal_dice_loss(logits, labels)


def test_labels_of_one_byte(counted):
    logits, labels = random_case()
    assert focal_dice.focal_dice_loss(logits, labels.byte()) == focal_dice.focal_dice_loss(logits, labels)
    assert len(counted) == 2


@pytest.mark.parametrize(
    "change",
    [lambda x: x.double(), lambda x: x.bfloat16(), lambda x: x.to(memory_format=torch.channels_last), lambda x: x[:, :, ::2]],
    ids=["double", "bfloat16", "channels last", "strided"],
)
def test_other_logits_take_the_other_way(counted, change):
    logits, labels = random_case()
    logits = change(logits)
    labels = labels[:, :: 4 // logits.shape[2]]
    expected = functional.focal_dice_loss(logits, labels)
    torch.testing.assert_close(focal_dice.focal_dice_loss(logits, labels), expected)
    assert not counted


def test_small_logits_wait_for_no_compiler(counted, monkeypatch):
    monkeypatch.undo()
    focal_dice.focal_dice_loss(*random_case())
    assert not counted


def test_the_gradient_can_be_asked_for_twice():
    logits, labels = random_case()
    leaf = logits.requires_grad_()
    value = focal_dice.focal_dice_loss(leaf, labels)
    (first,) = torch.autograd.grad(value, leaf, retain_graph=True)
    (second,) = torch.autograd.grad(value, leaf)
    assert torch.equal(first, second)
