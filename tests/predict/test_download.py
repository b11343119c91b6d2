"""Pictures behind an address: fetched whole and once, or refused in a sentence."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from mmstreet.__main__ import main
from mmstreet.predict import Predictor
from mmstreet.predict.download import fetch_source
from tests.helpers.color_model import read_ids, render_colors, write_model

IMAGE, TRUTH = render_colors(2)
PNG = cv2.imencode(".png", cv2.cvtColor(IMAGE, cv2.COLOR_RGB2BGR))[1].tobytes()
ANSWERS = {
    "/photo.png": ("image/png", PNG, len(PNG)),
    "/picture": ("image/png", PNG, len(PNG)),
    "/page": ("text/html", b"<p>", 3),
    "/cut.png": ("image/png", PNG[:50], len(PNG)),
    "/huge.mp4": ("video/mp4", b"", 5 << 30),
}


@pytest.fixture(scope="module")
def web():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            kind, data, length = ANSWERS.get(self.path.partition("?")[0], ("", None, 0))
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *args):
            """Say nothing."""

    asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_a_picture_is_fetched_once_under_its_name(web, tmp_path):
    address, asked = web
    path = fetch_source(f"{address}/photo.png?size=large", tmp_path)
    assert path.read_bytes() == PNG
    assert path.name.startswith("photo_")
    count = len(asked)
    assert fetch_source(f"{address}/photo.png?size=large", tmp_path) == path
    assert len(asked) == count
    assert fetch_source(f"{address}/photo.png", tmp_path) != path, "another address may hold another picture"
    assert fetch_source(f"{address}/picture", tmp_path).suffix == ".png"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.png", r"cannot be fetched \(404 Not Found\); download it yourself"),
        ("page", "is a page, not a picture or a video"),
        ("cut.png", "broke off after 50 of"),
        ("huge.mp4", "has 5,368,709,120 bytes, the limit is"),
    ],
)
def test_what_cannot_be_had_whole_leaves_nothing(web, tmp_path, name, message):
    with pytest.raises((OSError, ValueError), match=message):
        fetch_source(f"{web[0]}/{name}", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_network_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["predict", "http://127.0.0.1:9/a.png", "--model", "m.onnx"]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("mmstreet predict: 'http://127.0.0.1:9/a.png' cannot be fetched (")
    assert not list(tmp_path.rglob("*.png"))


def test_an_address_predicts_like_the_file(web, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config, checkpoint = write_model(tmp_path / "model")
    np.testing.assert_array_equal(Predictor(config, checkpoint, device="cpu")(f"{web[0]}/photo.png").labels, TRUTH)
    assert main(["predict", f"{web[0]}/photo.png", "-c", config, "-k", checkpoint, "--device", "cpu"]) == 0
    (labels,) = (tmp_path / "work_dirs/predict").rglob("labels/*.png")
    np.testing.assert_array_equal(read_ids(labels), TRUTH)
