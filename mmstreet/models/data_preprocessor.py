"""mmseg's preprocessor of images, of which a GPU waits for nothing."""

from __future__ import annotations

from mmseg.models import SegDataPreProcessor as _SegDataPreProcessor
from torch import nn

from mmstreet.registry import MODELS


@MODELS.register_module()
class SegDataPreProcessor(_SegDataPreProcessor):
    """Normalise, pad and stack a batch as mmseg's class of this name does, to the last bit, and with its arguments.

    mmseg turns the channels of each image round by a list of numbers, which goes to the GPU when all that was asked of it before is done.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        flag = _flag_of(self)
        self.turns_channels = getattr(self, flag)
        setattr(self, flag, False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Return ``inputs``, float32 ``[B, 3, H, W]``, and ``data_samples``.

        Args:
            data: ``inputs``, one ``[3, h, w]`` per image, and perhaps ``data_samples``.
            training: Whether labels are padded too.
        """
        data = self.cast_data(data)
        if self.turns_channels:
            data = dict(data, inputs=[image.flip(0) if len(image) == 3 else image for image in data["inputs"]])
        return super().forward(data, training)


def turns_channels(preprocessor: nn.Module) -> bool:
    """Whether a preprocessor of images gives the network RGB for BGR, or BGR for RGB."""
    return bool(getattr(preprocessor, _flag_of(preprocessor), False))


def _flag_of(preprocessor: nn.Module) -> str:
    """Name the attribute that says so: here, in MMSegmentation's own releases, or in its fork and in mmengine."""
    return next((name for name in ("turns_channels", "channel_conversion") if hasattr(preprocessor, name)), "_channel_conversion")
