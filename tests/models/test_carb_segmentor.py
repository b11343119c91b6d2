import copy
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmstreet.labels import CAMVID11
from mmstreet.losses.region_balance import carb_loss
from mmstreet.models.carb_head import CARBHead
from mmstreet.models.text_embeddings import save_text_embeddings
from tests.helpers.tiny_clip import WIDTH, save_tiny_clip

BACKBONE = dict(type="ResNet", depth=18, num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,), stem_channels=8, base_channels=8)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = save_tiny_clip(tmp_path_factory.mktemp("clip"))
    rows = F.normalize(torch.randn(11, WIDTH, generator=torch.Generator().manual_seed(0)), dim=1).numpy()
    save_text_embeddings(folder / "text.npz", rows, classes=CAMVID11.names, prompts=CAMVID11.names, model="none")
    return folder


def config(files, *, dual=True, **changes):
    embeddings = dict(text_embeddings=str(files / "text.npz"), table="camvid11")
    loss = dict(type="mmstreet.CARBLoss", warmup_iters=1)
    return dict(
        type="mmstreet.CARBSegmentor",
        data_preprocessor=dict(
            type="SegDataPreProcessor", mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True, pad_val=0, seg_pad_val=255, size=(48, 64)
        ),
        backbone=BACKBONE,
        decode_head=dict(
            type="mmstreet.CARBHead", in_channels=8, channels=WIDTH, num_classes=11, dilations=(1, 2), loss_decode=loss, **embeddings
        ),
        teacher=dict(type="mmstreet.ClipTeacher", model=str(files), **embeddings) if dual else None,
        patch_hw=(32, 24),
        test_cfg=ConfigDict(mode="whole"),
        **changes,
    )


def build(cfg):
    init_default_scope("mmseg")
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(cfg))
    model.init_weights()
    return model


def batch(*, masks=False, labels=((0, 3), (1, 4, 5))):
    rng = torch.Generator().manual_seed(0)
    samples = []
    for i, ids in enumerate(labels):
        vector = np.zeros(11, bool)
        vector[list(ids)] = True
        height = 48 if i == 0 else 40
        sample = SegDataSample(metainfo=dict(img_shape=(height, 64), ori_shape=(height, 64), img_path=f"{i}.jpg", img_label=vector))
        if masks:
            sample.gt_sem_seg = PixelData(data=torch.randint(0, 11, (1, height, 64), generator=rng))
        samples.append(sample)
    images = [torch.randint(0, 256, (3, 48 if i == 0 else 40, 64), generator=rng, dtype=torch.uint8) for i in range(len(labels))]
    return dict(inputs=images, data_samples=samples)


def losses_of(model, data):
    data = model.data_preprocessor(copy.deepcopy(data), training=True)
    return model(**data, mode="loss"), data


def test_the_head_sums_dilated_branches_and_scores_by_dot_product(files):
    head = build(config(files)).decode_head.eval()
    assert [branch.conv.dilation for branch in head.branches] == [(1, 1), (2, 2)]
    x = torch.randn(2, 8, 6, 7)
    features = sum(F.relu(branch.bn(branch.conv(x))) for branch in head.branches)
    expected = torch.einsum("bdhw,cd->bchw", features, head.text_embeddings)
    torch.testing.assert_close(head((x,)), expected)
    torch.testing.assert_close(head.text_embeddings.norm(dim=1), torch.ones(11))


def test_dual_path_trains_backbone_and_pyramid_and_nothing_else(files):
    model = build(config(files)).train()
    losses, data = losses_of(model, batch())
    losses["decode.loss_carb"].backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    assert all(parameter.grad is None for parameter in model.teacher().parameters())
    assert "decode_head.text_embeddings" not in dict(model.named_parameters())
    assert not any(key.startswith("teacher") or "vision" in key for key in model.state_dict())
    labels = data["data_samples"][1].gt_sem_seg.data[0]
    assert set(labels.unique().tolist()) <= {1, 4, 5, 255}
    assert (labels[40:] == 255).all()  # padding
    assert (labels[:40] != 255).all()


