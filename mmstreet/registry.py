"""mmstreet's nodes under mmengine's root registries: the one list of extension points.

A type named ``mmstreet.X`` in a config is looked up here by every OpenMMLab framework, without ``custom_imports``. A
location is listed only when the framework that it needs is installed, so segmentation works without mmdet and
detection without mmseg.
"""

from mmengine import registry as root

from mmstreet.deps import installed

_MMSEG = installed("mmseg")
_MMDET = installed("mmdet")


def _node(name: str, parent: root.Registry, *, core: tuple = (), mmseg: tuple = (), mmdet: tuple = ()) -> root.Registry:
    """Make one child registry; each location is imported the first time that the registry is asked for a type."""
    locations = [*core, *(mmseg if _MMSEG else ()), *(mmdet if _MMDET else ())]
    return root.Registry(name, parent=parent, scope="mmstreet", locations=[f"mmstreet.{place}" for place in locations])


DATASETS = _node(
    "dataset",
    root.DATASETS,
    core=("datasets.remapped", "datasets.class_uniform"),
    mmseg=("datasets.sem_seg", "datasets.shards"),
    mmdet=("datasets.ins_seg",),
)
TRANSFORMS = _node(
    "transform",
    root.TRANSFORMS,
    core=(
        "datasets.loading",
        "datasets.paste",
        "transforms.remap",
        "transforms.augment",
        "transforms.color_jitter",
        "transforms.corruptions",
        "transforms.letterbox",
        "transforms.skeletons",
    ),
    mmseg=("datasets.packing",),
)
MODELS = _node(
    "model",
    root.MODELS,
    core=("losses.modules", "losses.thin_losses", "losses.carb_loss", "predict.exported_segmentor"),
    mmseg=(
        "models.data_preprocessor",
        "models.torchvision_heads",
        "models.efficientnet_lite",
        "models.ladder_head",
        "models.pixelnet",
        "models.vgg",
        "models.carb_head",
        "models.carb_segmentor",
        "models.clip",
        "models.transformers_network",
        "models.transformers_segmentor",
    ),
)
METRICS = _node(
    "metric",
    root.METRICS,
    core=(
        "metrics.semantic",
        "metrics.confidence",
        "metrics.dangerous_confusions",
        "metrics.label_errors",
        "metrics.instance",
        "safety.metric",
    ),
)
HOOKS = _node("hook", root.HOOKS, core=("engine.hooks", "evaluation.refinement"))
DATA_SAMPLERS = _node("data sampler", root.DATA_SAMPLERS, core=("datasets.shard_sampler",))
OPTIM_WRAPPERS = _node("optim_wrapper", root.OPTIM_WRAPPERS, core=("engine.amp",))
OPTIM_WRAPPER_CONSTRUCTORS = _node("optimizer wrapper constructor", root.OPTIM_WRAPPER_CONSTRUCTORS, core=("engine.param_groups",))

# mmengine's root has no node for what follows the network. Build with
# REFINERS.build(dict(type="mmstreet.VoteRefiner", source=dict(type="mmstreet.SuperpixelMasks")), default_args=dict(classes=names)).
_REFINE = "mmstreet.refine."
REFINERS = root.Registry("refiner", scope="mmstreet", locations=[_REFINE + name for name in ("refiners", "crf", "sam_refiner")])
MASK_SOURCES = root.Registry(
    "mask source", scope="mmstreet", locations=[_REFINE + name for name in ("superpixels", "sam", "grounding", "cache")]
)
