import math

import pytest
import torch
import torch.nn.functional as F

from mmstreet.losses.carb_loss import CARBLoss
from mmstreet.losses.region_balance import balance_factor, carb_loss, cross_entropy_maps, place_patch, predict_present
from mmstreet.registry import MODELS
from tests.helpers.loss_contract import LossContract, random_case
from tests.helpers.published_carb import PublishedCarbLoss, masked_means

PRESENT = torch.tensor([[1, 1, 0, 1], [0, 1, 1, 1]], dtype=torch.bool)


def case_with_patch(salt=0, dtype=torch.float32):
    logits, labels = random_case(dtype=dtype, salt=salt)
    _, other = random_case(salt=salt + 50)
    return logits, labels, other[:, :3, :2], (1, 3)


class TestCarbLossFunction(LossContract):
    def loss(self, logits, labels):
        return carb_loss(logits, labels, factor=0.3)


class TestCarbLossWithClassesAndPatch(LossContract):
    def loss(self, logits, labels):
        present = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 0]])
        return carb_loss(logits, labels, factor=0.3, present=present, local_labels=labels[:, 1:, 2:5], local_offset_yx=(1, 2))


class TestCarbLossModule(LossContract):
    def loss(self, logits, labels):
        return MODELS.build(dict(type="mmstreet.CARBLoss", warmup_iters=0, balance=0.5))(logits, labels)


class TestCarbLossModuleInWarmUp(LossContract):
    def loss(self, logits, labels):
        return MODELS.build(dict(type="mmstreet.CARBLoss", warmup_iters=9))(logits, labels)


@pytest.mark.parametrize("salt", range(6))
@pytest.mark.parametrize("factor", [0.0, 0.1, 1.0, 7.5])
def test_it_is_the_sum_of_four_masked_means(salt, factor):
    logits, labels, local, offset = case_with_patch(salt)
    one, four = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    ours = carb_loss(one, labels, factor=factor, present=PRESENT, local_labels=local, local_offset_yx=offset)
    preds = predict_present(logits, PRESENT)
    (y, x), (h, w) = offset, local.shape[1:]
    agreeing, others = masked_means(four, labels, preds)
    local_agreeing, local_others = masked_means(four[..., y : y + h, x : x + w], local, preds[:, y : y + h, x : x + w])
    expected = agreeing + local_agreeing + factor * (others + local_others)
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-6)
    ours.backward()
    expected.backward()
    torch.testing.assert_close(one.grad, four.grad, rtol=0, atol=1e-6)


def test_without_a_factor_it_is_the_cross_entropy_of_view_and_patch():
    logits, labels, local, (y, x) = case_with_patch(dtype=torch.float64)
    expected = F.cross_entropy(logits, labels, ignore_index=255)
    expected = expected + F.cross_entropy(logits[..., y : y + 3, x : x + 2], local, ignore_index=255)
    torch.testing.assert_close(carb_loss(logits, labels, factor=None, local_labels=local, local_offset_yx=(y, x)), expected)


def test_a_factor_may_be_computed_from_the_regions_of_the_view():
    logits, labels, local, offset = case_with_patch(dtype=torch.float64)
    seen = []
    patch = dict(local_labels=local, local_offset_yx=offset)
    value = carb_loss(logits.requires_grad_(), labels, factor=lambda sums, pixels: seen.append((sums, pixels)) or 0.3, **patch)
    torch.testing.assert_close(value, carb_loss(logits, labels, factor=0.3, **patch))
    ((sums, pixels),) = seen
    agree, valid = predict_present(logits) == labels, labels != 255
    maps = F.cross_entropy(logits, labels, ignore_index=255, reduction="none")
    assert pixels.tolist() == [(agree & valid).sum(), (~agree & valid).sum()]
    torch.testing.assert_close(sums, torch.stack([maps[agree].sum(), maps[~agree].sum()]).detach())
    assert not sums.requires_grad


def test_maps_equal_torchs_cross_entropy_per_pixel():
    logits, labels = random_case(dtype=torch.float64)
    maps = cross_entropy_maps(logits, torch.stack([labels, labels.flip(0)]))
    for got, ids in zip(maps, (labels, labels.flip(0))):
        torch.testing.assert_close(got, F.cross_entropy(logits, ids, ignore_index=255, reduction="none"))


def test_predictions_keep_to_present_classes_when_these_score_below_zero():
    logits, _ = random_case()
    logits = -logits.abs() - 1
    preds = predict_present(logits, PRESENT)
    assert all(PRESENT[i, preds[i]].all() for i in range(2))


def test_a_patch_outside_the_view_is_refused():
    with pytest.raises(ValueError, match="does not lie in a view of 4x6 px"):
        place_patch(torch.zeros(1, 3, 3, dtype=torch.long), (2, 0), (4, 6))


