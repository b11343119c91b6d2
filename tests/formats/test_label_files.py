"""Ids, palette and colours give the same labels; what no table explains is refused with file, value and place."""

import numpy as np
import pytest
from PIL import Image

from mmstreet.formats.label_files import LabelFileError, decode_labels, label_kind, read_labels
from mmstreet.labels import BDD100K_SEM19, CAMVID11, CITYSCAPES19, STREET6_BACKGROUND
from tests.helpers.street_files import truncate, write_labels

RNG = np.random.default_rng(0)
LABELS = RNG.choice([*range(19), 255], (13, 17)).astype(np.uint8)


def colorize_labels(labels, table):
    """The obvious loop; void is black."""
    rgb = np.zeros((*labels.shape, 3), np.uint8)
    for label in table.labels:
        rgb[labels == label.train_id] = label.color
    return rgb


def test_ids_come_back(tmp_path):
    path = write_labels(tmp_path / "a.png", LABELS)
    assert label_kind(path.read_bytes()) == "ids"
    np.testing.assert_array_equal(read_labels(path, BDD100K_SEM19), LABELS)


@pytest.mark.parametrize("stray", [19, 128, 253, 254])
def test_ids_that_are_train_ids_already_are_checked_all_the_same(stray, tmp_path):
    labels = LABELS.copy()
    labels[3, 4] = stray
    with pytest.raises(LabelFileError, match=rf"label id {stray} in .*y=3, x=4"):
        read_labels(write_labels(tmp_path / "a.png", labels), BDD100K_SEM19)
    assert read_labels(write_labels(tmp_path / "b.png", LABELS), BDD100K_SEM19).flags.writeable


@pytest.mark.parametrize("alpha", [False, True])
def test_colours_become_ids(alpha, tmp_path):
    rgb = colorize_labels(LABELS, BDD100K_SEM19)
    rgb = np.dstack([rgb, np.full(LABELS.shape, 255, np.uint8)]) if alpha else rgb
    path = write_labels(tmp_path / "a.png", rgb)
    assert label_kind(path.read_bytes()) == "rgb"
    np.testing.assert_array_equal(read_labels(path, BDD100K_SEM19), LABELS)


def test_black_is_a_class_where_the_table_says_so(tmp_path):
    path = write_labels(tmp_path / "a.png", np.zeros((4, 5, 3)))
    assert (read_labels(path, STREET6_BACKGROUND) == STREET6_BACKGROUND.index("background")).all()
    assert (read_labels(path, BDD100K_SEM19) == 255).all()


def test_palette_indices_are_known_by_their_colour_in_any_order(tmp_path):
    order = RNG.permutation(19)
    palette = [0, 0, 0] + [channel for train_id in order for channel in BDD100K_SEM19.palette[train_id]]
    index_of = {255: 0} | {int(train_id): i + 1 for i, train_id in enumerate(order)}
    path = write_labels(tmp_path / "a.png", np.vectorize(index_of.get)(LABELS), palette=palette)
    assert label_kind(path.read_bytes()) == "palette"
    np.testing.assert_array_equal(read_labels(path, BDD100K_SEM19), LABELS)


def test_palette_indices_are_ids_on_request(tmp_path):
    labels = np.where(LABELS == 255, 0, LABELS)
    path = write_labels(tmp_path / "a.png", labels, palette=[7, 77, 177] * 20)
    with pytest.raises(LabelFileError, match=r"colour \(7, 77, 177\) at index 0.*palette='index'"):
        read_labels(path, BDD100K_SEM19)
    np.testing.assert_array_equal(read_labels(path, BDD100K_SEM19, palette="index"), labels)


def test_a_grey_palette_means_its_grey_values(tmp_path):
    # what a PNG optimiser makes of the ids 3, 9, 18
    path = write_labels(tmp_path / "a.png", [[0, 1, 2]], palette=[3, 3, 3, 9, 9, 9, 18, 18, 18])
    assert read_labels(path, BDD100K_SEM19).tolist() == [[3, 9, 18]]


def test_palette_colours_that_no_pixel_uses_do_not_matter(tmp_path):
    palette = [1, 2, 3] + BDD100K_SEM19.palette[0] + BDD100K_SEM19.palette[13] + [9, 9, 9]
    path = write_labels(tmp_path / "a.png", [[1, 2, 2]], palette=palette)
    assert read_labels(path, BDD100K_SEM19).tolist() == [[0, 13, 13]]


