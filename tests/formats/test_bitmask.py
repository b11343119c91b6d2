import numpy as np
import pytest
from PIL import Image

from mmstreet.files.rle import mask_from_counts
from mmstreet.formats.bitmask import BitmaskReader, read_bitmask, write_bitmask
from mmstreet.formats.bitmask_codec import decode_bitmask, encode_bitmask
from mmstreet.formats.convert import coco_dict


def scene(seed=0, ids=(1, 255, 256, 300, 65535), size=(37, 53)):
    rng = np.random.default_rng(seed)
    owner = np.zeros(size, np.int32)
    for row in range(1, len(ids) + 1):
        y, x = rng.integers(0, size[0] - 8), rng.integers(0, size[1] - 8)
        owner[y : y + 12, x : x + 9] = row
        owner[rng.integers(0, size[0], 5), rng.integers(0, size[1], 5)] = row  # stray pixels: masks of several parts
    flags = {name: rng.random(len(ids)) < 0.5 for name in ("truncated", "occluded", "crowd", "ignored")}
    return owner, rng.integers(1, 9, len(ids)), np.array(ids), flags


def test_published_example_pixel():
    rgba = encode_bitmask(np.array([[0, 1]]), [3], [300], truncated=[True], occluded=[True])
    assert rgba.tolist() == [[[0, 0, 0, 0], [3, 12, 1, 44]]]


@pytest.mark.parametrize(("flag", "bit"), [("truncated", 8), ("occluded", 4), ("crowd", 2), ("ignored", 1)])
def test_each_flag_has_its_bit_and_comes_back(flag, bit):
    rgba = encode_bitmask(np.array([[1]]), [5], [7], **{flag: [True]})
    assert rgba[0, 0, 1] == bit
    (instance,) = decode_bitmask(rgba)
    assert [name for name in ("truncated", "occluded", "crowd", "ignored") if getattr(instance, name)] == [flag]


@pytest.mark.parametrize("seed", range(2))
def test_every_instance_comes_back_with_its_pixels(seed):
    owner, category, ids, flags = scene(seed)
    found = {int(x.source_id): x for x in decode_bitmask(encode_bitmask(owner, category, ids, **flags))}
    assert sorted(found) == sorted(ids[np.unique(owner[owner > 0]) - 1])
    for row, ann_id in enumerate(ids):
        mask = owner == row + 1
        instance, (ys, xs) = found[ann_id], np.nonzero(mask)
        assert instance.category_id == category[row]
        assert all(getattr(instance, name) == values[row] for name, values in flags.items())
        np.testing.assert_array_equal(mask_from_counts(instance.counts, owner.shape), mask)
        assert instance.area == mask.sum()
        assert instance.bbox == (xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1)


def test_runs_are_the_ones_of_pycocotools():
    coco = pytest.importorskip("pycocotools.mask")
    owner, category, ids, flags = scene(3)
    owner[-3:, -3:] = 1  # a mask that reaches the last pixel has no closing run
    owner[0, 0] = 2  # a mask that starts at the first pixel has an empty first run
    for instance in decode_bitmask(encode_bitmask(owner, category, ids, **flags)):
        rle = coco.frPyObjects({"counts": instance.counts.tolist(), "size": list(owner.shape)}, *owner.shape)
        expected = coco.encode(np.asfortranarray(mask_from_counts(instance.counts, owner.shape), np.uint8))
        assert rle == expected
        np.testing.assert_array_equal(coco.toBbox(expected), instance.bbox)


def test_one_id_under_two_classes_gives_two_instances():
    rgba = np.array([[[1, 0, 0, 9], [3, 0, 0, 9]]], np.uint8)
    assert [(x.category_id, x.source_id) for x in decode_bitmask(rgba)] == [(1, "9"), (3, "9")]


def test_background_and_empty_pictures_hold_nothing():
    assert decode_bitmask(np.zeros((4, 5, 4), np.uint8)) == []
    assert decode_bitmask(np.zeros((0, 5, 4), np.uint8)) == []
    assert decode_bitmask(np.full((2, 2, 4), (0, 3, 0, 1), np.uint8)) == []  # the "blank result" pixel of tracking files


