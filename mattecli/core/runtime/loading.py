"""The one place that knows every kind of model and chooses among them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from mattecli.core.device import choose_device, choose_precision, is_cpu
from mattecli.core.errors import MatteError
from mattecli.core.runtime.model import MattingModel
from mattecli.core.runtime.named_weights import INT8_SUFFIX, find_weights
from mattecli.core.runtime.onnxruntime_loading import load_onnxruntime
from mattecli.core.runtime.providers import OWN_KINDS, choose_kind, kind_of_device


def load_model(
    weights: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    size: int | None = None,
    max_concurrency: int = 1,
) -> MattingModel:
    """Load weights, by name or as a file and by default the bundled ones, onto a device.

    An ``.onnx`` file may hold any network; it brings its own precision. On the CPU networks of the
    usual architecture run without PyTorch. There ``auto`` prefers int8 to fp32 where an int8 model
    was made from the weights.

    Parameters
    ----------
    weights : str or Path, optional
        See `find_weights`.
    device, precision : str
        See `choose_device` and `choose_precision`; ``int8`` beside these. Devices that only
        onnxruntime knows are those of `PROVIDERS`; ``auto`` takes them where there is none for
        PyTorch.
    size : int, optional
        Long side of the network's input in pixels; by default that of the weights.
    max_concurrency : int
        Threads that will run the model at the same time; on the CPU they share the cores.

    Raises
    ------
    MatteError
        If there are no such weights, or they cannot run there in that precision.
    """
    path = find_weights(weights)
    if path.suffix == ".onnx":
        from mattecli.core.runtime.onnx_model import OnnxModel

        return OnnxModel(path, device, size, max_concurrency=max_concurrency)
    if kind := _own_kind(device):
        return _load_elsewhere(path, kind if device == "auto" else device, precision, size)
    if precision in ("auto", "fp32", "int8") and is_cpu(device):
        from mattecli.core.runtime.bundled_graph import load_bundled_graph
        from mattecli.core.runtime.int8 import load_int8

        if precision != "fp32" and (model := load_int8(path, size, max_concurrency)):
            return model
        if precision != "int8" and (model := load_bundled_graph(path, size, max_concurrency)):
            return model
    if precision == "int8":
        raise MatteError(
            f"int8 needs the CPU, and {path.with_suffix(INT8_SUFFIX)} made from the weights: "
            "matte export --int8 PHOTOS writes it"
        )
    from mattecli.core.network.weights import load_network
    from mattecli.core.runtime.torch_model import TorchModel

    chosen = choose_device(device)
    network = load_network(path, chosen)
    return TorchModel(network, chosen, choose_precision(precision, chosen), size)


def _own_kind(device: str) -> str | None:
    """Give the kind of a device that only onnxruntime knows, or None."""
    if device != "auto":
        kind = kind_of_device(device)
        return kind if kind in OWN_KINDS else None
    # What would import PyTorch is asked only where there is something to choose.
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    kind = choose_kind("auto", load_onnxruntime().get_available_providers())
    return kind if kind in OWN_KINDS and is_cpu("auto") else None


def _load_elsewhere(path: Path, device: str, precision: str, size: int | None) -> MattingModel:
    """Load weights of ours onto a device that only onnxruntime knows."""
    from mattecli.core.runtime.bundled_graph import load_bundled_graph

    if precision not in ("auto", "fp32"):
        raise MatteError(f"on '{device}' there is fp32 only, not {precision}")
    model = load_bundled_graph(path, size, device=device)
    if model is None:
        raise MatteError(
            f"{path} is a network of its own kind, which runs in PyTorch only: 'matte export' "
            f"makes an ONNX file of it that '{device}' can take"
        )
    return model
