"""The one place that chooses where the network runs and in what precision."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mattecli.core.errors import MatteError
from mattecli.core.ranks import local_rank, rank_and_world

# Importing torch takes longer than cutting out a photo, so it waits until it is needed.
if TYPE_CHECKING:
    import torch

PRECISIONS = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


def choose_device(name: str = "auto") -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps`` into a device that is really there.

    ``auto`` takes the first of CUDA, MPS and CPU that answers. Where torchrun started several
    processes, CUDA without a number is each one's own GPU.

    Raises
    ------
    MatteError
        If the name is unknown or this machine has no such device.
    """
    import torch

    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, there in available.items() if there)
    if name == "cuda" and rank_and_world()[1] > 1:
        name = f"cuda:{local_rank()}"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise MatteError(f"unknown device '{name}': use auto, cpu, cuda, cuda:N or mps") from None
    if not available.get(device.type, False):
        have = ", ".join(kind for kind, there in available.items() if there)
        raise MatteError(f"device '{name}' is not available here (available: {have})")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise MatteError(f"device '{name}' is not there: found {torch.cuda.device_count()} GPU(s)")
    return device


def is_cpu(name: str) -> bool:
    """Tell whether `choose_device` gives the CPU, without importing torch where that is plain.

    Raises
    ------
    MatteError
        As `choose_device`.
    """
    if name == "cpu" or (name == "auto" and not may_have_gpu()):
        return True
    return choose_device(name).type == "cpu"


def may_have_gpu() -> bool:
    """Tell whether there is a driver that torch could find a GPU by, and torch."""
    if importlib.util.find_spec("torch") is None:
        return False
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if Path("/dev/kfd").exists():
        return True
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def usable_cores() -> int:
    """Count the CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether a network failed for lack of memory, its device's or the machine's.

    PyTorch has an exception of its own for CUDA only, onnxruntime for none: the rest is told by
    what the message says.
    """
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return type(error).__name__ == "OutOfMemoryError" or any(
        words in text
        for words in (
            "out of memory",
            "failed to allocate memory",
            "not enough memory",
            "can't allocate memory",
            "bad allocation",
            "bad_alloc",
            "alloc_failed",
            "smaller than requested bytes",
        )
    )


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Turn ``auto``, ``fp32``, ``fp16`` or ``bf16`` into a dtype; ``auto`` is fp16 on CUDA only."""
    import torch

    if name == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if name not in PRECISIONS:
        raise MatteError(f"unknown precision '{name}': use auto, {', '.join(PRECISIONS)}")
    return getattr(torch, PRECISIONS[name])


def autocast(device: torch.device, dtype: torch.dtype) -> contextlib.AbstractContextManager:
    """Mixed precision on `device`, or nothing at all for float32."""
    import torch

    if dtype is torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=dtype)