def test_bgra_is_refused_instead_of_read_as_empty():
    rgba = encode_bitmask(np.array([[0, 1, 2]]), [3, 4], [5, 300])
    with pytest.raises(ValueError, match="BGRA"):
        decode_bitmask(rgba[..., [2, 1, 0, 3]])


def test_colour_map_is_refused():
    with pytest.raises(ValueError, match="colour map"):
        decode_bitmask(np.full((2, 2, 4), 128, np.uint8))


@pytest.fixture(params=["kornia_rs", "pillow"])
def decoder(request, monkeypatch):
    if request.param == "kornia_rs":
        pytest.importorskip("kornia_rs")
    monkeypatch.setattr("mmstreet.formats.bitmask.installed", lambda name: request.param == name)
    return request.param


def test_png_keeps_every_byte(tmp_path, decoder):
    owner, category, ids, flags = scene(1)
    rgba = encode_bitmask(owner, category, ids, **flags)
    write_bitmask(tmp_path / "a.png", rgba)
    np.testing.assert_array_equal(read_bitmask(tmp_path / "a.png"), rgba)


def test_the_fast_decoder_decodes_where_it_is_installed(tmp_path, monkeypatch):
    kornia_rs = pytest.importorskip("kornia_rs")
    rgba = encode_bitmask(*scene(1)[:3])
    write_bitmask(tmp_path / "a.png", rgba)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("Pillow decoded"))
    np.testing.assert_array_equal(read_bitmask(tmp_path / "a.png"), rgba)
    monkeypatch.undo()
    monkeypatch.setattr(kornia_rs.io, "decode_image_png_u8", lambda *args: np.zeros((1, 1, 4), np.uint8))
    assert read_bitmask(tmp_path / "a.png").shape == (1, 1, 4)


def test_bad_files_are_named(tmp_path, decoder):
    with pytest.raises(FileNotFoundError, match=r"missing\.png"):
        read_bitmask(tmp_path / "missing.png")
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "rgb.png")
    with pytest.raises(ValueError, match=r"rgb\.png has mode RGB"):
        read_bitmask(tmp_path / "rgb.png")
    write_bitmask(tmp_path / "whole.png", np.random.default_rng(0).integers(0, 9, (40, 40, 4), np.uint8))
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:900])
    with pytest.raises(ValueError, match=r"cut\.png cannot be read"):
        read_bitmask(tmp_path / "cut.png")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([[1]], [1], [1, 2]), "one per category id"),
        (([[2]], [1], [1]), "instance_map must lie in 0…1"),
        (([[1]], [0], [1]), "category ids must lie in 1…255"),
        (([[1]], [1], [65536]), "annotation ids must lie in 0…65535"),
        (([[1, 2]], [1, 2], [3, 3]), "must differ"),
        (([1], [1], [1]), r"integers \[H, W\]"),
    ],
)
def test_impossible_input_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        encode_bitmask(np.array(arguments[0]), *arguments[1:])


def test_bitmasks_are_read_in_the_order_of_their_paths(tmp_path):
    for name in ("v2/b.png", "v2/a.png", "c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_bitmask(tmp_path / name, encode_bitmask(np.eye(6, 8, dtype=int), [3], [1]))
    found, _ = coco_dict(BitmaskReader(tmp_path, image_suffix=".png"), workers=1)
    assert [(x["id"], x["file_name"]) for x in found["images"]] == [(1, "c.png"), (2, "v2/a.png"), (3, "v2/b.png")]


def test_unusable_bitmasks_are_counted(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    write_bitmask(tmp_path / "b.png", encode_bitmask(np.array([[1, 2]]), [3, 99], [1, 2]))
    write_bitmask(tmp_path / "c.png", encode_bitmask(np.array([[1, 2]]), [3, 4], [1, 2])[..., [2, 1, 0, 3]])
    found, report = coco_dict(BitmaskReader(tmp_path), workers=1)
    assert len(found["annotations"]) == 1
    assert report.skipped_images == {"bitmask is unreadable": 2}
    assert report.skipped_instances == {"category id is not in the table": 1}
    with pytest.raises(FileNotFoundError, match="no bitmasks below"):
        coco_dict(BitmaskReader(tmp_path / "none"), workers=1)
