"""Checks of an installation: what is present, missing or in conflict, and whether each task builds and runs."""

from __future__ import annotations

import importlib
import importlib.metadata as metadata
import platform
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass

from mmstreet.deps import installed
from mmstreet.engine.compiled_ops import NO_OPS, find_prebuilt, has_ops

FRAMEWORKS = ("torch", "mmengine", "mmcv", "mmseg", "mmdet", "numpy", "cv2")
FAMILIES = {
    "mmengine": ("onedl-mmengine", "mmengine"),
    "mmcv": ("onedl-mmcv", "mmcv", "mmcv-lite", "mmcv-full"),
    "mmseg": ("onedl-mmsegmentation", "mmsegmentation"),
    "mmdet": ("onedl-mmdetection", "mmdet"),
}
"""Distributions that install the same import package; at most one of each row may be present."""

_LITE = "mmcv-lite"
"""mmcv without its compiled ops; it goes with either family."""
EXTRAS = {
    "instances": "pycocotools",
    "superpixel": "skimage",
    "crf": "pydensecrf",
    "clip": "transformers",
    "sam": "transformers",
    "export": "onnxruntime",
}
"""The import that each extra of mmstreet brings."""


@dataclass(frozen=True)
class Finding:
    """One line of the report. ``level`` is ``ok``, ``note`` (an extra is missing), ``warn`` or ``fail`` (training cannot work)."""

    check: str
    level: str
    detail: str


def examine(*, look_up: bool = False) -> list[Finding]:
    """Run every check and return the findings in order; never raises, a check that breaks is itself a finding.

    Args:
        look_up: Where mmcv has no compiled ops, also look in the network for a wheel that fits.
    """
    findings = [Finding("python", "ok", f"{platform.python_version()} on {platform.platform()}")]
    checks: list[tuple[str, Callable[[], list[Finding]]]] = [
        ("families", _families),
        ("imports", _imports),
        ("mmcv ops", _mmcv_ops),
        ("mmcv wheel", lambda: [Finding("mmcv wheel", "note", find_prebuilt())] if look_up and not has_ops() else []),
        ("extras", _extras),
        ("device", _device),
        ("semantic task", _semantic_task),
        ("instance task", _instance_task),
    ]
    for name, check in checks:
        try:
            findings += check()
        except Exception as error:
            findings.append(Finding(name, "fail", f"{type(error).__name__}: {error}"))
    return findings


def training_works(findings: list[Finding]) -> bool:
    """Tell whether no finding is a failure."""
    return all(f.level != "fail" for f in findings)


def as_json(findings: list[Finding]) -> dict:
    """The report as plain data: ``{"ok": bool, "python": path, "findings": [...]}``."""
    return {"ok": training_works(findings), "python": sys.executable, "findings": [asdict(f) for f in findings]}


def clashes(distributions: set[str]) -> list[Finding]:
    """Find import packages that two installed distributions both claim.

    Args:
        distributions: Lower-case names of installed distributions.
    """
    found = []
    for module, owners in FAMILIES.items():
        present = [name for name in owners if name in distributions]
        if len(present) > 1:
            advice = f"{' and '.join(present)} overwrite each other's files; uninstall all of them and install one again"
            found.append(Finding(f"families: {module}", "fail", advice))
    return found


def _families() -> list[Finding]:
    names = {d.metadata["Name"].lower() for d in metadata.distributions() if d.metadata["Name"]}
    onedl = any(name.startswith("onedl-mm") for name in names)
    upstream = any(name in names for owners in FAMILIES.values() for name in owners if not name.startswith("onedl-") and name != _LITE)
    found = clashes(names)
    if onedl and upstream and not found:
        found.append(Finding("families", "fail", "parts of both families are installed; take all from [onedl] or all from [openmmlab]"))
    return found or [Finding("families", "ok", "onedl" if onedl else "openmmlab" if upstream else "none installed")]


def _imports() -> list[Finding]:
    owners = metadata.packages_distributions()
    found = []
    for name in FRAMEWORKS:
        if not installed(name):
            level = "note" if name == "mmdet" else "fail"
            found.append(Finding(name, level, f"not installed; run: {_install_line(name)}"))
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module = importlib.import_module(name)
        except ImportError as error:
            found.append(Finding(name, "fail", explain_import_error(str(error))))
            continue
        providers = ", ".join(sorted({f"{d} {metadata.version(d)}" for d in owners.get(name, [])}))
        found.append(Finding(name, "ok", f"{module.__version__} from {providers or 'an unpackaged folder'}"))
    return found