def test_a_black_palette_is_not_read_as_void(tmp_path):
    path = write_labels(tmp_path / "a.png", [[0, 3]], palette=[0, 0, 0] * 20)
    with pytest.raises(LabelFileError, match=r"no colour but black.*LoadLabels\(palette='index'\)"):
        read_labels(path, BDD100K_SEM19)
    assert read_labels(path, BDD100K_SEM19, palette="index").tolist() == [[0, 3]]


def test_a_grey_ramp_over_ids_gets_the_advice_to_read_indices(tmp_path):
    path = write_labels(tmp_path / "a.png", [[0, 3, 18]], palette=[channel for i in range(20) for channel in [13 * i] * 3])
    with pytest.raises(LabelFileError, match=r"colour \(39, 39, 39\) at index 3.*palette='index'"):
        read_labels(path, BDD100K_SEM19)


def test_camvids_void_id_is_void(tmp_path):
    assert read_labels(write_labels(tmp_path / "a.png", [[10, 11]]), CAMVID11).tolist() == [[10, 255]]
    with pytest.raises(LabelFileError, match="label id 12"):
        read_labels(write_labels(tmp_path / "b.png", [[12]]), CAMVID11)


def test_ids_on_disk_become_train_ids(tmp_path):
    path = write_labels(tmp_path / "a.png", [[7, 33, 26, 255]])  # Cityscapes' labelIds of road, bicycle, car
    assert read_labels(path, CITYSCAPES19).tolist() == [[0, 18, 13, 255]]


def test_an_id_outside_the_table_is_named_with_place_and_count(tmp_path):
    labels = np.zeros((6, 7), np.uint8)
    labels[2, 3] = labels[5, 5] = 19
    labels[4, 0] = 200
    path = write_labels(tmp_path / "a.png", labels)
    with pytest.raises(LabelFileError, match=r"label id 19 in .*a\.png is not in table 'bdd100k_sem19'.*2 pixels, first at y=2, x=3"):
        read_labels(path, BDD100K_SEM19)
    ignored = read_labels(path, BDD100K_SEM19, unlisted="ignore")
    assert (ignored[labels == 0] == 0).all()
    assert (ignored[labels != 0] == 255).all()
    _, outside = decode_labels(path.read_bytes(), BDD100K_SEM19, path=path)
    assert [(o.label_id, o.y, o.x, o.count) for o in outside] == [(19, 2, 3, 2), (200, 4, 0, 1)]


def test_a_colour_of_another_table_is_named_with_place(tmp_path):
    rgb = colorize_labels(np.zeros((4, 4), np.uint8), BDD100K_SEM19)
    rgb[1, 2] = CAMVID11.palette[0]
    path = write_labels(tmp_path / "a.png", rgb)
    with pytest.raises(LabelFileError, match=r"a\.png has \(128, 128, 128\) at y=1, x=2, which is no class of table 'bdd100k_sem19'"):
        read_labels(path, BDD100K_SEM19)


def test_ids_in_three_equal_channels_are_refused_with_advice(tmp_path):
    path = write_labels(tmp_path / "a.png", np.full((4, 4, 3), 5))
    with pytest.raises(LabelFileError, match="three channels are equal: save one"):
        read_labels(path, BDD100K_SEM19)


def test_an_instance_bitmask_is_refused(tmp_path):
    path = write_labels(tmp_path / "a.png", np.full((4, 4, 4), (3, 12, 1, 44)))
    with pytest.raises(LabelFileError, match="instance bitmasks"):
        read_labels(path, BDD100K_SEM19)


def test_other_files_are_refused_by_what_they_are(tmp_path):
    path = tmp_path / "a.png"
    cases = {"a JPEG": lambda: Image.new("L", (8, 8)).save(path, "JPEG"), "empty": lambda: path.write_bytes(b"")}
    cases |= {"no PNG": lambda: path.write_bytes(b"x" * 100), "16 bits": lambda: Image.new("I;16", (8, 8)).save(path)}
    cases |= {"1 bit per pixel": lambda: Image.new("1", (8, 8)).save(path)}
    cases |= {"alpha channel": lambda: Image.new("LA", (8, 8)).save(path)}
    for reason, write in cases.items():
        write()
        with pytest.raises(LabelFileError, match=rf"a\.png .*{reason}"):
            read_labels(path, BDD100K_SEM19)


def test_a_truncated_file_is_named(tmp_path):
    path = truncate(write_labels(tmp_path / "a.png", RNG.integers(0, 19, (64, 64))))
    with pytest.raises(LabelFileError, match=r"a\.png cannot be decoded"):
        read_labels(path, BDD100K_SEM19)
