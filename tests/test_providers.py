"""onnxruntime's other providers: which one a device stands for, and what is said where it lacks."""

from __future__ import annotations

import pytest

from mattecli.core import doctor
from mattecli.core.errors import MatteError
from mattecli.core.runtime import loading, session
from mattecli.core.runtime.bundled_graph import load_bundled_graph
from mattecli.core.runtime.loading import load_model
from mattecli.core.runtime.named_weights import find_weights
from mattecli.core.runtime.onnxruntime_loading import load_onnxruntime
from mattecli.core.runtime.providers import (
    CPU,
    PROVIDERS,
    choose_kind,
    running_kind,
    session_providers,
)


@pytest.mark.parametrize(
    ("device", "available", "kind"),
    [
        ("cpu", ["CUDAExecutionProvider", CPU], "cpu"),
        ("auto", [CPU], "cpu"),
        ("auto", ["AzureExecutionProvider", CPU], "cpu"),
        ("auto", ["DmlExecutionProvider", CPU], "directml"),
        ("openvino", ["OpenVINOExecutionProvider", CPU], "openvino"),
        # On a CPU it is slower than int8.
        ("auto", ["OpenVINOExecutionProvider", CPU], "cpu"),
        ("auto", ["OpenVINOExecutionProvider", "CUDAExecutionProvider", CPU], "cuda"),
        ("auto", ["TensorrtExecutionProvider", "CUDAExecutionProvider", CPU], "cuda"),
        # They compile a model for every size, and so are taken only where they are named.
        ("auto", ["CoreMLExecutionProvider", CPU], "cpu"),
        ("coreml", ["CoreMLExecutionProvider", CPU], "coreml"),
        ("tensorrt:1", ["TensorrtExecutionProvider", CPU], "tensorrt"),
        ("directml", ["DmlExecutionProvider", CPU], "directml"),
        ("rocm", ["ROCMExecutionProvider", CPU], "rocm"),
    ],
)
def test_devices_and_what_they_stand_for(device, available, kind):
    assert choose_kind(device, available) == kind
    providers = session_providers(device, available)
    assert providers[-1] == CPU and len(providers) == (1 if kind == "cpu" else 2)
    if kind != "cpu":
        name, options = providers[0]
        assert name in PROVIDERS[kind].names and name in available
        assert options == ({"device_id": 1} if device.endswith(":1") else options)
        assert running_kind([name, CPU]) == kind


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("openvino", "pip install onnxruntime-openvino"),
        ("cuda", "pip install onnxruntime-gpu"),
        ("npu", "not on 'npu'"),
        ("cuda:x", "not on 'cuda:x'"),
        ("coreml:1", "not on 'coreml:1'"),
        ("cpu:0", "not on 'cpu:0'"),
    ],
)
def test_devices_that_are_not_there(device, words):
    with pytest.raises(MatteError, match=words):
        session_providers(device, [CPU])


def test_our_weights_ask_onnxruntime_for_devices_that_pytorch_does_not_know():
    with pytest.raises(MatteError, match="onnxruntime-directml"):
        load_model(device="directml")
    with pytest.raises(MatteError, match="fp32 only"):
        load_model(device="openvino", precision="int8")


def test_a_provider_that_cannot_start_is_no_silent_cpu(monkeypatch):
    monkeypatch.setattr(session, "session_providers", lambda *_: [CPU])
    with pytest.raises(MatteError, match="cannot start it"):
        load_bundled_graph(find_weights(), device="openvino")


class FakeSession:
    """A session that starts what it is given, or the CPU alone."""

    starts = True

    def __init__(self, model, options, providers):
        self.given = providers

    def get_providers(self):
        names = [each if isinstance(each, str) else each[0] for each in self.given]
        return names if self.starts else [CPU]


@pytest.mark.parametrize("kind", PROVIDERS)
def test_every_kind_comes_to_its_session_with_the_cpu_behind(monkeypatch, kind):
    onnxruntime = load_onnxruntime()
    known = PROVIDERS[kind]
    monkeypatch.setattr(onnxruntime, "InferenceSession", FakeSession)
    for name in known.names:
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda name=name: [name, CPU])
        number = {known.option: 1} if known.option else {}
        device = f"{kind}:1" if known.option else kind
        assert session.open_session(b"a model", device).given == [(name, number), CPU]
        given = session.open_session(b"a model", "auto").given
        assert (given[0] == CPU) is not known.by_itself
        session.check_device(kind)
    monkeypatch.setattr(FakeSession, "starts", False)
    with pytest.raises(MatteError, match=f"has '{kind}', but cannot start it"):
        session.open_session(b"a model", kind)
    # Nobody asked for it by name, so the CPU will do.
    session.open_session(b"a model", "auto")


def test_auto_takes_another_provider_where_pytorch_has_no_gpu(monkeypatch):
    asked = []

    def load(path, device, precision, size):
        asked.append(device)
        return "model"

    onnxruntime = load_onnxruntime()
    available = ["DmlExecutionProvider", CPU]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    monkeypatch.setattr(loading, "is_cpu", lambda _: True)
    monkeypatch.setattr(loading, "_load_elsewhere", load)
    assert load_model() == "model" and asked == ["directml"]
    # Where PyTorch has a GPU, or the CPU is asked for, it is not.
    assert loading._own_kind("cpu") is None
    monkeypatch.setattr(loading, "is_cpu", lambda _: False)
    assert loading._own_kind("auto") is None


def test_doctor_lists_them(monkeypatch):
    monkeypatch.setattr(doctor.platform, "system", lambda: "Linux")
    finding = doctor._look_for_providers()
    assert finding.is_fine and "cpu" in finding.state
    assert "openvino: pip install onnxruntime-openvino" in finding.fix
