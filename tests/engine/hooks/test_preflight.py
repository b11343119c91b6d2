"""Each contradiction in a config stops training before iteration 1, with one sentence that says what to do."""

import re

import cv2
import numpy as np
import pytest
from mmengine.runner import Runner

from mmstreet.engine.errors import PreflightError, TrainingStopped
from mmstreet.engine.hooks import PreflightHook
from tests.helpers.tiny_segmentation import tiny_segmentation, write_dataset

pytest.importorskip("mmseg")
RUNS = iter(range(10_000))


@pytest.fixture
def root(tmp_path):
    write_dataset(tmp_path / "data", split="val", count=2)
    return write_dataset(tmp_path / "data")


def check(cfg, **settings):
    """Build everything that training would, and run the hook."""
    cfg.log_level = "WARNING"
    cfg.experiment_name = f"preflight{next(RUNS)}"
    hook = PreflightHook(**settings)
    hook.before_train(Runner.from_cfg(cfg))


@pytest.fixture
def cfg(root, tmp_path):
    return tiny_segmentation(root, tmp_path / "run")


def stop(cfg, **settings):
    with pytest.raises(PreflightError) as error:
        check(cfg, **settings)
    assert isinstance(error.value, TrainingStopped)
    text = str(error.value)
    assert "\n" not in text
    return text


def test_a_config_in_agreement_passes(cfg):
    check(cfg)


@pytest.mark.parametrize(("head", "place"), [("decode_head", "decode_head"), ("auxiliary_head", "auxiliary_head.0")])
def test_head_width(cfg, head, place):
    target = cfg.model[head] if head == "decode_head" else cfg.model[head][0]
    target.num_classes = 4
    assert stop(cfg) == (
        f"{place}.num_classes is 4, but the training set has 3 classes (road, car, person); set it to 3, "
        "or name the head in PreflightHook's other_heads if it predicts something else"
    )


def test_a_head_that_predicts_something_else_can_be_named(cfg):
    cfg.model.auxiliary_head[0].update(num_classes=2, out_channels=2)
    cfg.model.auxiliary_head[0].loss_decode[0].class_weight = None
    stop(cfg)
    check(cfg, other_heads=["auxiliary_head.0"])


def test_class_order_against_the_class_table(cfg):
    names = ("bicycle", "motorcycle", "pole", "person", "car", "vegetation")
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.metainfo = dict(classes=names)
    for head in (cfg.model.decode_head, cfg.model.auxiliary_head[0]):
        head.num_classes = 6
    expected = "class 3 is 'person' in the training set, but 'car' in class table 'street6'; list the classes in the same order"
    assert stop(cfg) == expected


def test_class_order_against_the_validation_set(cfg):
    cfg.val_dataloader.dataset.metainfo = dict(classes=("road", "person", "car"))
    expected = "class 1 is 'car' in the training set, but 'person' in the validation set; list the classes in the same order"
    assert stop(cfg) == expected


def test_validation_over_the_whole_scene_may_add_background_and_nothing_else(cfg):
    cfg.val_dataloader.dataset.metainfo = dict(classes=("road", "car", "person", "background"))
    check(cfg)
    cfg.val_dataloader.dataset.metainfo = dict(classes=("road", "car", "person", "sky"))
    expected = "the training set has 3 classes (road, car, person), but the validation set has 4 (road, car, person, sky)"
    assert stop(cfg) == expected


def test_classes_of_a_resumed_checkpoint_count_but_those_of_loaded_weights_do_not(cfg):
    def after_loading(resumed):
        cfg.experiment_name = f"preflight{next(RUNS)}"
        runner, hook = Runner.from_cfg(cfg), PreflightHook()
        hook.after_load_checkpoint(runner, {"meta": {"dataset_meta": {"classes": ("road", "person", "car")}}})
        runner.train_loop._iter = 3 if resumed else 0
        hook.before_train(runner)

    after_loading(resumed=False)
    with pytest.raises(PreflightError, match="class 1 is 'car' in the training set, but 'person' in the resumed checkpoint"):
        after_loading(resumed=True)


