"""Which files a source means, and what their results are called."""

import os

import pytest

from mmstreet.predict.exported import load_exported
from mmstreet.predict.sources import find_sources


@pytest.fixture
def tree(tmp_path):
    for name in ("b/2.jpg", "a/1.PNG", "a/1.jpg", "a/deep/3.tif", "c.mp4", "notes.txt", "notes.md", ".hidden.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(source):
    return [(x.name, x.is_video) for x in find_sources(source)]


def test_a_folder_is_searched_to_its_depth_and_every_result_has_a_name_of_its_own(tree):
    assert names(tree) == [("a/1_png", False), ("a/1_jpg", False), ("a/deep/3", False), ("b/2", False), ("c", True)]


def test_a_pattern_chooses(tree):
    assert names(f"{tree}/*/*.jpg") == [("a/1", False), ("b/2", False)]
    assert names(f"{tree}/**/*.tif") == [("3", False)]


def test_a_single_file_is_itself(tree):
    assert names(tree / "c.mp4") == [("c", True)]
    assert names(tree / "b" / "2.jpg") == [("2", False)]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("gone.jpg", "'.*gone.jpg' does not exist; give an image"),
        ("*.webp", "matches no file"),
        ("notes.txt", "notes.txt' holds no name; write one image name per line"),
        ("notes.md", "notes.md' is neither an image"),
    ],
)
def test_what_is_not_there_or_unknown_is_said(tree, source, message):
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        find_sources(f"{tree}/{source}")


def test_a_folder_without_images_says_what_it_has(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no image and no video \(it is empty\)"):
        find_sources(tmp_path)
    (tmp_path / "a.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"\(1 \.txt\)"):
        find_sources(tmp_path)


@pytest.mark.parametrize("source", ["http://host/a.jpg", "rtsp://camera/1", "s3://bucket/photos"])
def test_an_address_is_refused_with_its_slashes(source):
    with pytest.raises(ValueError, match=f"'{source}' is an address; files are not fetched: download it and give its path"):
        find_sources(source)


def test_an_address_of_a_model_is_refused_with_its_slashes():
    with pytest.raises(ValueError, match=r"'http://host/m.onnx' is an address; models are not fetched"):
        load_exported("http://host/m.onnx")


def test_pipes_devices_and_broken_links_are_no_sources(tree):
    os.mkfifo(tree / "pipe.png")
    (tree / "zero.png").symlink_to("/dev/zero")
    (tree / "gone.png").symlink_to("nowhere")
    assert len(find_sources(tree)) == 5


def test_pictures_in_a_form_that_is_not_read_are_named(tree, caplog):
    find_sources(tree)
    assert not caplog.records
    for name in ("b/x.GIF", "b/y.heic", "b/z.heic", "b/._hidden.heic"):
        (tree / name).touch()
    find_sources(tree)
    (record,) = caplog.records
    assert f"left out: 3 pictures in a form that is not read (.gif, .heic), first '{tree}/b/x.GIF'" in record.getMessage()


def test_a_list_names_files_anywhere_and_none_that_is_missing(tree):
    (tree / "some.txt").write_text(f"# chosen\nb/2.jpg\n{tree}/a/deep/3.tif\n")
    assert names(tree / "some.txt") == [("a/deep/3", False), ("b/2", False)]
    (tree / "some.txt").write_text("b/2.jpg\nb/3.jpg\nb/4.jpg\n")
    with pytest.raises(FileNotFoundError, match=r"names 3 files, and 2 of them do not exist, first '.*b/3\.jpg'"):
        find_sources(tree / "some.txt")
    (tree / "some.txt").write_text("notes.md\n")
    with pytest.raises(ValueError, match=r"notes\.md', which is neither an image nor a video"):
        find_sources(tree / "some.txt")
    with pytest.raises(ValueError, match=r"only a data\.yaml has splits"):
        find_sources(tree, split="val")