def test_the_loss_is_that_of_view_and_patch_from_the_same_logits(files):
    model = build(config(files)).train()
    model.decode_head.loss_decode.iterations.fill_(5)
    model.decode_head.loss_decode.balance = 0.25
    losses, data = losses_of(model, batch())
    samples = data["data_samples"]
    state = [module.eval() for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert state
    logits = F.interpolate(model.decode_head(model.extract_feat(data["inputs"])), (48, 64), mode="bilinear")
    loss = model.decode_head.loss_by_feat(model.decode_head(model.extract_feat(data["inputs"])), samples)["loss_carb"]
    expected = carb_loss(
        logits,
        torch.cat([sample.gt_sem_seg.data for sample in samples]),
        factor=0.25,
        present=torch.stack([torch.from_numpy(sample.metainfo["img_label"]) for sample in samples]),
        local_labels=torch.cat([sample.local_sem_seg.data for sample in samples]),
        local_offset_yx=samples[0].metainfo["local_offset_yx"],
    )
    torch.testing.assert_close(loss, expected)
    assert {
        "decode.consistent_ce",
        "decode.inconsistent_ce",
        "decode.consistent_area",
        "decode.inconsistent_area",
        "decode.balance",
    } <= set(losses)


def test_without_a_teacher_the_masks_of_the_samples_are_all(files):
    model = build(config(files, dual=False)).train()
    data = batch(masks=True)
    losses, prepared = losses_of(model, data)
    assert losses["decode.loss_carb"] > 0
    assert torch.equal(prepared["data_samples"][0].gt_sem_seg.data, data["data_samples"][0].gt_sem_seg.data)
    with pytest.raises(ValueError, match="neither a teacher nor a pseudo-mask"):
        losses_of(model, batch())


def test_global_masks_can_come_from_files_beside_a_teacher_for_the_patch(files):
    model = build(config(files, masks="file")).train()
    data = batch(masks=True)
    _, prepared = losses_of(model, data)
    assert torch.equal(prepared["data_samples"][0].gt_sem_seg.data, data["data_samples"][0].gt_sem_seg.data)
    assert prepared["data_samples"][0].local_sem_seg.data.shape == (1, 32, 24)


def test_masks_from_files_are_the_published_single_path(files):
    """``dual_path=False`` there: the label of the view is replaced by the file's, the patch is still labelled by CLIP."""
    model = build(config(files, masks="file")).train()
    model.decode_head.loss_decode.iterations.fill_(5)
    torch.manual_seed(3)
    losses, data = losses_of(model, batch(masks=True))
    samples = data["data_samples"]
    torch.manual_seed(3)
    images = model._denormalize(data["inputs"])
    present = torch.stack([torch.from_numpy(sample.metainfo["img_label"]) for sample in samples])
    patch, offset = model.teacher().label_patch(images, present, (32, 24), (1.0, 2.0), [(48, 64), (40, 64)])
    assert torch.equal(torch.cat([sample.local_sem_seg.data for sample in samples]), patch)
    assert samples[0].metainfo["local_offset_yx"] == offset
    assert losses["decode.loss_carb"] > 0
    with pytest.raises(ValueError, match="masks='file', but there is no pseudo-mask"):
        losses_of(model, batch())


def test_weights_that_cannot_be_fetched_are_one_sentence(files, monkeypatch):
    """The host is not asked: what its silence raises comes at once."""

    def silent(*args, **kwargs):
        raise URLError("Name or service not known")

    monkeypatch.setattr("mmengine.runner.checkpoint.load_url", silent)
    cfg = config(files)
    cfg["backbone"] = dict(cfg["backbone"], init_cfg=dict(type="Pretrained", checkpoint="open-mmlab://resnet50_v1c"))
    with pytest.raises(OSError, match=r"'open-mmlab://resnet50_v1c' cannot be fetched .*checkpoint=FILE .*type=ResNet") as caught:
        build(cfg)
    assert "\n" not in str(caught.value)


def test_images_without_labels_give_no_loss_and_a_backward_pass(files):
    model = build(config(files)).train()
    losses, _ = losses_of(model, batch(labels=((), ())))
    losses["decode.loss_carb"].backward()
    assert losses["decode.loss_carb"] == 0
    assert all((parameter.grad == 0).all() for parameter in model.parameters())


def test_the_teacher_sees_the_picture_itself(files):
    model = build(config(files))
    data = batch(labels=((0,),))
    inputs = model.data_preprocessor(data, training=True)["inputs"]
    torch.testing.assert_close(model._denormalize(inputs)[0], data["inputs"][0].flip(0).float(), atol=1e-4, rtol=0)  # BGR to RGB


def test_predictions_can_keep_to_the_classes_of_the_image(files):
    model = build(config(files)).eval()
    data = batch(labels=((2, 7),))
    data = model.data_preprocessor(data, training=False)
    with torch.no_grad():
        free = model(**copy.deepcopy(data), mode="predict")[0]
        model.test_cfg.use_image_labels = True
        kept = model(**copy.deepcopy(data), mode="predict")[0]
    scores = free.seg_logits.data
    assert set(kept.pred_sem_seg.data.unique().tolist()) <= {2, 7}
    expected = torch.tensor([2, 7])[scores[[2, 7]].argmax(0)]
    assert torch.equal(kept.pred_sem_seg.data[0], expected)
    assert kept.seg_logits.data.isfinite().all()


def test_a_checkpoint_brings_embeddings_iterations_and_queue(files):
    model = build(config(files)).train()
    for _ in range(3):
        losses_of(model, batch())
    other = MODELS.build(copy.deepcopy(config(files)))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.decode_head.text_embeddings, model.decode_head.text_embeddings)
    loss = other.decode_head.loss_decode
    assert loss.iterations == 3
    assert loss.queue_length == 2
    assert torch.equal(loss.queue, model.decode_head.loss_decode.queue)


