"""Does every loss and every metric give on an accelerator what it gives on the CPU?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from mmengine.evaluator import BaseMetric
from mmengine.registry import DefaultScope

from mmstreet.labels import get_table
from mmstreet.losses.modules import BatchLoss
from mmstreet.registry import METRICS, MODELS

_CLOSE = 1e-4
"""Greatest distance of losses and gradients, in parts of the greatest number."""


_RANKING = ("LovaszSoftmaxLoss",)
"""Losses whose gradient at a pixel is the step of its rank. Two devices round errors in float32 differently in the last digit, so that
neighbours change places; both orders are right, the loss is the same, and each gradient is one of its subgradients. So in float32 the loss
alone is compared, and the gradient in float64, where hardly any errors are so near."""


def compare_losses(device: torch.device) -> Iterator[Callable[[], list[dict]]]:
    """Give one job per loss of the registry, in float32 and in bfloat16, and in float64 for those that rank their pixels."""
    for kind in loss_kinds():
        for dtype in (torch.float32, torch.bfloat16, *([torch.float64] if kind.__name__ in _RANKING else [])):
            yield lambda kind=kind, dtype=dtype: [_compare_loss(kind, dtype, device)]


def loss_kinds() -> list[type[BatchLoss]]:
    """Return every loss of the registry that is one number for the batch."""
    MODELS.import_from_location()
    return sorted({kind for kind in MODELS.module_dict.values() if isinstance(kind, type) and issubclass(kind, BatchLoss)}, key=str)


def loss_inputs(kind: type[BatchLoss], dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Make logits, and labels in blocks of which some are ignored."""
    rng = torch.Generator().manual_seed(0)
    channels = 1 if kind.__name__ == "BoundaryLoss" else 6
    logits = torch.randn(2, channels, 96, 160, generator=rng).to(dtype)
    labels = torch.randint(6, (2, 12, 20), generator=rng).repeat_interleave(8, 1).repeat_interleave(8, 2)
    labels[:, :9] = 255
    return logits, labels


def loss_step(kind: type[BatchLoss], device: torch.device) -> tuple[Callable[[], None], list[torch.Tensor]]:
    """Return the forward and backward pass of a loss, and the tensors that count as the device's."""
    logits, labels = (x.to(device) for x in loss_inputs(kind, torch.float32))
    loss = kind().to(device)
    return lambda: loss(logits.requires_grad_(), labels).backward(), [logits, labels, *loss.buffers()]


def _compare_loss(kind: type[BatchLoss], dtype: torch.dtype, device: torch.device) -> dict:
    logits, labels = loss_inputs(kind, dtype)
    found = []
    for place in (torch.device("cpu"), device):
        leaf = logits.to(place, copy=True).requires_grad_()
        value = kind().to(place)(leaf, labels.to(place))
        value.backward()
        found.append((value.detach().double().cpu(), leaf.grad.double().cpu()))
    (value, grad), (other, other_grad) = found
    apart = float((value - other).abs() / value.abs().clamp_min(1e-12))
    value_only = kind.__name__ in _RANKING and dtype == torch.float32
    if not value_only:
        apart = max(apart, float((grad - other_grad).abs().max() / grad.abs().max()))
    note = f"{float(other):.6f}; {'loss alone' if value_only else 'loss or gradient, relative to the greatest'}"
    return dict(what=f"{kind.__name__}, {str(dtype)[6:]}", value=apart, unit="", note=note, failed=not apart <= _close(dtype))


def _close(dtype: torch.dtype) -> float:
    return 1e-2 if dtype == torch.bfloat16 else _CLOSE  # the gradient is rounded to eight bits


def compare_metrics(device: torch.device) -> Iterator[Callable[[], list[dict]]]:
    """Give one job per metric of the registry that scores label maps."""
    for kind in metric_kinds():
        yield lambda kind=kind: [_compare_metric(kind, device)]


def metric_kinds() -> list[type[BaseMetric]]:
    """Return every metric of the registry that scores label maps."""
    METRICS.import_from_location()
    found = sorted(METRICS.module_dict.items())
    return [kind for name, kind in found if kind.__module__.startswith("mmstreet.") and "InsMetric" not in name]


def metric_step(kind: type[BaseMetric], device: torch.device) -> tuple[Callable[[], None], list[torch.Tensor]]:
    """Return the update of a metric by three images, and the tensors that count as the device's."""
    metric, (images, samples) = _make_metric(kind), _metric_inputs(device)
    return lambda: metric.process({"inputs": images}, samples), [image["data"] for sample in samples for image in list(sample.values())[1:]]


def _make_metric(kind: type[BaseMetric]) -> BaseMetric:
    with DefaultScope.overwrite_default_scope("mmseg"):
        metric = kind()
    metric.dataset_meta = {"classes": get_table("bdd100k_sem19").names}
    return metric


def _metric_inputs(device: torch.device) -> tuple[list[torch.Tensor], list[dict]]:
    """Make three images with truth, prediction and scores."""
    table = get_table("bdd100k_sem19")
    rng = torch.Generator().manual_seed(0)
    labels = torch.randint(len(table), (3, 1, 23, 40), generator=rng).repeat_interleave(8, 2).repeat_interleave(8, 3)
    labels[:, :, :30] = 255
    preds = torch.randint(len(table), labels.shape, generator=rng).where(torch.rand(labels.shape, generator=rng) < 0.3, labels % 255)
    preds = preds.clamp_max(len(table) - 1)
    logits = torch.randn(3, len(table), *labels.shape[2:], generator=rng).scatter_add_(1, preds, torch.full(preds.shape, 2.0))
    truth, pred, score = (x.to(device) for x in (labels, preds, logits))
    return list(score), [
        dict(img_path=f"{i}.jpg", pred_sem_seg=dict(data=pred[i]), gt_sem_seg=dict(data=truth[i]), seg_logits=dict(data=score[i]))
        for i in range(len(truth))
    ]


def _compare_metric(kind: type[BaseMetric], device: torch.device) -> dict:
    scores = []
    for place in (torch.device("cpu"), device):
        metric, (images, samples) = _make_metric(kind), _metric_inputs(place)
        metric.process({"inputs": images}, samples)
        scores.append(metric.evaluate(len(samples)))
    first, second = scores
    apart = max((abs(first[name] - second[name]) for name in first), default=float("nan"))
    same = first.keys() == second.keys() and apart <= 1e-3
    return dict(what=kind.__name__, value=apart, unit="", note=f"greatest distance of {len(first)} scalars", failed=not same)
