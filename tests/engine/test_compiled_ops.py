"""What needs mmcv's compiled operators says so first, and a ready-made mmcv is found in an index."""

import http.server
import platform
import sys
import threading

import pytest
import torch
from PIL import Image

from mmstreet.engine import compiled_ops
from mmstreet.engine.compiled_ops import check_ops, find_prebuilt
from mmstreet.engine.errors import LaunchError

PYTHON = f"cp{sys.version_info[0]}{sys.version_info[1]}"


@pytest.fixture
def without_ops(monkeypatch):
    """As in the light environment."""
    monkeypatch.setattr(compiled_ops, "has_ops", lambda: False)
    monkeypatch.setattr(compiled_ops, "installed", lambda name: name != "mmdet")


@pytest.mark.parametrize(
    ("command", "rest"), [("train", ()), ("test", ("nowhere.pth",)), ("predict", ("-c", "mask_rcnn_mini", "-k", "nowhere.pth"))]
)
def test_an_instance_config_says_what_is_missing_before_anything_starts(command, rest, without_ops, tmp_path, monkeypatch, capsys):
    from mmstreet.cli.commands import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "photos/a.png")
    assert main([command, "photos" if command == "predict" else "mask_rcnn_mini", *rest]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"mmstreet {command}: '")
    assert "needs MMDetection and mmcv's compiled ops, and here mmdet and mmcv's ops are missing; in a checkout run: make instances" in said
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_part_that_needs_the_ops_is_named(without_ops):
    model = dict(type="CascadeEncoderDecoder", decode_head=[dict(type="FPNHead"), dict(type="mmseg.PointHead")])
    with pytest.raises(LaunchError, match="the model of 'x' has a PointHead, which needs mmcv's compiled ops"):
        check_ops(dict(model=model), "x")
    check_ops(dict(model=dict(type="EncoderDecoder", decode_head=dict(type="FCNHead"))), "x")


@pytest.fixture
def index():
    """Serve a page for every address that a test asks for; no page is a 404."""
    pages = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            page = pages.get(self.path)
            self.send_response(200 if page else 404)
            self.end_headers()
            self.wfile.write((page or "").encode())

        def log_message(self, *args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", pages
    server.shutdown()


def test_the_newest_wheel_of_this_python_torch_and_cuda_is_named(index, monkeypatch):
    address, pages = index
    monkeypatch.setattr(torch, "__version__", "2.9.1+cu128")
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    assert "no folder for it" in find_prebuilt(index=address)
    place = "/cu128-torch290/simple/onedl-mmcv/"
    system = f"manylinux_2_28_{platform.machine()}"
    names = [
        *(f"onedl_mmcv-{version}-{PYTHON}-{PYTHON}-{system}.whl" for version in ("2.3.9", "2.3.10", "2.3.2.post2")),
        f"onedl_mmcv-2.4.0-cp39-cp39-{system}.whl",  # of another Python
        f"onedl_mmcv-2.5.0-{PYTHON}-{PYTHON}-win_arm.whl",  # of another system
    ]
    pages[place] = "".join(f'<a href="../{name}">{name}</a>' for name in names)
    assert find_prebuilt(index=address).endswith(
        f"pip uninstall -y mmcv-lite onedl-mmcv; pip install --only-binary=:all: --no-deps onedl-mmcv==2.3.10 -f {address}{place}"
    )
    pages[place] = names[3]
    assert find_prebuilt(index=address).startswith(f"no ready-made mmcv for {PYTHON}, torch 2.9, cu128 at ")


def test_an_index_that_does_not_answer_is_one_sentence():
    assert "cannot be looked up now" in find_prebuilt(index="http://127.0.0.1:9")
