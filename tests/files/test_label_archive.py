"""Label maps come back from bytes and archives as they went in, and nothing else is taken for one."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from mmstreet.files.colors import spread_palette
from mmstreet.files.label_archive import decode_ids, read_label_archive, write_label_archive
from mmstreet.files.pictures import encode_label_map, shrink_ids, write_label_map, write_photo


def test_ids_survive(tmp_path):
    ids = np.random.default_rng(0).integers(0, 255, (37, 53), dtype=np.uint8)
    grey = io.BytesIO()
    Image.fromarray(ids).save(grey, "PNG")
    assert np.array_equal(decode_ids(grey.getvalue()), ids)
    for fast in (False, True):
        assert np.array_equal(decode_ids(encode_label_map(ids, spread_palette(254), fast=fast)), ids)
    path = write_label_map(ids % 7, [(i, 0, 0) for i in range(7)], tmp_path / "a.png")
    assert np.array_equal(decode_ids(path), ids % 7), "an indexed picture holds ids too"


def test_an_archive_gives_each_map_by_its_number_and_equal_maps_equal_bytes(tmp_path):
    maps = {number: np.full((4, 5), number, np.uint8) for number in (0, 3, 200)}
    packed = {number: encode_label_map(ids, spread_palette(254)) for number, ids in maps.items()}
    path = write_label_archive(packed, tmp_path / "predictions.zip")
    assert {number: read_label_archive(path, number)[0, 0] for number in maps} == {0: 0, 3: 3, 200: 200}
    assert read_label_archive(path, 1) is None
    assert path.read_bytes() == write_label_archive(packed, tmp_path / "again.zip").read_bytes()


def picture(mode, size=(4, 4), kind="PNG"):
    data = io.BytesIO()
    Image.new(mode, size).save(data, kind)
    return data.getvalue()


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, picture("RGB"), picture("L", kind="JPEG"), picture("L", (1 << 12, 1 << 11))]
)
def test_what_is_no_label_map_is_said_to_be_none(tmp_path, data):
    with pytest.raises(ValueError, match="no label map that can be shown"):
        decode_ids(data)
    path = write_label_archive({5: data}, tmp_path / "a.zip")
    with pytest.raises(ValueError, match="no label map that can be shown"):
        read_label_archive(path, 5)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + b"\0" * 30, b"hello"])
def test_what_is_no_archive_is_said_to_be_none(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ValueError, match="no archive of label maps"):
        read_label_archive(tmp_path / "a.zip", 0)


def test_an_entry_larger_than_a_map_is_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("000000.png", encode_label_map(np.zeros((8, 8), np.uint8), spread_palette(1)) + bytes(1 << 25))
    assert read_label_archive(tmp_path / "bomb.zip", 0).shape == (8, 8), "only its beginning is read"


def test_shrunk_ids_lie_under_the_shrunk_photo(tmp_path):
    ids = np.zeros((900, 1300), np.uint8)
    ids[:450, 650:] = 7
    small = shrink_ids(ids)
    photo = np.asarray(Image.open(write_photo(np.stack([ids * 30] * 3, 2), tmp_path / "a.jpg")).convert("L"))
    assert small.shape == photo.shape == (443, 640)
    assert ((small == 7) != (photo > 105)).mean() < 0.003, "they differ at the edge alone"
    assert shrink_ids(ids[:, :640]).shape == (900, 640)


@pytest.mark.parametrize("ignored", [255, 7, -1, 300])
def test_bytes_and_wider_integers_are_written_alike(ignored):
    ids = np.arange(256, dtype=np.uint8).reshape(8, 32)
    palette = spread_palette(20)
    found = decode_ids(encode_label_map(ids, palette, ignore_index=ignored))
    assert encode_label_map(ids.astype(np.int64), palette, ignore_index=ignored) == encode_label_map(ids, palette, ignore_index=ignored)
    expected = [255 if i == ignored else min(i, 20) for i in range(256)]
    assert found.flatten().tolist() == expected
    assert np.array_equal(decode_ids(encode_label_map(ids[:, ::2], palette, ignore_index=ignored)), found[:, ::2])
