"""The one place that chooses where the network runs and in what precision."""

from __future__ import annotations

import contextlib

import torch

from mattecli.core.errors import MatteError

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def choose_device(name: str = "auto") -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps`` into a device that is really there.

    ``auto`` takes the first of CUDA, MPS and CPU that answers.

    Raises
    ------
    MatteError
        If the name is unknown or this machine has no such device.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, there in available.items() if there))
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


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Turn ``auto``, ``fp32``, ``fp16`` or ``bf16`` into a dtype; ``auto`` is fp16 on CUDA only."""
    if name == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if name not in PRECISIONS:
        raise MatteError(f"unknown precision '{name}': use auto, {', '.join(PRECISIONS)}")
    return PRECISIONS[name]


def autocast(device: torch.device, dtype: torch.dtype) -> contextlib.AbstractContextManager:
    """Mixed precision on `device`, or nothing at all for float32."""
    if dtype is torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=dtype)