def test_present_of_another_width_is_refused():
    logits, labels = random_case()
    with pytest.raises(ValueError, match=r"present must be \[B, C\] = \[2, 4\]"):
        carb_loss(logits, labels, factor=1.0, present=torch.ones(2, 5))


def pushed(loss, consistent, inconsistent, pixels=10):
    loss._remember(torch.tensor([consistent, inconsistent]) * pixels, torch.tensor([pixels, pixels]))


def test_lambda_is_the_ratio_of_the_last_five_means():
    loss = CARBLoss()
    pushed(loss, 0.2, 2.0)
    assert loss.factor().item() == pytest.approx(0.1)
    loss = CARBLoss()
    for i in range(7):
        pushed(loss, float(i), 1.0)
    assert loss.factor().item() == pytest.approx((2 + 3 + 4 + 5 + 6) / 5)
    assert loss.queue_length == 5


@pytest.mark.parametrize(
    ("consistent", "inconsistent", "expected"), [(1.0, 1e-9, 10.0), (1e-9, 1e-9, 1e-3), (0.0, 1.0, 0.0), (50.0, 1.0, 10.0)]
)
def test_lambda_stays_between_0_and_its_limit(consistent, inconsistent, expected):
    assert balance_factor(torch.tensor([[consistent], [inconsistent]]), 1).item() == pytest.approx(expected)


def test_lambda_of_an_empty_queue_is_its_coefficient():
    assert balance_factor(torch.zeros(2, 5), 0, coeff=0.5).item() == 0.5


def test_warm_up_ends_after_its_last_iteration():
    logits, labels, local, offset = case_with_patch()
    plain = F.cross_entropy(logits, labels, ignore_index=255)
    crop = logits[..., offset[0] : offset[0] + 3, offset[1] : offset[1] + 2]
    plain = plain + F.cross_entropy(crop, local, ignore_index=255)
    loss = CARBLoss(warmup_iters=3)
    values = [loss(logits, labels, local_labels=local, local_offset_yx=offset) for _ in range(4)]
    assert loss.iterations == 4
    for value in values[:3]:
        torch.testing.assert_close(value, plain)
    agreeing, others = masked_means(logits, labels, predict_present(logits))
    expected = carb_loss(logits, labels, factor=agreeing / others, local_labels=local, local_offset_yx=offset)
    torch.testing.assert_close(values[3], expected)


def test_an_endless_warm_up_is_plain_cross_entropy():
    logits, labels = random_case()
    torch.testing.assert_close(CARBLoss(warmup_iters=10**9)(logits, labels), F.cross_entropy(logits, labels, ignore_index=255))


def test_agreement_everywhere_gives_no_inconsistent_loss_and_leaves_the_queue():
    logits, _ = random_case()
    loss = CARBLoss(warmup_iters=0)
    pushed(loss, 0.2, 2.0)
    before = loss.queue.clone()
    logits.requires_grad_()
    value = loss(logits, logits.argmax(1))
    assert value.isfinite()
    assert loss.log_vars["inconsistent_ce"] == 0
    assert loss.log_vars["inconsistent_area"] == 0
    assert torch.equal(loss.queue, before)
    assert loss.queue_length == 1
    value.backward()
    assert logits.grad.isfinite().all()


def test_an_image_without_labels_gives_zero_and_a_backward_pass():
    logits, labels = random_case()
    logits.requires_grad_()
    loss = CARBLoss(warmup_iters=0)
    value = loss(logits, torch.full_like(labels, 255), present=torch.zeros(2, 4))
    value.backward()
    assert value == 0
    assert (logits.grad == 0).all()
    assert loss.queue_length == 0


def test_evaluation_mode_counts_nothing():
    logits, labels = random_case()
    loss = CARBLoss(warmup_iters=0)
    loss(logits, labels)
    state = {key: value.clone() for key, value in loss.state_dict().items()}
    loss.eval()(logits.roll(1, 1), labels)
    assert all(torch.equal(value, state[key]) for key, value in loss.state_dict().items())


def test_a_saved_loss_goes_on_exactly():
    cases = [random_case(salt=salt) for salt in range(9)]
    whole, first, second = (CARBLoss(warmup_iters=2) for _ in range(3))
    expected = [whole(*case) for case in cases]
    head = [first(*case) for case in cases[:5]]
    second.load_state_dict(first.state_dict())
    tail = [second(*case) for case in cases[5:]]
    assert torch.equal(torch.stack(head + tail), torch.stack(expected))
    assert second.iterations == 9
    assert set(second.state_dict()) == {"iterations", "queue", "queue_length"}


