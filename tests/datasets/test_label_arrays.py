import contextlib
import io
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest

from mmstreet.datasets.label_arrays import read_label_arrays

CLASSES = ("road", "car", "tree")
VECTORS = {"city/a_000019": [1, 0, 1], "b": [0, 0, 0], "c": [0, 1, 0]}
EXPECTED = {"city/a_000019": (0, 2), "b": (), "c": (1,)}


def write(path, content, *, protocol=None, header=None, replace=None):
    """An ``.npy`` file with one object, pickled with any protocol; ``replace`` changes bytes of the pickle."""
    array = np.empty((), object)
    array[()] = content
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    if protocol is not None or replace:
        buffer = io.BytesIO()
        np.lib.format.write_array_header_1_0(buffer, header or {"descr": "|O", "fortran_order": False, "shape": ()})
        data = pickle.dumps(array, protocol=protocol or 3)
        buffer.write(data.replace(*replace) if replace else data)
    path.write_bytes(buffer.getvalue())
    return path


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f8", "u1", "i8", "?"])
def test_vectors_of_any_number_type_are_read(tmp_path, dtype):
    path = write(tmp_path / "l.npy", {key: np.array(vector, dtype) for key, vector in VECTORS.items()})
    found = read_label_arrays(path, classes=CLASSES)
    assert (found.classes, dict(found.labels)) == (CLASSES, EXPECTED)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_files_of_any_pickle_protocol_are_read(tmp_path, protocol):
    path = write(tmp_path / "l.npy", {key: np.array(vector, "f4") for key, vector in VECTORS.items()}, protocol=protocol)
    assert read_label_arrays(path, classes=CLASSES).labels == EXPECTED


@pytest.mark.parametrize(
    "names", [(b"numpy._core.multiarray", b"numpy.core.multiarray"), (b"numpy.core.multiarray", b"numpy._core.multiarray")]
)
def test_files_of_numpy_1_and_2_are_read(tmp_path, names):
    path = write(tmp_path / "l.npy", {key: np.array(vector, "f4") for key, vector in VECTORS.items()}, protocol=2, replace=names)
    assert read_label_arrays(path, classes=CLASSES).labels == EXPECTED


def test_numpy_itself_reads_the_same(tmp_path):
    path = write(tmp_path / "l.npy", {key: np.array(vector, "f4") for key, vector in VECTORS.items()})
    theirs = np.load(path, allow_pickle=True).item()
    assert {key: tuple(np.flatnonzero(vector)) for key, vector in theirs.items()} == read_label_arrays(path, classes=CLASSES).labels


class Command:
    """Pickles as a call of ``os.system``."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("place", ["whole", "value", "key"])
def test_code_in_the_file_is_not_run(tmp_path, place):
    command = Command(f"touch {tmp_path}/ran")
    content = {"whole": command, "value": {"a": command}, "key": {command: np.ones(3)}}[place]
    with pytest.raises(ValueError, match=r"asks for '(posix|nt)\.system', which label vectors do not need"):
        read_label_arrays(write(tmp_path / "l.npy", content), classes=CLASSES)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["eval", "getattr", "open", "__import__"])
def test_builtins_are_not_given_out(tmp_path, name):
    path = write(tmp_path / "l.npy", {"a": np.ones(3)}, protocol=2, replace=(b"numpy\ndtype", b"builtins\n" + name.encode()))
    with pytest.raises(ValueError, match="which label vectors do not need"):
        read_label_arrays(path, classes=CLASSES)


def test_the_stand_ins_cannot_be_changed_from_a_file(tmp_path):
    """A pickle may set attributes of an object that it was given: here defaults of the function that decodes bytes."""
    attack = b"\x80\x02c_codecs\nencode\nN}X\x0c\x00\x00\x00__defaults__X\x01\x00\x00\x00x\x85s\x86b."
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": ()})
    (tmp_path / "l.npy").write_bytes(header.getvalue() + attack)
    with pytest.raises(ValueError, match="no dictionary of label vectors"):
        read_label_arrays(tmp_path / "l.npy", classes=CLASSES)
    from mmstreet.datasets import label_arrays

    assert label_arrays._latin1_bytes.__defaults__ is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"a": np.ones(4)}, "image 'a' needs a vector of 3 values, one per class, found shape"),
        ({"a": np.ones((3, 1))}, r"found shape \[3, 1\]"),
        ({"a": [1, 0, 1]}, "found list"),
        ({"a": np.array([0, 0.5, 1])}, "must hold zeros and ones"),
        ({"a": np.array([0, np.nan, 1])}, "must hold zeros and ones"),
        ({"a": np.array([0, None, 1], object)}, "found list"),
        ({"a": np.array(["x", "y", "z"])}, "holds an array of type 'U1'"),
        ([1, 2], "no dictionary of label vectors"),
        (OrderedDict(a=np.ones(3)), "asks for 'collections.OrderedDict'"),
    ],
)
def test_other_contents_are_explained(tmp_path, content, words):
    with pytest.raises(ValueError, match=words):
        read_label_arrays(write(tmp_path / "l.npy", content), classes=CLASSES)


def test_other_files_are_explained(tmp_path):
    np.save(tmp_path / "numbers.npy", np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"holds an array of float64 \[2, 3\] instead of one dictionary"):
        read_label_arrays(tmp_path / "numbers.npy", classes=CLASSES)
    whole = write(tmp_path / "l.npy", {key: np.array(vector, "f4") for key, vector in VECTORS.items()}).read_bytes()
    for end in range(0, len(whole), 7):
        (tmp_path / "cut.npy").write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"cut\.npy is not read as image-level labels"):
            read_label_arrays(tmp_path / "cut.npy", classes=CLASSES)
    with pytest.raises(FileNotFoundError):
        read_label_arrays(tmp_path / "none.npy", classes=CLASSES)


def test_damaged_bytes_give_a_sentence_or_a_result_but_no_crash(tmp_path):
    whole = write(tmp_path / "l.npy", {key: np.array(vector, "f4") for key, vector in VECTORS.items()}).read_bytes()
    rng, read = np.random.default_rng(0), 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(128, len(whole))] = rng.integers(256)
        (tmp_path / "d.npy").write_bytes(damaged)
        with contextlib.suppress(ValueError):
            read += len(read_label_arrays(tmp_path / "d.npy", classes=CLASSES)) > 0
    assert 0 < read < 300  # damage to a value is a result, damage to the structure a sentence
