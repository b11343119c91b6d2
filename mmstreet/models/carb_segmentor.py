"""CARB's segmentor: pseudo-labels by a frozen teacher while training, of the whole view and of one local patch."""

from __future__ import annotations

from urllib.error import URLError

import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor

from mmstreet.models.carb_head import stack_image_labels
from mmstreet.models.data_preprocessor import turns_channels
from mmstreet.registry import MODELS

_OTHER_WEIGHTS = (
    "give a file with --cfg-options model.backbone.init_cfg.checkpoint=FILE (the published backbone's is resnet50_v1c-2cccc1ad.pth), "
    "or take torchvision's ResNet-50 with model.backbone.type=ResNet "
    "model.backbone.init_cfg.checkpoint=https://download.pytorch.org/models/resnet50-0676ba61.pth"
)


@MODELS.register_module()
class CARBSegmentor(EncoderDecoder):
    """An encoder-decoder that learns from image-level labels (Kim, Lee, Choe, Shim, AAAI 2024).

    With a teacher, each step labels the whole view and one patch of it, enlarged; the network sees the view alone, and its scores are
    compared with both: the dual path. With ``masks='file'`` the whole view has the samples' own ``gt_sem_seg``, masks made before, and the
    teacher labels the patch alone: the published ``dual_path=False``. Without a teacher, which is no setting of the published code, there
    is no patch and no CLIP: the masks are all. Samples must say which classes they show, as ``img_label`` among their meta data.

    The teacher is no submodule: it is not trained, not saved with checkpoints and not wrapped for distributed training. It is built at the
    first training step, so testing needs neither CLIP's weights nor ``transformers``.

    Args:
        backbone: The backbone.
        decode_head: The head; ``mmstreet.CARBHead``.
        teacher: ``mmstreet.ClipTeacher``; None takes the masks of the samples.
        masks: Where the pseudo-labels of the whole view come from if there is a teacher: ``'teacher'``, or ``'file'``, the samples'.
        patch_hw: Height and width of the local patch, px; a patch larger than the view is cut to it.
        patch_scale: Range from which the enlargement of the patch is sampled.
        auxiliary_head: A further head or several, on the pseudo-labels of the whole view.
        neck: Between backbone and heads.
        train_cfg: Not used; mmseg passes it on.
        test_cfg: Mode of prediction; ``use_image_labels=True`` keeps predictions to the classes of ``img_label``.
        data_preprocessor: Normalisation and padding.
        pretrained: Weights of the backbone, mmseg's older way.
        init_cfg: Initialisation.

    Raises:
        ValueError: If ``masks`` or ``patch_scale`` is out of range.
    """

    def __init__(
        self,
        *,
        backbone: dict,
        decode_head: dict,
        teacher: dict | None = None,
        masks: str = "teacher",
        patch_hw: tuple[int, int] = (512, 256),
        patch_scale: tuple[float, float] = (1.0, 2.0),
        auxiliary_head: dict | list | None = None,
        neck: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
    ):
        if masks not in ("teacher", "file"):
            raise ValueError(f"masks must be 'teacher' or 'file', got {masks!r}")
        if not 0 < patch_scale[0] <= patch_scale[1] or min(patch_hw) < 1:
            raise ValueError(
                f"expected 0 < patch_scale[0] <= patch_scale[1] and a patch of at least 1 px, got {tuple(patch_scale)}, {tuple(patch_hw)}"
            )
        super().__init__(
            backbone=backbone,
            decode_head=decode_head,
            neck=neck,
            auxiliary_head=auxiliary_head,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            data_preprocessor=data_preprocessor,
            pretrained=pretrained,
            init_cfg=init_cfg,
        )
        self.teacher_cfg = teacher
        self.masks = masks
        self.patch_hw, self.patch_scale = tuple(patch_hw), tuple(patch_scale)
        self._teacher: list = []  # a list hides it from torch's registry of submodules

    def init_weights(self) -> None:
        """Start all layers.

        Raises:
            OSError: If the backbone's pretrained weights cannot be fetched; one sentence, with what to do.
        """
        try:
            super().init_weights()
        except URLError as error:
            checkpoint = (self.backbone.init_cfg or {}).get("checkpoint") if isinstance(self.backbone.init_cfg, dict) else None
            raise OSError(f"the backbone's weights '{checkpoint}' cannot be fetched ({error.reason}); {_OTHER_WEIGHTS}") from error

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Compute the losses of one batch.

        Args:
            inputs: Normalised images, float ``[B, 3, H, W]``.
            data_samples: Their samples; see the class.

        Raises:
            ValueError: If a sample does not say which classes it shows, or there is no pseudo-mask.
        """
        from_file = self.teacher_cfg is None or self.masks == "file"
        if from_file and not all("gt_sem_seg" in sample for sample in data_samples):
            wanted = (
                "there is neither a teacher nor a pseudo-mask" if self.teacher_cfg is None else "masks='file', but there is no pseudo-mask"
            )
            raise ValueError(f"{wanted}; set teacher= and masks='teacher', or masks_dir= and mmstreet.LoadLabels")
        if self.teacher_cfg is not None:
            self._label(inputs, data_samples)
        return super().loss(inputs, data_samples)

    def teacher(self, device: torch.device | str = "cpu") -> torch.nn.Module:
        """Return the teacher on a device, built at the first call."""
        if not self._teacher:
            self._teacher.append(MODELS.build(self.teacher_cfg))
        return self._teacher[0].to(device)

    def _label(self, inputs: Tensor, data_samples: list[SegDataSample]) -> None:
        """Put the pseudo-labels of view and patch into the samples."""
        metas = [sample.metainfo for sample in data_samples]
        present = stack_image_labels(metas, self.decode_head.num_classes, device=inputs.device)
        if present is None:
            raise ValueError("pseudo-labels need img_label in every sample; take a Weak… data set and add it to PackSegInputs' meta_keys")
        teacher, images = self.teacher(inputs.device), self._denormalize(inputs)
        valid_hw = [tuple(meta["img_shape"][:2]) for meta in metas]
        if self.masks == "teacher":
            for sample, labels in zip(data_samples, teacher.label(images, present, valid_hw)):
                sample.gt_sem_seg = PixelData(data=labels[None])
        patch, offset = teacher.label_patch(images, present, self.patch_hw, self.patch_scale, valid_hw)
        for sample, labels in zip(data_samples, patch):
            sample.local_sem_seg = PixelData(data=labels[None])
            sample.set_metainfo(dict(local_offset_yx=offset))

    def _denormalize(self, inputs: Tensor) -> Tensor:
        """Undo the preprocessor's normalisation: RGB, float ``[B, 3, H, W]`` in 0…255."""
        preprocessor = self.data_preprocessor
        images = inputs.float()
        if getattr(preprocessor, "_enable_normalize", False):
            images = images * preprocessor.std.to(images) + preprocessor.mean.to(images)
        return images if turns_channels(preprocessor) else images.flip(1)
