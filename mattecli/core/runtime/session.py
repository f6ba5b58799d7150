"""Sessions of onnxruntime on a device."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mattecli.core.device import usable_cores
from mattecli.core.errors import MatteError, not_found
from mattecli.core.ranks import local_rank
from mattecli.core.runtime.onnxruntime_loading import FATAL_ONLY, load_onnxruntime

if TYPE_CHECKING:
    import onnxruntime


def open_session(
    model: Path | bytes,
    device: str = "cpu",
    weights: dict[str, np.ndarray] | None = None,
    max_concurrency: int = 1,
) -> onnxruntime.InferenceSession:
    """Load an ONNX file, or the bytes of one.

    Parameters
    ----------
    device : str
        ``cpu``, ``cuda``, ``cuda:N``, or ``auto`` for CUDA where onnxruntime has it.
    weights : dict of ndarray, optional
        Initializers that `model` has only names for.
    max_concurrency : int
        Threads that will run the model at the same time and share the cores.

    Raises
    ------
    MatteError
        If onnxruntime cannot use the device, or cannot load the model.
    """
    onnxruntime = load_onnxruntime()
    name = "the model" if isinstance(model, bytes) else str(model)
    if not isinstance(model, bytes) and not model.is_file():
        raise not_found(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    # Left to itself it takes every core of the machine, though this process may use a few only.
    threads = os.environ.get("OMP_NUM_THREADS", "")
    cores = int(threads) if threads.isdigit() else usable_cores()
    options.intra_op_num_threads = max(1, cores // max_concurrency)
    # It would keep a plan and its memory for every size that a picture ever had.
    options.enable_mem_pattern = False
    if weights:
        values = map(onnxruntime.OrtValue.ortvalue_from_numpy, weights.values())
        options.add_external_initializers(list(weights), list(values))
    try:
        return onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model),
            options,
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
