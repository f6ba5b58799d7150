"""Checkpoints that survive a kill at any moment, and averaged weights."""

from __future__ import annotations

import copy
import math
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mattecli.core.errors import MatteError
from mattecli.core.storage import clear_errors, whole_file


class AveragedNetwork:
    """Exponential moving average of a network's weights (Polyak averaging).

    The decay rises with the step so that the first weights, which are noise, are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards `network`; batch norm statistics and counters are copied."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(
            list(self.network.parameters()), [p.detach() for p in network.parameters()], 1 - decay
        )
        torch._foreach_copy_(list(self.network.buffers()), list(network.buffers()))


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` under a temporary name, sync it to disk, rename it over `path`.

    Raises
    ------
    MatteError
        If the disk has no room for it; what was there before stays.
    """
    with clear_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    # Weights for prediction are written next, and half again is room for what other programs do.
    needed = math.ceil(1.5 * _bytes(state) / 2**20)
    free = shutil.disk_usage(path.parent).free // 2**20
    if free < needed:
        raise MatteError(
            f"{path.parent}: {free} MiB free, a checkpoint needs {needed} MiB; "
            "make room and continue with --resume"
        )
    with whole_file(path) as partial, partial.open("wb") as file:
        torch.save(state, file)


def _bytes(state: Any) -> int:
    """Size of all tensors in nested dictionaries and lists."""
    if isinstance(state, Tensor):
        return state.nbytes
    if isinstance(state, dict):
        state = list(state.values())
    return sum(map(_bytes, state)) if isinstance(state, list) else 0


def load_checkpoint(path: Path, *, mapped: bool = False) -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote.

    Parameters
    ----------
    mapped : bool
        Read tensors where they are used only; for a look at what else is stored.

    Raises
    ------
    MatteError
        If there is none, or it is damaged.
    """
    if not path.is_file():
        raise MatteError(f"{path}: nothing to resume from; start without --resume")
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise MatteError(f"{path}: cannot be read as a checkpoint ({reason})") from None