def _install_line(name: str) -> str:
    return f"pip install 'mmstreet[{'onedl' if name == 'mmdet' else 'light'}]'"


def explain_import_error(message: str) -> str:
    """Add what to do to the import errors that OpenMMLab's users meet most.

    Args:
        message: Text of the ImportError.
    """
    if "libGL" in message or "libgthread" in message or "libglib" in message:
        return f"{message}; OpenCV needs system libraries (Debian: apt-get install libgl1 libglib2.0-0)"
    if "undefined symbol" in message:
        return f"{message}; mmcv was compiled against another torch: delete its cached wheel and build it again with this torch"
    if "mmcv._ext" in message:
        return NO_OPS
    if "incompatible" in message:
        return f"{message}; install the versions of one file in constraints/"
    return message


def _mmcv_ops() -> list[Finding]:
    if not has_ops():
        return [Finding("mmcv ops", "note", NO_OPS)]
    try:
        import torch
        from mmcv.ops import nms
    except ImportError as error:
        return [Finding("mmcv ops", "fail", explain_import_error(str(error)))]
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 9.0, 10.0], [20.0, 20.0, 30.0, 30.0]])
    kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5)[1].tolist()
    if kept != [0, 2]:
        return [Finding("mmcv ops", "fail", f"nms kept {kept} where [0, 2] is right; build mmcv again with this torch")]
    return [Finding("mmcv ops", "ok", "compiled and working")]


def _extras() -> list[Finding]:
    return [
        Finding(f"extra [{extra}]", "ok", f"{module} present")
        if installed(module)
        else Finding(f"extra [{extra}]", "note", f"not installed; if you want it: pip install 'mmstreet[{extra}]'")
        for extra, module in EXTRAS.items()
    ]


def _device() -> list[Finding]:
    import torch

    if torch.cuda.is_available():
        return [Finding("device", "ok", f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}")]
    return [Finding("device", "ok", f"CPU, {torch.get_num_threads()} threads; no GPU is visible to torch")]


def _semantic_task() -> list[Finding]:
    if not installed("mmseg"):
        return [Finding("semantic task", "fail", "needs mmseg; run: pip install 'mmstreet[light]'")]
    import torch

    norm = dict(type="BN")
    head = dict(in_channels=512, channels=16, num_classes=6, norm_cfg=norm, loss_decode=dict(type="mmstreet.FocalDiceLoss"))
    model = _build(
        "mmseg",
        dict(
            type="EncoderDecoder",
            data_preprocessor=dict(type="SegDataPreProcessor"),
            backbone=dict(type="ResNet", depth=18, norm_cfg=norm),
            decode_head=dict(type="FCNHead", in_index=3, num_convs=1, **head),
            test_cfg=dict(mode="whole"),
        ),
    )
    with torch.no_grad():
        logits = model(torch.zeros(1, 3, 64, 64), mode="tensor")
    return [Finding("semantic task", "ok", f"a small FCN gave logits {list(logits.shape)}")]


def _instance_task() -> list[Finding]:
    if not installed("mmdet"):
        return [Finding("instance task", "note", "mmdet is not installed; instance segmentation needs it")]
    if not has_ops():
        return [Finding("instance task", "note", "not tried: it needs mmcv's compiled ops")]
    import torch
    from mmdet.structures import DetDataSample
    from mmengine.config import Config
    from mmengine.utils import get_installed_path

    base = Config.fromfile(f"{get_installed_path('mmdet')}/.mim/configs/_base_/models/mask-rcnn_r50_fpn.py").model
    base.backbone.update(depth=18, init_cfg=None)
    base.neck.update(in_channels=[64, 128, 256, 512])
    base.test_cfg.rpn.update(nms_pre=50, max_per_img=20)
    model = _build("mmdet", base)
    sample = DetDataSample(metainfo=dict(img_shape=(64, 64), ori_shape=(64, 64), scale_factor=(1.0, 1.0), pad_shape=(64, 64)))
    with torch.no_grad():
        found = model(torch.zeros(1, 3, 64, 64), [sample], mode="predict")[0].pred_instances
    return [Finding("instance task", "ok", f"a small Mask R-CNN proposed, pooled and suppressed its way to {len(found)} instances")]


def _build(scope: str, cfg: dict):
    """Build one model in a framework's scope, in eval mode, without touching the caller's default scope."""
    from mmengine.registry import MODELS, DefaultScope

    with DefaultScope.overwrite_default_scope(scope), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MODELS.build(cfg).eval()
