"""What holds for every config: a new one is found by itself, and only the number of them has to be said."""

import ast
import importlib
import re

import mmengine.registry
import mmseg.registry
from mmengine.registry import Registry, init_default_scope

from mmstreet.deps import installed
from mmstreet.registry import MASK_SOURCES
from mmstreet.registry import REFINERS as REFINER_REGISTRY
from tests.helpers.config_binding import bases_of, config_errors, restated
from tests.helpers.leaf_configs import CONFIGS, INSTANCES, LEAVES, READABLE, REFINERS, chains, load, needs_mmdet

MAX_HOPS, MAX_FILES = 2, 7
OPERATORS = r"\.roi_layer: there is no type 'RoIAlign'|\.nms: there is no type 'nms'|norm_cfg: BatchNorm2d has no setting 'requires_grad'"
"""What mmcv and mmdet look up by name or take out themselves, in no registry."""


def registries_of(*modules):
    """The registries that each module makes itself, those of the framework before mmengine's."""
    found = [(name, value) for module in modules for name, value in vars(module).items() if isinstance(value, Registry)]
    return tuple(value for name, value in found if not name.startswith("MMENGINE_"))


SEGMENTATION = (*registries_of(mmseg.registry, mmengine.registry), REFINER_REGISTRY, MASK_SOURCES)
DETECTION = registries_of(importlib.import_module("mmdet.registry"), mmengine.registry) if installed("mmdet") else ()


def tree_of(name):
    return ast.parse((CONFIGS / f"{name}.py").read_text())


def test_there_are_47_configs_and_7_refiners():
    assert (len(LEAVES), len(REFINERS)) == (48, 7), "say how many there are now"


def test_a_config_is_read_in_two_hops_and_seven_files_at_most():
    found = {name: chains(CONFIGS / f"{name}.py") for name in (*LEAVES, *(f"refine/{name}" for name in REFINERS))}
    hops = {name: max(map(len, paths)) - 1 for name, paths in found.items()}
    files = {name: len({file for path in paths for file in path}) for name, paths in found.items()}
    offenders = [f"{name}: {hops[name]} hops, {files[name]} files" for name in found if hops[name] > MAX_HOPS or files[name] > MAX_FILES]
    assert not offenders, "\n".join(offenders)


def test_every_shared_piece_is_used():
    used = {file for name in LEAVES for path in chains(CONFIGS / f"{name}.py") for file in path}
    assert [file.name for file in sorted((CONFIGS / "_base_").rglob("*.py")) if file not in used] == []


def test_every_type_and_every_setting_exists():
    errors = []
    for name in READABLE:
        detection = name in INSTANCES
        init_default_scope("mmdet" if detection else "mmseg")
        found = config_errors(load(name).to_dict(), DETECTION if detection else SEGMENTATION)
        errors += [f"{name}: {error}" for error in found if not (detection and re.search(OPERATORS, error))]
    assert not errors, "\n".join(errors)


def test_the_check_itself_reports_all_mistakes_at_once():
    cfg = load("deeplabv3_bdd_v3")
    cfg.model.decode_head.atrous_rate = (1, 2)
    cfg.model.backbone.typ = cfg.model.backbone.type
    cfg.train_dataloader.dataset.pipeline[0].type = "LoadImages"
    cfg.train_dataloader.batchsize = 4
    cfg.optim_wraper = dict()
    cfg.custom_hooks[1].num_files = 3
    init_default_scope("mmseg")
    errors = config_errors(cfg.to_dict(), SEGMENTATION)
    said = ["optim_wraper", "batchsize", "LoadImages", "atrous_rate", "'typ'", "num_files"]
    assert len(errors) == len(said), errors
    assert all(any(word in error for error in errors) for word in said)


def test_every_config_opens_with_the_question_that_it_answers():
    questions = {name: ast.get_docstring(tree_of(name)) or "" for name in (*LEAVES, *(f"refine/{name}" for name in REFINERS))}
    assert [name for name, text in questions.items() if not re.match(r"[A-Z][^.]*\?", text.replace("SAM 2.1", "SAM 2"))] == []


def test_no_config_repeats_what_it_inherits():
    found = []
    for path in CONFIGS.rglob("*.py"):
        if needs_mmdet(path) and not DETECTION:
            continue
        inherited = {key: value for base in bases_of(path) if "::" not in str(base) for key, value in load_file(base).items()}
        found += restated(path, inherited)
    assert not found, "\n".join(found)


def load_file(path):
    return load(path.relative_to(CONFIGS).with_suffix("")).to_dict()


def test_a_variant_names_the_config_that_it_changes_and_the_story_has_a_beginning():
    variant_of = {name: load(name).get("_variant_of") for name in READABLE}
    for name in READABLE:
        story = [name]
        while (before := variant_of[story[-1]]) is not None:
            assert before in LEAVES, f"{story[-1]} is said to be a variant of '{before}', which there is not"
            assert before not in story, story
            story.append(before)
    assert variant_of["deeplabv3_bdd_v3"] == "deeplabv3_bdd_v2"
    assert variant_of["deeplabv3_bdd_v2"] == "deeplabv3_bdd_v1"
