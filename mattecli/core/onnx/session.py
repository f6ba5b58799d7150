"""onnxruntime, found and told where to run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mattecli.core.errors import MatteError
from mattecli.core.ranks import local_rank

if TYPE_CHECKING:
    import onnxruntime


def open_session(model: Path | bytes, device: str = "cpu") -> onnxruntime.InferenceSession:
    """Load an ONNX file, or the bytes of one.

    Parameters
    ----------
    device : str
        ``cpu``, ``cuda``, ``cuda:N``, or ``auto`` for CUDA where onnxruntime has it.

    Raises
    ------
    MatteError
        If onnxruntime is missing, cannot use the device, or cannot load the model.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MatteError("ONNX files need onnxruntime: pip install 'mattecli[onnx]'") from None

    name = "the model" if isinstance(model, bytes) else str(model)
    if not isinstance(model, bytes) and not model.is_file():
        raise MatteError(f"{model}: no such weights file")
    try:
        return onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model),
            providers=_providers(device, onnxruntime.get_available_providers()),
        )
    except MatteError:
        raise
    # Its exceptions share no base class of their own.
    except Exception as error:
        raise MatteError(f"{name} cannot be loaded by onnxruntime: {error}") from None


def _providers(device: str, available: list[str]) -> list:
    there = "CUDAExecutionProvider" in available
    if device == "cpu" or (device == "auto" and not there):
        return ["CPUExecutionProvider"]
    kind, _, number = device.partition(":")
    if device != "auto" and (kind != "cuda" or not (number or "0").isdigit()):
        raise MatteError(f"ONNX files run on cpu, cuda or cuda:N, not on '{device}'")
    if not there:
        raise MatteError(
            f"onnxruntime cannot use '{device}' here: pip install onnxruntime-gpu in its place"
        )
    cuda = ("CUDAExecutionProvider", {"device_id": int(number) if number else local_rank()})
    return [cuda, "CPUExecutionProvider"]
