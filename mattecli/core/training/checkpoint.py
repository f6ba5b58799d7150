"""Checkpoints that survive a kill at any moment."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from mattecli.core.errors import MatteError
from mattecli.core.storage import clear_errors, whole_file

# Bytes that are brought to the disk at a time: a slow one takes no second for them.
_PIECE = 8 * 2**20


class _Pieces:
    """What `torch.save` writes to: a file that gets to the disk a piece at a time.

    Attributes
    ----------
    error : BaseException or None
        Why nothing more can be written. PyTorch puts an error of its own in its place, about the
        end of an archive that it could not write.
    """

    def __init__(self, file: BinaryIO, between: Callable[[], None]) -> None:
        self.file, self.between = file, between
        self.error: BaseException | None = None
        self._waiting = 0

    def write(self, data: bytes) -> int:
        try:
            for begin in range(0, len(data), _PIECE):
                self._waiting += self.file.write(memoryview(data)[begin : begin + _PIECE])
                if self._waiting >= _PIECE:
                    self.file.flush()
                    os.fsync(self.file.fileno())
                    self._waiting = 0
                    self.between()
        except BaseException as error:
            self.error = error
            raise
        return len(data)

    def flush(self) -> None:
        self.file.flush()


def save_checkpoint(
    path: Path, state: dict[str, Any], between: Callable[[], None] = lambda: None
) -> None:
    """Write `state` under a temporary name, sync it to disk, rename it over `path`.

    Parameters
    ----------
    between : callable
        Called between any two pieces; if it raises, `path` stays as it was.

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
        pieces = _Pieces(file, between)
        try:
            torch.save(state, pieces)
        except BaseException as error:
            raise (pieces.error or error) from None


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
