"""What every metric promises, whatever it measures."""

import logging

import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.logging import MMLogger
from mmengine.registry import METRICS

NUM_BATCHED = 3


def evaluate(config, dataset_meta, samples, *, batch_size):
    """Run a metric over samples in batches, in one process."""
    metric = METRICS.build(dict(config))
    metric.dataset_meta = dataset_meta
    for start in range(0, len(samples), batch_size):
        metric.process(None, samples[start : start + batch_size])
    return metric.evaluate(len(samples))


def evaluate_in_process(rank, world_size, folder, config, dataset_meta, samples):
    """Run one process's share of the samples, as mmengine's test loop would, and store what it returns."""
    torch.set_num_threads(1)  # a pool of threads does not survive the fork
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world_size)
    metric = METRICS.build(dict(config, collect_dir=f"{folder}/parts"))
    metric.dataset_meta = dataset_meta
    share = list(DefaultSampler(samples, shuffle=False, round_up=True))
    for start in range(0, len(share), NUM_BATCHED):
        metric.process(None, [samples[i] for i in share[start : start + NUM_BATCHED]])
    torch.save({"share": share, "scores": metric.evaluate(len(samples))}, f"{folder}/result_{rank}.pt")
    torch.distributed.destroy_process_group()


class MetricContract:
    """Subclass, set the attributes, write the three methods, and pytest runs the promises below.

    Attributes:
        config: The metric as a config.
        dataset_meta: Classes and palette of the data set.
        absent: A class that no sample contains and no prediction names.
    """

    config: dict
    dataset_meta: dict
    absent: str

    def samples(self) -> list[dict]:
        """Return an odd number of samples, at least five, as the evaluator passes them on."""
        raise NotImplementedError

    def by_function(self, samples: list[dict]) -> dict[str, float]:
        """Score them with the free functions behind the class."""
        raise NotImplementedError

    def by_loop(self, samples: list[dict]) -> dict[str, float]:
        """Score them with an independent, obvious loop."""
        raise NotImplementedError

    def test_function_equals_loop(self):
        samples = self.samples()
        assert self.by_function(samples) == pytest.approx(self.by_loop(samples), rel=1e-12)

    def test_class_equals_function(self):
        samples = self.samples()
        assert evaluate(self.config, self.dataset_meta, samples, batch_size=1) == self.by_function(samples)

    def test_one_batch_or_many_same_value(self):
        samples = self.samples()
        values = [evaluate(self.config, self.dataset_meta, samples, batch_size=size) for size in (1, 2, len(samples))]
        assert values[0] == values[1] == values[2]

    def test_two_processes_same_value_with_a_padded_last_batch(self, tmp_path):
        samples = self.samples()
        assert len(samples) % 2, "an even number of samples would need no padding"
        arguments = (2, str(tmp_path), self.config, self.dataset_meta, samples)
        # Forked processes need not import the frameworks again.
        torch.multiprocessing.start_processes(evaluate_in_process, arguments, nprocs=2, start_method="fork")
        results = [torch.load(tmp_path / f"result_{rank}.pt") for rank in range(2)]
        assert results[1]["share"][-1] == 0, "the second process was not padded with the first sample"
        assert results[0]["scores"] == results[1]["scores"] == evaluate(self.config, self.dataset_meta, samples, batch_size=2)

    def test_an_absent_class_is_no_number_and_said_so(self, caplog):
        logger = MMLogger.get_instance("metric_contract", log_level="INFO")
        logger.addHandler(caplog.handler)
        with caplog.at_level(logging.INFO):
            scores = evaluate(self.config, self.dataset_meta, self.samples(), batch_size=2)
        logger.removeHandler(caplog.handler)
        assert not [name for name in scores if name.endswith(f"/{self.absent}")]
        lines = [line for line in caplog.text.splitlines() if self.absent in line]
        assert any("n/a" in line for line in lines), caplog.text
