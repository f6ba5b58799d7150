"""Where memory runs out, batches are halved: with ONNX files as with PyTorch."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mattecli.core.device import is_out_of_memory
from mattecli.core.errors import MatteError
from mattecli.core.network.config import NetworkConfig
from mattecli.core.runtime import onnx_model
from mattecli.core.runtime.torch_model import TorchModel

SHORTAGES = [
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv "
    "node. Status Message: bfc_arena.cc:376 Available memory of 1024 is smaller than requested "
    "bytes of 4096",
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer "
    "of size 4096",
    "[ONNXRuntimeError] : 1 : FAIL : CUDA failure 2: out of memory",
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc",
    "[ONNXRuntimeError] : 1 : FAIL : CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
]


class Session:
    """A network that gives the red channel back, and has memory for `room` photos at a time."""

    def __init__(self, room: int, says: str) -> None:
        self.room, self.says = room, says
        self.batches: list[int] = []

    def get_modelmeta(self):
        return SimpleNamespace(custom_metadata_map={})

    def get_inputs(self):
        shape = ["batch", 3, "height", "width"]
        return [SimpleNamespace(name="input", shape=shape, type="tensor(float)")]

    def get_outputs(self):
        return [SimpleNamespace(name="matte", type="tensor(float)")]

    def get_providers(self):
        return ["CPUExecutionProvider"]

    def run(self, wanted, given):
        (batch,) = given.values()
        self.batches.append(len(batch))
        if len(batch) > self.room:
            raise RuntimeError(self.says)
        return [batch[:, :1]]


def load(monkeypatch, tmp_path, session: Session) -> onnx_model.OnnxModel:
    monkeypatch.setattr(onnx_model, "open_session", lambda *_: session)
    (tmp_path / "net.toml").write_text("mean = [0.0, 0.0, 0.0]\nstd = [1.0, 1.0, 1.0]\n")
    return onnx_model.OnnxModel(tmp_path / "net.onnx")


def photos(count: int) -> list[np.ndarray]:
    return [np.full((32, 32, 3), 10 * number, np.uint8) for number in range(count)]


@pytest.mark.parametrize("says", SHORTAGES)
def test_an_onnx_network_halves_its_batch(says, monkeypatch, tmp_path):
    session = Session(2, says)
    mattes = load(monkeypatch, tmp_path, session).infer(photos(7))
    assert [round(float(matte.mean()) * 255) for matte in mattes] == [0, 10, 20, 30, 40, 50, 60]
    assert session.batches == [7, 3, 1, 2, 4, 2, 2]


def test_a_single_photo_that_is_too_much_is_said_in_one_line(monkeypatch, tmp_path):
    model = load(monkeypatch, tmp_path, Session(0, SHORTAGES[0]))
    with pytest.raises(MatteError, match=r"net\.onnx: not enough memory .* 32x32 .*--size"):
        model.infer(photos(2))


def test_other_errors_are_not_tried_again(monkeypatch, tmp_path):
    session = Session(0, "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions")
    with pytest.raises(RuntimeError, match="invalid dimensions"):
        load(monkeypatch, tmp_path, session).infer(photos(4))
    assert session.batches == [4]


class Narrow(torch.nn.Module):
    """Alpha is the red channel, and there is memory for one photo at a time."""

    config = NetworkConfig(predict_size=64)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if len(image) > 1:
            raise RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)")
        return image[:, :1]


def test_pytorch_halves_its_batch_without_cuda_too():
    mattes = TorchModel(Narrow(), torch.device("cpu")).infer(photos(3))
    assert len(mattes) == 3


def test_what_is_a_lack_of_memory():
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.cuda.OutOfMemoryError("CUDA"))
    assert not is_out_of_memory(RuntimeError("shape '[1]' is invalid"))
