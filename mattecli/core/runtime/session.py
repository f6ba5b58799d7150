"""Sessions of onnxruntime on a device."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mattecli.core.device import usable_cores
from mattecli.core.errors import MatteError, not_found
from mattecli.core.runtime.onnxruntime_loading import FATAL_ONLY, load_onnxruntime
from mattecli.core.runtime.providers import running_kind, session_providers

if TYPE_CHECKING:
    import onnxruntime


def check_device(device: str) -> None:
    """Raise `MatteError` if onnxruntime does not have a device."""
    session_providers(device, load_onnxruntime().get_available_providers())


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
        ``cpu``, one of `PROVIDERS`, such as ``cuda`` or ``cuda:1``, or ``auto`` for what
        onnxruntime has.
    weights : dict of ndarray, optional
        Initializers that `model` has only names for.
    max_concurrency : int
        Threads that will run the model at the same time and share the cores.

    Raises
    ------
    MatteError
        If onnxruntime does not have the device or cannot use it, or cannot load the model.
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
    providers = session_providers(device, onnxruntime.get_available_providers())
    try:
        session = onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=providers
        )
    # Its exceptions share no base class of their own.
    except Exception as error:
        raise MatteError(f"{name} cannot be loaded by onnxruntime: {error}") from None
    # What cannot be started is left out without a word.
    if device not in ("auto", "cpu") and running_kind(session.get_providers()) == "cpu":
        raise MatteError(
            f"onnxruntime has '{device}', but cannot start it: its driver or libraries are missing"
        )
    return session
