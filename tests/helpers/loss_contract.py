"""What every loss on ``logits [B, C, H, W]`` and ``labels [B, H, W]`` keeps, whatever its formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor


def random_case(num_classes: int = 4, *, dtype: torch.dtype = torch.float32, salt: int = 0) -> tuple[Tensor, Tensor]:
    """Two small images with every class and about a quarter of ignored pixels."""
    rng = torch.Generator().manual_seed(7 + salt)
    logits = 2 * torch.randn(2, num_classes, 4, 6, generator=rng, dtype=torch.float64)
    labels = torch.randint(0, num_classes, (2, 4, 6), generator=rng)
    labels[torch.rand(labels.shape, generator=rng) < 0.25] = 255
    return logits.to(dtype), labels


class LossContract:
    """Subclass it as ``TestX`` and give :meth:`loss`; 255 is the ignored label and there are ``num_classes`` classes."""

    num_classes = 4

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Call the loss under test."""
        raise NotImplementedError

    def value_and_grad(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and its gradient at the logits."""
        leaf = logits.clone().requires_grad_()
        value = self.loss(leaf, labels)
        (grad,) = torch.autograd.grad(value, leaf)
        return value.detach(), grad

    def test_is_one_finite_number_attached_to_the_graph(self):
        logits, labels = random_case(self.num_classes)
        value = self.loss(logits.requires_grad_(), labels)
        assert value.shape == ()
        assert value.isfinite()
        assert value.requires_grad

    def test_ignored_pixels_carry_no_gradient(self):
        logits, labels = random_case(self.num_classes)
        _, grad = self.value_and_grad(logits, labels)
        ignored = (labels == 255)[:, None].expand_as(grad)
        assert (grad[ignored] == 0).all()
        assert (grad[~ignored] != 0).any()

    def test_ignored_pixels_have_no_effect(self):
        logits, labels = random_case(self.num_classes)
        noisy = torch.where((labels == 255)[:, None], 20 * logits.flip(1) + 5, logits)
        value, grad = self.value_and_grad(logits, labels)
        noisy_value, noisy_grad = self.value_and_grad(noisy, labels)
        torch.testing.assert_close(noisy_value, value)
        torch.testing.assert_close(noisy_grad, grad)

    def test_all_ignored_gives_zero_with_a_graph(self):
        logits, labels = random_case(self.num_classes)
        value, grad = self.value_and_grad(logits, torch.full_like(labels, 255))
        assert value == 0
        assert (grad == 0).all()

    def test_perfect_beats_wrong(self):
        logits, labels = random_case(self.num_classes)
        truth = torch.nn.functional.one_hot(labels.where(labels != 255, 0), self.num_classes).movedim(-1, 1).float()
        perfect, wrong = self.loss(12 * truth, labels), self.loss(12 * truth.roll(1, dims=1), labels)
        assert perfect < 0.01
        assert perfect < self.loss(logits, labels) < wrong

    def test_batch_order_is_irrelevant(self):
        logits, labels = random_case(self.num_classes)
        value, grad = self.value_and_grad(logits, labels)
        flipped_value, flipped_grad = self.value_and_grad(logits.flip(0), labels.flip(0))
        torch.testing.assert_close(flipped_value, value)
        torch.testing.assert_close(flipped_grad.flip(0), grad)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_finite_and_near(self, dtype):
        logits, labels = random_case(self.num_classes, dtype=dtype)
        value, grad = self.value_and_grad(logits, labels)
        exact, exact_grad = self.value_and_grad(logits.double(), labels)
        assert grad.dtype == dtype
        assert grad.isfinite().all()
        torch.testing.assert_close(value.double(), exact, rtol=1e-2, atol=1e-3)
        torch.testing.assert_close(grad.double(), exact_grad, rtol=1e-2, atol=1e-3)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_logits_of_80_are_finite(self, dtype):
        logits, labels = random_case(self.num_classes, dtype=dtype)
        value, grad = self.value_and_grad(80 * logits.sign(), labels)
        assert value.isfinite()
        assert grad.isfinite().all()

    def test_gradient_equals_finite_differences(self):
        logits, labels = random_case(self.num_classes, dtype=torch.float64)
        assert torch.autograd.gradcheck(lambda x: self.loss(x, labels), logits.requires_grad_())

    def test_backward_twice_gives_the_same_gradient(self):
        logits, labels = random_case(self.num_classes)
        value = self.loss(logits.requires_grad_(), labels)
        (first,) = torch.autograd.grad(value, logits, retain_graph=True)
        (second,) = torch.autograd.grad(value, logits)
        torch.testing.assert_close(second, first, rtol=0, atol=0)

    def test_inputs_are_left_alone(self):
        logits, labels = random_case(self.num_classes)
        before = logits.clone(), labels.clone()
        self.value_and_grad(logits, labels)
        self.loss(logits, labels)
        torch.testing.assert_close((logits, labels), before, rtol=0, atol=0)

    def test_memory_layout_is_irrelevant(self):
        logits, labels = random_case(self.num_classes)
        value, grad = self.value_and_grad(logits, labels)
        last_value, last_grad = self.value_and_grad(logits.contiguous(memory_format=torch.channels_last), labels)
        torch.testing.assert_close(last_value, value)
        torch.testing.assert_close(last_grad, grad)

    def test_a_bad_shape_raises(self):
        logits, labels = random_case(self.num_classes)
        with pytest.raises(ValueError, match="labels must be"):
            self.loss(logits, labels[:, :2])
        with pytest.raises(ValueError, match="labels must be"):
            self.loss(logits[:1], labels)

    @pytest.mark.parametrize("stray", [-1, 200])
    def test_a_label_outside_the_classes_is_named(self, stray):
        logits, labels = random_case(self.num_classes)
        labels[1, 2, 3] = stray
        with pytest.raises(ValueError, match=f"label id {stray} in .* is neither"):
            self.loss(logits, labels)
