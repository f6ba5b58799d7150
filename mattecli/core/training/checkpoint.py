"""Checkpoints that survive a kill at any moment, and averaged weights."""

from __future__ import annotations

import copy
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mattecli.core.errors import MatteError


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
        mine = dict(self.network.named_parameters())
        averages = [mine[name] for name, _ in network.named_parameters()]
        torch._foreach_lerp_(averages, [p.detach() for p in network.parameters()], 1 - decay)
        for average, buffer in zip(self.network.buffers(), network.buffers(), strict=True):
            average.copy_(buffer)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` under a temporary name, sync it to disk, rename it over `path`.

    Raises
    ------
    MatteError
        If the disk has no room for it; what was there before stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    needed = 2 * path.stat().st_size if path.exists() else 256 * 2**20
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise MatteError(
            f"{path.parent}: {free // 2**20} MiB free, a checkpoint needs {needed // 2**20} MiB; "
            "make room and continue with --resume"
        )
    partial = path.with_name(f".{path.name}.part")
    with open(partial, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote.

    Raises
    ------
    MatteError
        If there is none, or it is damaged.
    """
    if not path.is_file():
        raise MatteError(f"{path}: nothing to resume from; start without --resume")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise MatteError(f"{path}: cannot be read as a checkpoint ({reason})") from None
