"""A data set of MMSegmentation is remapped in one way, and the ways that would train or score wrong classes are refused."""

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

from mmstreet.engine.errors import PreflightError
from mmstreet.engine.run_checks import check_remap
from mmstreet.labels import CITYSCAPES19, STREET6
from mmstreet.predict.image_pipeline import metainfo_of_config
from tests.helpers.street_files import make_root

REMAP = dict(type="mmstreet.RemapLabels", source="cityscapes19_train_ids", target="street6")


def foreign(root, *steps, **settings):
    """mmseg's own Cityscapes: 19 images, the label of image i all of class i."""
    init_default_scope("mmseg")
    if not root.joinpath("gtFine").exists():
        make_root(root, "cityscapes_train_ids", {"val": [f"{i:02d}" for i in range(19)]}, num_classes=19)
    prefix = dict(img_path="leftImg8bit/val", seg_map_path="gtFine/val")
    pipeline = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations"), *steps]
    return dict(type="CityscapesDataset", data_root=str(root), data_prefix=prefix, pipeline=pipeline, **settings)


def test_names_and_labels_agree_after_the_remapping(tmp_path):
    dataset = DATASETS.build(dict(type="mmstreet.RemappedSemSeg", dataset=foreign(tmp_path, REMAP, dict(type="PackSegInputs"))))
    assert len(dataset) == 19
    assert dataset.metainfo["classes"] == STREET6.names
    assert dataset.metainfo["palette"] == STREET6.palette
    for train_id, name in enumerate(CITYSCAPES19.names):
        (label,) = dataset[train_id]["data_samples"].gt_sem_seg.data.unique().tolist()
        assert label == (dataset.metainfo["classes"].index(name) if name in STREET6.names else 255)


def test_prediction_asks_the_wrapper_for_its_classes(tmp_path):
    dataset = dict(type="mmstreet.RemappedSemSeg", dataset=foreign(tmp_path, REMAP))
    assert metainfo_of_config(Config(dict(test_dataloader=dict(dataset=dataset))))["classes"] == STREET6.names


def test_a_wrapper_without_remapping_or_with_another_source_is_refused(tmp_path):
    def wrap(*steps, **settings):
        return DATASETS.build(dict(type="mmstreet.RemappedSemSeg", dataset=foreign(tmp_path, *steps, **settings)))

    with pytest.raises(ValueError, match=r"no mmstreet\.RemapLabels"):
        wrap()
    with pytest.raises(ValueError, match="RemapLabels expects the classes of 'camvid11'"):
        wrap({**REMAP, "source": "camvid11"})
    with pytest.raises(ValueError, match="take classes out of its metainfo"):
        wrap(REMAP, metainfo=dict(classes=STREET6.names))


def test_ids_that_mmseg_has_renamed_are_not_renamed_again(tmp_path):
    dataset = DATASETS.build(foreign(tmp_path, REMAP, metainfo=dict(classes=STREET6.names)))
    with pytest.raises(ValueError, match=r"renamed the ids already.*mmstreet\.RemappedSemSeg"):
        dataset[0]


def test_labels_that_are_remapped_without_new_names_are_refused(tmp_path):
    dataset = DATASETS.build(foreign(tmp_path, REMAP))
    with pytest.raises(PreflightError, match=r"in the classes of 'street6' \(bicycle.*metainfo has road.*mmstreet\.RemappedSemSeg"):
        check_remap(dataset.metainfo["classes"], dataset.pipeline, place="the training set")
    assert np.asarray(dataset[18]["gt_seg_map"]).max() == 0  # "road" by the names of the data set, bicycle in truth
