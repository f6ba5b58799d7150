"""The files of a run: its checkpoint and its weights, and the room that they take."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mattecli.core.errors import MatteError
from mattecli.core.network.weights import save_network
from mattecli.core.storage import clear_errors
from mattecli.core.training.checkpoint import load_checkpoint, save_checkpoint
from mattecli.core.training.config import TrainingConfig
from mattecli.core.training.state import TrainingState


def checkpoint_of(out: Path) -> Path:
    """Give the path of a run's checkpoint."""
    return out / "last" / "checkpoint.pt"


def refuse_a_file(out: Path) -> None:
    """Refuse a folder for a run where a file stands, before anything is read or fetched for it.

    Raises
    ------
    MatteError
    """
    for place in (out, *out.parents):
        if place.is_dir():
            return
        if place.exists():
            raise MatteError(f"{place} is a file, and no folder for a run: choose another --out")


def refuse_to_overwrite(out: Path) -> None:
    """Refuse to begin anew where a run has trained; one that never came to a step is no loss.

    Raises
    ------
    MatteError
    """
    path = checkpoint_of(out)
    if path.exists() and _steps_in(path) != 0:
        raise MatteError(f"{out} already holds a run: add --resume, or choose another --out")


def _steps_in(path: Path) -> int | None:
    """Read how many steps a checkpoint has, None if it is damaged."""
    try:
        return load_checkpoint(path, mapped=True)["step"]
    except MatteError:
        return None


def save_run(
    state: TrainingState,
    config: TrainingConfig,
    out: Path,
    files: str,
    between: Callable[[], None] = lambda: None,
) -> None:
    """Write the checkpoint.

    Parameters
    ----------
    files : str
        Fingerprint of the training files, see `resuming.fingerprint`.
    between : callable
        See `save_checkpoint`.

    Raises
    ------
    MatteError
        If a weight is not finite; the last good checkpoint stays.
    """
    if not state.is_finite():
        raise not_finite("a weight", state.step)
    more = {"settings": asdict(config), "files": files}
    stored = state.state_dict() | more
    if state.average.decay == 0:
        # They are the same then, and a tensor that comes twice is written once.
        stored["average"] = stored["network"]
    save_checkpoint(checkpoint_of(out), stored, between)


def not_finite(what: str, step: int) -> MatteError:
    """Make the error for a loss or weight that is NaN or infinite."""
    return MatteError(
        f"{what} is not finite at step {step}; the last good checkpoint stays: "
        "add --resume and a smaller --lr"
    )


def save_weights(state: TrainingState, config: TrainingConfig, path: Path) -> None:
    """Save the averaged weights with their provenance."""

    def without_machine(folder: str) -> str:
        return "/".join(Path(folder).parts[-2:])

    settings = asdict(config)
    for key in ("data", "backgrounds", "validation", "unlabeled", "teachers"):
        settings[key] = [without_machine(folder) for folder in settings[key]]
    provenance = {
        "step": state.step,
        "samples": state.step * config.batch_size,
        "best_validation_sad": state.best if state.best < float("inf") else None,
        "settings": settings,
        "started_from": state.started_from,
    }
    save_network(state.average.network, path, provenance=provenance)


def bytes_of_run(state: TrainingState) -> int:
    """Count the bytes that a run's files take while the last of them is being replaced."""
    network = _bytes(state.network, buffers=True)
    trained = _bytes(state.network, buffers=False, trained=True)
    moments = trained * (2 if isinstance(state.optimizer, torch.optim.AdamW) else 1)
    adversary = 3 * _bytes(state.adversary.discriminator, buffers=True) if state.adversary else 0
    checkpoint = 2 * network + moments + adversary
    # A file that is replaced exists twice; weights are stored in half precision, last and best.
    return 2 * checkpoint + 3 * network // 2


def check_room(state: TrainingState, out: Path) -> None:
    """Refuse to begin a run for whose files the disk has no room.

    Raises
    ------
    MatteError
    """
    with clear_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    needed = math.ceil(bytes_of_run(state) / 2**20)
    free = shutil.disk_usage(out).free // 2**20
    if free < needed:
        raise MatteError(
            f"{out}: {free} MiB free, the checkpoints and weights of this run need {needed} MiB; "
            "make room, or choose another --out"
        )


def _bytes(network: nn.Module, *, buffers: bool, trained: bool = False) -> int:
    tensors: list[Any] = [p for p in network.parameters() if p.requires_grad or not trained]
    tensors += list(network.buffers()) if buffers else []
    return sum(tensor.nbytes for tensor in tensors)