def test_scoring_without_embeddings_is_refused(files):
    head = MODELS.build(copy.deepcopy(config(files)["decode_head"]))
    with pytest.raises(ValueError, match="has no text embeddings yet"):
        head((torch.randn(1, 8, 4, 4),))


def test_a_checkpoint_with_embeddings_that_coincide_is_refused(files):
    head = build(config(files)).decode_head
    state = head.state_dict()
    state["text_embeddings"][4] = state["text_embeddings"][1]
    other = MODELS.build(copy.deepcopy(config(files)["decode_head"]))
    other.load_state_dict(state)
    with pytest.raises(ValueError, match="CARBHead: the text embeddings of 'building' and 'pavement' coincide"):
        other((torch.randn(1, 8, 4, 4),))


def test_without_embeddings_the_classifier_is_learned():
    loss = dict(type="mmstreet.CARBLoss")
    head = CARBHead(in_channels=8, channels=6, num_classes=11, loss_decode=loss)
    assert head.conv_seg.weight.shape == (11, 6, 1, 1)


def test_labels_of_another_length_are_named(files):
    model = build(config(files)).train()
    data = batch()
    data["data_samples"][0].set_metainfo(dict(img_label=np.ones(19, bool)))
    with pytest.raises(ValueError, match=r"image '0\.jpg' has an img_label of 19 classes, but the head predicts 11"):
        losses_of(model, data)
    data["data_samples"][0].set_metainfo(dict(img_label=None))
    with pytest.raises(ValueError, match="need img_label in every sample"):
        losses_of(model, data)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (dict(masks="disk"), "masks must be 'teacher' or 'file'"),
        (dict(patch_scale=(2.0, 1.0)), "expected 0 < patch_scale"),
        (dict(decode_head=dict(num_classes=19)), "table 'camvid11' has 11 classes"),
        (dict(decode_head=dict(table=None)), "needs table= beside text_embeddings="),
    ],
)
def test_bad_settings_are_named(files, change, said):
    cfg = config(files)
    cfg["decode_head"] = {**cfg["decode_head"], **change.pop("decode_head", {})}
    with pytest.raises(ValueError, match=said):
        build({**cfg, **change})