def test_ignored_label_of_a_head(cfg):
    cfg.model.decode_head.ignore_index = 254
    text = stop(cfg)
    assert text.startswith("the ignored label must be one number everywhere, but it is 254 in decode_head.ignore_index; 255 in ")
    for place in (
        "auxiliary_head.0.ignore_index",
        "data_preprocessor.seg_pad_val",
        "the train dataset's ignore_index",
        "the train pipeline's RandomRotate.seg_pad_val",
        "IoUMetric.ignore_index",
    ):
        assert place in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda cfg: cfg.model.data_preprocessor.update(seg_pad_val=0), "0 in data_preprocessor.seg_pad_val"),
        (lambda cfg: cfg.val_evaluator.update(ignore_index=0), "0 in IoUMetric.ignore_index"),
        (lambda cfg: cfg.val_dataloader.dataset.update(ignore_index=0), "0 in the val dataset's ignore_index"),
        (
            lambda cfg: cfg.train_dataloader.dataset.pipeline[2].transforms[0].update(seg_pad_val=0),
            "0 in the train pipeline's RandomRotate",
        ),
        (
            lambda cfg: cfg.train_dataloader.dataset.pipeline.insert(2, dict(type="Pad", size=(16, 16), pad_val=dict(img=0, seg=7))),
            "7 in the train pipeline's Pad.pad_val['seg']",
        ),
        (
            lambda cfg: cfg.model.decode_head.update(loss_decode=[dict(type="DiceLoss", ignore_index=1)]),
            "1 in decode_head.loss_decode.0.ignore_index",
        ),
    ],
    ids=["preprocessor", "metric", "dataset", "wrapped transform", "pad", "loss"],
)
def test_ignored_label_elsewhere(cfg, change, said):
    change(cfg)
    text = stop(cfg)
    assert text.startswith("the ignored label must be one number everywhere, but it is ")
    assert said in text


def test_number_of_class_weights(cfg):
    cfg.model.auxiliary_head[0].loss_decode[0].class_weight = [1.0] * 19
    expected = "auxiliary_head.0.loss_decode.0 has 19 class weights, but auxiliary_head.0 predicts 3 classes; give one weight per class"
    assert stop(cfg) == expected


def test_a_label_id_that_is_no_class(cfg, root):
    path = root / "labels/train/3.png"
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    labels[5, 7] = labels[6, 0] = 19
    cv2.imwrite(str(path), labels)
    assert stop(cfg) == (
        f"label id 19 in label file '{path}' is neither a class (0…2) nor ignored (255): 2 pixels, first at y=5, x=7; "
        "map the labels with mmstreet.RemapLabels, or correct num_classes"
    )


def test_label_files_are_spread_over_the_training_set(cfg, root):
    bad = np.full((16, 16), 9, np.uint8)
    cv2.imwrite(str(root / "labels/train/2.png"), bad)
    check(cfg, num_label_files=2)  # reads the first and the last
    cv2.imwrite(str(root / "labels/train/5.png"), bad)
    assert re.search("label id 9 in .*labels/train/5.png", stop(cfg, num_label_files=2))
    check(cfg, num_label_files=0)


def test_labels_that_are_all_ignored(cfg, root):
    for path in (root / "labels/train").iterdir():
        cv2.imwrite(str(path), np.full((16, 16), 255, np.uint8))
    text = stop(cfg, num_label_files=4)
    assert text.startswith("4 label files were read and every pixel in them is ignored (255); check the remapping of the labels")


def test_colours_in_place_of_ids(cfg, root):
    cv2.imwrite(str(root / "labels/train/0.png"), np.zeros((16, 16, 3), np.uint8))
    assert "labels/train/0.png' has shape (16, 16, 3); expected one id per pixel" in stop(cfg)


def test_a_missing_label_file_is_named(cfg, root):
    (root / "labels/train/0.png").unlink()
    assert "labels/train/0.png" in stop(cfg)


def test_datasets_inside_wrappers_are_looked_into(cfg, root):
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type="RepeatDataset", times=3, dataset=dict(type="ConcatDataset", datasets=[inner, inner]))
    check(cfg)
    cv2.imwrite(str(root / "labels/train/5.png"), np.full((16, 16), 9, np.uint8))
    assert re.search("label id 9 in .*labels/train/5.png", stop(cfg))


def test_training_stops_before_the_first_iteration(cfg):
    cfg.model.decode_head.ignore_index = 0
    cfg.experiment_name = f"preflight{next(RUNS)}"
    cfg.log_level = "WARNING"
    runner = Runner.from_cfg(cfg)
    with pytest.raises(PreflightError):
        runner.train()
    assert runner.iter == 0


@pytest.mark.parametrize("loader", ["train_dataloader", "val_dataloader"])
def test_labels_of_other_classes_than_the_data_set_names(cfg, loader):
    rows = [dict(name=name) for name in ("car", "road", "person")]
    source = [dict(name=name) for name in ("road", "car", "person")]
    remap = dict(type="mmstreet.RemapLabels", source=source, target=rows, mapping={row["name"]: row["name"] for row in rows})
    cfg[loader].dataset.pipeline.insert(2, remap)
    assert "labels leave the pipeline of the" in stop(cfg)
