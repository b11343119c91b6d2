"""Training from an exported file: its weights are those of the network, and what is no such file is refused."""

import pytest
import torch
from mmengine.runner import CheckpointLoader
from torch import nn

from mmstreet.engine import exported_checkpoint
from mmstreet.engine.errors import WeightsError
from mmstreet.predict.onnx_file import halve_weights, write_onnx


class Graph(nn.Module):
    """A network as it is exported: what is trained lies under ``model``."""

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 1))
        for values in (*self.model[1].parameters(), self.model[1].running_mean, self.model[1].running_var):
            values.data.uniform_(0.5, 2)  # equal tensors are written once

    def forward(self, image):
        return self.model(image)


@pytest.fixture(scope="module", params=[False, True], ids=["float32", "half"])
def exported(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    torch.manual_seed(0)
    graph = Graph().eval()
    write_onnx(graph, torch.rand(1, 3, 16, 16), path, dict(size_hw=None, classes=["a", "b"]), 17)
    if request.param:
        halve_weights(path)
    return path, graph, 1e-3 if request.param else 0


def test_the_weights_are_the_network_s(exported, monkeypatch):
    path, graph, tolerance = exported
    monkeypatch.setattr(exported_checkpoint, "SHIPPED_MODEL", path)
    for name in (f"mmstreet://{path}", "mmstreet://street"):
        checkpoint = CheckpointLoader.load_checkpoint(name)
        wanted = {key: value for key, value in graph.model.state_dict().items() if not key.endswith("num_batches_tracked")}
        assert checkpoint["state_dict"].keys() == wanted.keys()
        assert checkpoint["meta"]["dataset_meta"]["classes"] == ["a", "b"]
        for key, value in wanted.items():
            torch.testing.assert_close(checkpoint["state_dict"][key], value, rtol=tolerance, atol=tolerance)


def test_what_holds_no_weights_is_refused(exported, tmp_path):
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(exported[0].read_bytes()[:200])
    for path, said in ((tmp_path / "none.onnx", "there is no exported model"), (cut, "cut off or none")):
        with pytest.raises(WeightsError, match=said):
            CheckpointLoader.load_checkpoint(f"mmstreet://{path}")