def test_step_by_step_it_is_the_published_loss_where_that_has_no_fault():
    """Every region holds pixels, λ stays below its limit, and classes that are shown score above zero, where the published 0 loses."""
    ours, published = CARBLoss(warmup_iters=2), PublishedCarbLoss(warmup_iters=2)
    for salt in range(9):
        logits, labels, local, offset = case_with_patch(salt)
        one, two = (logits.add(20).requires_grad_() for _ in range(2))
        value = ours(one, labels, present=PRESENT, local_labels=local, local_offset_yx=offset)
        expected = published(two, labels, PRESENT, local, offset)
        torch.testing.assert_close(value, expected)
        value.backward()
        expected.backward()
        torch.testing.assert_close(one.grad, two.grad, rtol=0, atol=1e-6)


def test_an_absent_class_never_makes_a_pixel_inconsistent():
    """Two pixels. At pixel 0 every present class scores below zero, so the published argmax is absent class 2; at pixel 1 it is class 0."""
    logits = torch.tensor([[[[-1.0, 2.0]], [[-2.0, 0.0]], [[-9.0, -9.0]]]])
    labels, present = torch.tensor([[[0, 0]]]), torch.tensor([[1, 1, 0]])
    away = math.log(1 + math.exp(-1) + math.exp(-8))  # -log softmax of class 0 at pixel 0
    near = math.log(1 + math.exp(-2) + math.exp(-11))
    published = PublishedCarbLoss(warmup_iters=0)
    assert (logits * present[:, :, None, None]).argmax(1).tolist() == [[[2, 0]]]
    assert published(logits, labels, present, labels, (0, 0)).item() == pytest.approx(2 * (near + near / away * away), rel=1e-6)
    assert CARBLoss(warmup_iters=0)(logits, labels, present=present).item() == pytest.approx((near + away) / 2, rel=1e-6)


def test_an_empty_region_spoils_no_step_after_it():
    agree, mixed = random_case()[0], random_case(salt=1)
    published, fixed = PublishedCarbLoss(warmup_iters=0), CARBLoss(warmup_iters=0)
    everything = torch.ones(2, 4)
    assert published(agree + 20, agree.argmax(1), everything, agree.argmax(1), (0, 0)).isnan()
    assert fixed(agree, agree.argmax(1)).isfinite()
    assert [published(mixed[0] + 20, mixed[1], everything, mixed[1], (0, 0)).isnan().item() for _ in range(6)] == [True] * 4 + [False] * 2
    assert all(fixed(*mixed).isfinite() for _ in range(6))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (dict(warmup_iters=-1), "warmup_iters >= 0"),
        (dict(queue_size=0), "queue_size >= 1"),
        (dict(balance=-0.1), "balance >= 0"),
        (dict(balance=math.nan), "balance >= 0"),
    ],
)
def test_bad_settings_are_named(settings, said):
    with pytest.raises(ValueError, match=said):
        CARBLoss(**settings)


def test_weights_per_pixel_are_refused():
    logits, labels = random_case()
    with pytest.raises(ValueError, match="takes no weight per pixel"):
        CARBLoss()(logits, labels, torch.ones(labels.shape))


def agree_on_lambda(rank, port, results):
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    loss = CARBLoss(warmup_iters=0)
    for step in range(4):
        logits, labels = random_case(salt=2 * step + rank)
        if step == 1 and rank == 1:
            labels = logits.argmax(1)  # one process agrees everywhere, the other does not
        if step == 2:
            labels = labels[:1] if rank else labels  # batches of different size
            logits = logits[:1] if rank else logits
        loss(logits, labels)
    results.put((rank, loss.queue.tolist(), loss.queue_length.item(), loss.factor().item()))
    dist.barrier()
    dist.destroy_process_group()


def test_two_processes_agree_on_lambda_and_equal_one_process_with_both_batches():
    import socket

    import torch.multiprocessing as mp

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    results = mp.get_context("fork").SimpleQueue()
    mp.start_processes(agree_on_lambda, args=(port, results), nprocs=2, start_method="fork")
    first, second = sorted(results.get() for _ in range(2))
    assert first[1:] == second[1:]
    alone = CARBLoss(warmup_iters=0)
    for step in range(4):
        (a, la), (b, lb) = (random_case(salt=2 * step + rank) for rank in range(2))
        lb = b.argmax(1) if step == 1 else lb
        b, lb = (b[:1], lb[:1]) if step == 2 else (b, lb)
        alone(torch.cat([a, b]), torch.cat([la, lb]))
    torch.testing.assert_close(torch.tensor(first[1]), alone.queue)
    assert first[3] == pytest.approx(alone.factor().item(), rel=1e-5)
