import json

import pytest

from mmstreet.formats import json_stream
from mmstreet.formats.json_stream import JsonElements, load_json

FRAMES = [
    {"name": f"ä{i}.jpg", "labels": [{"id": j, "box": [0.5, -1e3, None, True], "text": 'a "]" b'} for j in range(i)]} for i in range(9)
]


@pytest.fixture(params=[1, 7, 1 << 20])
def any_chunk(request, monkeypatch):
    """Every place of the text falls on a chunk's border with one of these sizes."""
    monkeypatch.setattr(json_stream, "CHUNK", request.param)


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("indent", [None, 2])
def test_elements_are_those_of_the_json_module(tmp_path, any_chunk, indent):
    assert list(JsonElements(write(tmp_path / "a.json", json.dumps(FRAMES, indent=indent)), key="frames")) == FRAMES
    whole = {"config": {"frames": 1}, "number": 12345, "frames": FRAMES, "groups": None}
    stream = JsonElements(write(tmp_path / "b.json", json.dumps(whole, indent=indent)), key="frames")
    assert list(stream) == FRAMES
    assert stream.header == {"config": {"frames": 1}, "number": 12345, "groups": None}
    assert list(stream) == FRAMES  # it can be read again


def test_scalars_survive_the_border_of_a_chunk(tmp_path, any_chunk):
    assert list(JsonElements(write(tmp_path / "a.json", " [12345, 1.5e3 ,true,null, [ ]] \n"), key="x")) == [12345, 1500.0, True, None, []]
    assert list(JsonElements(write(tmp_path / "b.json", "[]"), key="x")) == []


def test_every_cut_is_noticed(tmp_path, any_chunk):
    text = json.dumps({"config": 1, "frames": FRAMES[:2]}, ensure_ascii=False)
    for end in range(len(text)):
        with pytest.raises(ValueError, match=r"a\.json is not whole JSON"):
            list(JsonElements(write(tmp_path / "a.json", text[:end]), key="frames"))


def test_the_place_of_a_cut_is_told(tmp_path):
    text = json.dumps(FRAMES)
    with pytest.raises(ValueError, match="after 5 complete elements; fetch"):
        list(JsonElements(write(tmp_path / "a.json", text[: text.index("ä5" if "ä5" in text else "\\u00e45")]), key="frames"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("  ", "ends too early"),
        ("3", r"expected \[ or \{, found 3"),
        ("[1 2]", r"expected , or \], found 2"),
        ("[1,]", "Expecting value"),
        ("[1] x", "more text"),
        ('{"frames" 3}', "expected :"),
        ("{3: 4}", "a key must be text"),
        ('{"images": [], "annotations": []}', "no list 'frames'; it has: images, annotations"),
        ('{"frames": 3}', "no list 'frames'; it has: frames"),
        ('{"frames": [{"name": "a", "name": "b"}]}', "the key 'name' is there twice in one object, at character 12 after 0"),
        ('[{"labels": [{"id": 1, "box": [], "id": 2}]}]', "the key 'id' is there twice"),
        ('{"frames": [], "frames": []}', "the key 'frames' is there twice"),
        ('{"a": 1, "a": 2, "frames": []}', "the key 'a' is there twice"),
    ],
)
def test_malformed_files_are_explained(tmp_path, text, words):
    with pytest.raises(ValueError, match=words):
        list(JsonElements(write(tmp_path / "a.json", text), key="frames"))


def test_other_encodings_are_explained(tmp_path):
    (tmp_path / "a.json").write_bytes('[{"name": "ä"}]'.encode("latin-1"))
    with pytest.raises(ValueError, match="not UTF-8"):
        list(JsonElements(tmp_path / "a.json", key="frames"))


def test_a_key_that_is_there_twice_is_refused_also_in_a_file_that_is_read_whole(tmp_path):
    with pytest.raises(ValueError, match=r"a\.json is not whole JSON \(the key 'car' is there twice in one object\)"):
        load_json(write(tmp_path / "a.json", '{"classes": {"car": 1, "bus": 2, "car": 3}}'))
