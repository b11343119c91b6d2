"""A trained segmentor as one folder to publish: weights, config, classes, metrics, licence and card."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmstreet import __version__
from mmstreet.deps import require
from mmstreet.engine.errors import LaunchError
from mmstreet.files.atomic import write_json, write_text
from mmstreet.files.hub import EXPORTED
from mmstreet.models.data_preprocessor import turns_channels
from mmstreet.predict.export import export_model
from mmstreet.predict.model_card import render_card
from mmstreet.predict.semantic_model import SemanticModel

_OURS = "model_folder.json"
"""Says that this module wrote a folder, so that it may be written again."""
_WEIGHTS = "model.safetensors"


def write_model_folder(
    model: SemanticModel,
    out: str | Path,
    *,
    name: str,
    licence: str,
    images: Sequence[np.ndarray],
    metrics: Mapping | None = None,
    data: str | None = None,
    size_hw: tuple[int, int] | None = None,
    precision: str = "float32",
) -> list[str]:
    """Write the folder, whole or not at all.

    A :class:`~mmstreet.models.transformers_segmentor.TransformersSegmentor` is written as ``save_pretrained`` writes it, for every user of
    transformers. Every other model goes into ``model.onnx``, which ``Predictor(FOLDER)`` reads, and ``model.safetensors``, which
    ``--checkpoint`` reads beside ``config.py``; one that cannot be exported has the latter only.

    Args:
        model: From :func:`~mmstreet.predict.inference.load_trained`, on the CPU.
        out: The folder; one that this function wrote before is replaced.
        name: Name of the model, ``OWNER/NAME`` on the hub.
        licence: Its licence.
        images: Real images that the exported file is checked with.
        metrics: What ``mmstreet test`` wrote into ``metrics.json``.
        data: What it was tested on.
        size_hw: The only input size of the exported file; ``None`` leaves it open.
        precision: Of the exported file; see :func:`~mmstreet.predict.export.export_model`.

    Returns:
        Remarks: what was left out, and why.

    Raises:
        FileExistsError: If ``out`` holds files of another kind.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / _OURS).is_file())):
        raise FileExistsError(f"'{out}' is there already, and no folder of mmstreet push; give another --folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    published = hasattr(model.model.backbone, "network")
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as place:
        folder, remarks = Path(place) / "model", []
        folder.mkdir()
        files = {"config.py": "config of mmengine", "classes.json": "class names and colours, in the order of the ids"}
        write_text(model.cfg.pretty_text, folder / "config.py")
        write_json({"classes": model.classes, "palette": model.palette, "label_rows": model.label_rows}, folder / "classes.json")
        if published:
            remarks += _save_pretrained(model, folder)
            files |= {_WEIGHTS: "weights for transformers", "config.json": "their config", "preprocessor_config.json": "their processor"}
        else:
            _save_weights(model, folder / _WEIGHTS)
            files[_WEIGHTS] = "weights, for `mmstreet test config.py model.safetensors`"
            try:
                export_model(model, images, folder / EXPORTED, size_hw=size_hw, precision=precision, calibration=images)
                files[EXPORTED] = "the model in one file that runs without PyTorch"
            except LaunchError as error:
                remarks.append(f"{EXPORTED} is left out: {error}")
        if metrics is not None:
            write_json(dict(metrics), folder / "metrics.json")
            files["metrics.json"] = "what `mmstreet test` measured"
        card = render_card(
            name=name,
            licence=licence,
            classes=model.classes,
            architecture=_describe(model, published),
            files=files,
            usage=_USAGE.format(name=name),
            metrics=(metrics or {}).get("metrics"),
            data=data,
        )
        write_text(card, folder / "README.md")
        write_text(f"{name} is licensed under: {licence}\n", folder / "LICENSE")
        scores = {key: round(value, 2) for key, value in ((metrics or {}).get("metrics") or {}).items() if key == "mIoU" and value}
        about = {"name": name, "architecture": _describe(model, published), "scores": scores, "licence": licence}
        write_json({"mmstreet": __version__, "fingerprint": model.fingerprint, **about}, folder / _OURS)
        if out.exists():
            shutil.rmtree(out)
        folder.rename(out)
    return remarks


_USAGE = """
from mmstreet import Predictor

result = Predictor("{name}")("street.jpg")
print(result.shares)
"""


def _save_weights(model: SemanticModel, path: Path) -> None:
    save = require("safetensors.torch", extra="hub").save_file
    meta = {"classes": model.classes, "palette": model.palette.tolist(), "label_rows": [dict(row) for row in model.label_rows]}
    tensors = {key: value.detach().cpu().clone().contiguous() for key, value in model.model.state_dict().items()}
    save(tensors, str(path), metadata={"format": "pt", "dataset_meta": json.dumps(meta)})


def _save_pretrained(model: SemanticModel, folder: Path) -> list[str]:
    """Write the network of transformers with the processor that it was trained with."""
    segmentor, network = model.model, model.model.backbone.network
    network.save_pretrained(folder)
    prep = segmentor.data_preprocessor
    write_json(
        {
            "image_processor_type": "SegformerImageProcessor" if turns_channels(prep) else "MobileViTImageProcessor",
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": [float(x) / 255 for x in prep.mean.flatten()],
            "image_std": [float(x) / 255 for x in prep.std.flatten()],
            "do_flip_channel_order": not turns_channels(prep),
            "do_resize": segmentor.backbone.size_hw is not None,
            **({"size": dict(zip(("height", "width"), segmentor.backbone.size_hw))} if segmentor.backbone.size_hw else {}),
        },
        folder / "preprocessor_config.json",
    )
    own = [network.config.id2label[i] for i in range(network.config.num_labels)]
    if own != list(model.classes):
        return [f"the network's own {len(own)} classes are kept; mmstreet matches them to {len(model.classes)} by name again"]
    return []


def _describe(model: SemanticModel, published: bool) -> str:
    if published:
        return type(model.model.backbone.network).__name__
    return f"{type(model.model.decode_head).__name__} on {type(model.model.backbone).__name__}"
