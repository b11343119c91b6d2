import mmseg.registry
import pytest
import torch
from mmengine.registry import init_default_scope

from mmstreet.labels import get_table
from tests.helpers.leaf_configs import CARB, load


@pytest.mark.parametrize("name", CARB)
def test_classes_embeddings_and_labels_belong_together(name):
    cfg = load(name)
    head, teacher = cfg.model.decode_head, cfg.model.teacher
    assert head.num_classes == len(get_table(head.table))
    if teacher is not None:
        assert (teacher.table, teacher.text_embeddings) == (head.table, head.text_embeddings)
    types = [step.type for step in cfg.train_dataloader.dataset.pipeline]
    from_disk = teacher is None or cfg.model.get("masks") == "file"
    assert ("mmstreet.LoadLabels" in types) == from_disk
    assert (cfg.train_dataloader.dataset.get("masks_dir") is not None) == from_disk
    assert "img_label" in cfg.train_dataloader.dataset.pipeline[-1].meta_keys


def test_the_published_numbers():
    for name, iterations, warmup, crop, scale in (
        ("carb_cityscapes", 30000, 16000, (512, 1024), (1.0, 2.0)),
        ("carb_camvid", 12000, 4000, (720, 960), (0.5, 2.5)),
        ("carb_wilddash2", 30000, 16000, (512, 1024), (1.0, 2.0)),
    ):
        cfg = load(name)
        assert (cfg.train_cfg.max_iters, cfg.model.decode_head.loss_decode.warmup_iters) == (iterations, warmup)
        assert (tuple(cfg.model.data_preprocessor.size), tuple(cfg.model.patch_scale), tuple(cfg.model.patch_hw)) == (
            crop,
            scale,
            (512, 256),
        )
        crops = next(step for step in cfg.train_dataloader.dataset.pipeline if step.type == "RandomCrop")
        assert tuple(crops.crop_size) == crop
        assert crops.get("cat_max_ratio", 1.0) == 1.0  # less would look at the masks
        optimizer, rate = cfg.optim_wrapper.optimizer, cfg.param_scheduler[0]
        assert (optimizer.type, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == ("SGD", 5e-3, 0.9, 5e-4)
        assert (rate.power, rate.eta_min, cfg.train_dataloader.batch_size) == (0.9, 1e-4, 4)


def test_the_published_network():
    init_default_scope("mmseg")
    cfg = load("carb_cityscapes").model
    with torch.device("meta"):
        model = mmseg.registry.MODELS.build(cfg)
        model.backbone.eval()
        model.decode_head.eval()
        features = model.backbone(torch.empty(1, 3, 64, 128, device="meta"))
    assert features[-1].shape == (1, 2048, 8, 16)
    assert [branch.conv.dilation[0] for branch in model.decode_head.branches] == [6, 12, 18, 24]
    assert all(branch.conv.weight.shape == (512, 2048, 3, 3) for branch in model.decode_head.branches)
    assert model.decode_head.text_embeddings.shape == (19, 512)
    assert not hasattr(model.decode_head, "conv_seg")
    assert not model.with_auxiliary_head
