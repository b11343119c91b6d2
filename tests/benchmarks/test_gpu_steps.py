"""Every config of BDD100K can be measured on a GPU: its size is found, it needs no hub, and a batch that does not fit is halved."""

import pytest
import torch

from benchmarks import gpu_steps
from benchmarks.gpu_training import CONFIGS, input_hw, make_step
from mmstreet.engine.launch import load_config

CPU = torch.device("cpu")


def read(name):
    return load_config(CONFIGS / f"{name}.py", launcher="none")


@pytest.mark.parametrize("name", gpu_steps.semantic_bdd_configs())
def test_the_size_is_that_of_the_training(name):
    small = name.startswith(("deeplabv3_bdd_v1", "deeplabv3_bdd_v2", "pixelnet"))
    assert input_hw(read(name)) == ((512, 512) if name == "eomt_bdd" else (256, 512) if small else (512, 1024))


@pytest.mark.parametrize("name", [name for name in gpu_steps.semantic_bdd_configs() if gpu_steps.is_of_hub(read(name))])
def test_networks_of_the_hub_are_built_at_their_published_size(name, tmp_path):
    pytest.importorskip("transformers")
    from mmstreet.models.transformers_hub import make_network, read_config

    cfg = gpu_steps.with_random_weights(read(name), tmp_path / "model")
    with torch.device("meta"):
        network = make_network(read_config(cfg.model.model))
    # Millions, as the papers give them; UPerNet's with the auxiliary head, which only its own loss reads.
    published = {"segformer_bdd": 27.5, "upernet_convnext_bdd": 122, "mask2former_bdd": 69, "eomt_bdd": 316}
    assert sum(weight.numel() for weight in network.parameters()) / 1e6 == pytest.approx(published[name], abs=1.5)
    assert not cfg.model.pretrained
    assert network.config.num_labels == 19


def test_plain_is_mmsegs_loss_preprocessor_and_optimizer():
    cfg = gpu_steps.as_plain(read("deeplabv3_bdd_v4"))
    assert cfg.model.data_preprocessor.type == "mmseg.SegDataPreProcessor"
    assert cfg.model.decode_head.loss_decode.type == cfg.model.auxiliary_head.loss_decode.type == "mmseg.CrossEntropyLoss"
    assert "boundary_weight" not in cfg.model.decode_head
    assert "fused" not in cfg.optim_wrapper.optimizer


def test_a_batch_that_does_not_fit_is_halved_until_it_does(monkeypatch):
    tried = []

    def time_steps(cfg, device, *, batch, **settings):
        tried.append(batch)
        if batch > 2:
            raise torch.cuda.OutOfMemoryError("no room")
        return [0.2, 0.1, 0.3], 2**31

    monkeypatch.setattr(gpu_steps, "time_steps", time_steps)
    ((job),) = gpu_steps.measure_configs(CPU, names=["deeplabv3_bdd_v1"], quick=False)
    step, ratio, memory = job()
    assert tried == [8, 4, 2, 2]
    assert "batch 2 of 512×256 (its 8 do not fit)" in step["note"]
    assert (step["value"], ratio["value"], memory["value"]) == (pytest.approx(200), 1.0, 2.0)


def test_smaller_images_are_padded_to_no_more():
    model, _, data = make_step(read("deeplabv3_bdd_v3"), CPU, shrink=16)
    assert model.data_preprocessor(data, True)["inputs"].shape == (2, 3, 32, 64)
