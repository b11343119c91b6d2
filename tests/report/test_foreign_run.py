"""The page of a run folder that somebody else made: nothing from outside it, no request, and what cannot be used is named."""

import base64
import io
import json
import os
import re

import pytest
from PIL import Image

from mmstreet.cli.report import show_run
from mmstreet.report.page import write_page
from mmstreet.report.shapes import Color, check_shape
from tests.helpers.run_folders import write_instances, write_logs, write_refinement, write_test

SECRET = (11, 22, 33)


@pytest.fixture
def run(tmp_path):
    """A run, and beside it a picture and a text that are none of its files."""
    Image.new("RGB", (8, 8), SECRET).save(tmp_path / "private.png")
    (tmp_path / "private.txt").write_text("root:x:0:0:")
    return write_refinement(write_test(write_logs(tmp_path / "run")))


def change(path, *keys, to):
    content = json.loads(path.read_text())
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = to
    path.write_text(json.dumps(content))


def page_of(run):
    return write_page([run], run.parent / "page.html").read_text(encoding="utf-8")


def pixels_in(page):
    """Corner pixels of all pictures on the page."""
    data = re.findall(r' src="data:image/(?:png|jpeg);base64,([^"]+)"', page)
    pictures = (Image.open(io.BytesIO(base64.b64decode(one))).convert("RGB") for one in data)
    return [picture.getpixel((0, 0)) for picture in pictures]


@pytest.mark.parametrize(
    "name", ["../../../private.png", "{root}/private.png", "/etc/passwd", "../../../private.txt", "link.png", "up/private.png"]
)
@pytest.mark.parametrize("place", ["images", "refinement", "safety"])
def test_no_file_outside_the_run_is_embedded_and_the_page_says_so(run, place, name):
    folder = run / "test" / place
    (folder / "link.png").symlink_to(run.parent / "private.png")
    (folder / "up").symlink_to(run.parent)
    name = name.format(root=run.parent)
    if place == "safety":
        change(folder / "metrics.json", "safety", "worst", 0, "picture", to=name)
    else:
        change(folder / "index.json", "images", 0, "pictures", "image", to=name)
    page = page_of(run)
    assert SECRET not in pixels_in(page)
    assert base64.b64encode(b"root:").decode()[:6] not in page
    assert "leads out of the folder" in page
    assert len(pixels_in(page)) > 5, "the other pictures are there"


@pytest.mark.parametrize("name", ["test/metrics.json", "run.json", "test/images/index.json"])
def test_json_behind_a_link_out_of_the_run_is_not_read(run, name):
    (run / "run.json").write_text("{}")
    (run.parent / "other.json").write_text(json.dumps({"question": "SECRET", "metrics": {"mIoU": 77.7}, "classes": [], "images": []}))
    (run / name).unlink()
    (run / name).symlink_to(run.parent / "other.json")
    page = page_of(run)
    assert "77.7" not in page
    assert f"{name} was left out" in page


@pytest.mark.parametrize(
    "color",
    [
        "red;background:url(https://a.b/c)",
        "url(//a.b)",
        "red",
        "#12345",
        [1, 2],
        [1, 2, 256],
        [1.5, 2, 3],
        [True, 2, 3],
        {"r": 1},
        None,
        "#fff\n",
    ],
)
def test_only_colours_reach_a_style(run, color):
    change(run / "test/images/index.json", "classes", 0, "color", to=color)
    page = page_of(run)
    assert not re.search(r'style="[^"]*(url|a\.b|red)', page)
    assert "test/images/index.json was left out: &#39;classes[0].color&#39; should be #rrggbb or three integers to 255" in page


@pytest.mark.parametrize("color", ["#fff", "#00Ff10", [0, 255, 16]])
def test_sound_colours_are_shown(run, color):
    check_shape(color, Color)
    change(run / "test/images/index.json", "classes", 0, "color", to=color)
    shown = {"#fff": "#ffffff", "#00Ff10": "#00ff10"}.get(str(color), "#00ff10")
    assert f'style="background:{shown}"' in page_of(run)


def test_a_frequency_that_is_style_is_refused(run):
    change(run / "test/metrics.json", "evaluation", "per_class", 0, "frequency", to="rare);background:url(https://a.b")
    page = page_of(run)
    assert not re.search(r'style="[^"]*url', page)
    assert "should be one of None, common, medium, rare" in page


def test_the_page_replaces_a_link_and_does_not_follow_it(run, tmp_path):
    (tmp_path / "precious").write_text("mine")
    (run / "report.html").symlink_to(tmp_path / "precious")
    show_run(run)
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (run / "report.html").is_symlink()
    assert "Training loss" in (run / "report.html").read_text()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("test/metrics.json", "[1, 2]", "should be an object, it is a list"),
        ("test/metrics.json", '{"metrics": {"mIoU": "high"}}', "'metrics.mIoU' should be a finite number, it is 'high'"),
        ("test/metrics.json", "{}", "'metrics' is missing"),
        ("test/metrics.json", "\x00\x01", "Expecting value"),
        ("test/metrics.json", "[" * 100_000, "nested too deeply"),
        ("test/refinement.json", '{"boundary_radius_px": 3, "systems": [{}]}', "'systems[0].name' is missing"),
        ("test/safety/metrics.json", '{"metrics": {}, "safety": 3}', "'safety' should be an object, it is 3"),
        ("run.json", '{"commands": "rm"}', "'commands' should be a list, it is 'rm'"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason_and_the_rest_is_shown(run, name, content, words):
    (run / name).write_text(content)
    page = page_of(run).replace("&#39;", "'")
    assert f"{name} was left out: " in page
    assert words in page
    assert "Training loss" in page


def test_a_confusion_matrix_of_another_size_is_named(run):
    change(run / "test/metrics.json", "evaluation", "confusion", to=[[1]])
    assert "should have 4 rows and columns for 3 classes" in page_of(run)


def test_a_run_of_nothing_but_damage_is_one_sentence(tmp_path):
    write_instances(tmp_path / "run")
    (tmp_path / "run/test/metrics.json").write_text("[]")
    with pytest.raises(ValueError, match=r"nothing to report in .*test/metrics.json was left out: 'the content' should be an"):
        page_of(tmp_path / "run")


def test_a_pipe_is_no_file_of_a_run(run):
    (run / "run.json").unlink(missing_ok=True)
    os.mkfifo(run / "run.json")
    assert "Training loss" in page_of(run)


def test_results_of_different_checkpoints_are_said_to_be(run):
    change(run / "test/safety/metrics.json", "checkpoint", to="epoch_9.pth")
    assert "The results are of different checkpoints: test of epoch_3.pth, test/safety of epoch_9.pth" in page_of(run)
