"""What may change when a run goes on: every changed setting is applied, or refused by name."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mattecli.core.dataset.training_set import TrainingSet
from mattecli.core.errors import MatteError
from mattecli.core.training.config import TrainingConfig
from mattecli.core.training.options import StartOptions
from mattecli.core.training.state import TrainingState

#: Settings that decide which weights there are, or which samples come in which order.
FIXED = (
    *("network", "optimizer", "train_only", "freeze", "gan_channels"),
    *("seed", "data", "unlabeled", "backgrounds", "mixture"),
    *("batch_size", "crop_size", "sides", "crops"),
)
#: Losses that a part of the network, or a discriminator, stands and falls with.
FIXED_LOSSES = ("sentry", "adversarial")

_INSTEAD = "or begin a new run with --start-from OUT/last.safetensors"


def goes_on(checkpoint: Path, start: StartOptions, *, asked: bool) -> bool:
    """Tell whether a run goes on from its checkpoint: because it is asked to, or started again.

    The latter is what torchrun does once a process of its group has ended. The command is the same
    then, so it says nothing of going on.

    Raises
    ------
    MatteError
        If it is asked to, but to start from other weights, too.
    """
    if not asked:
        return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) > 0 and checkpoint.exists()
    for name in ("start_from", "encoder_weights"):
        if (path := getattr(start, name)) is not None:
            raise MatteError(
                f"--resume goes on with the run's own weights, not with {path}: leave "
                f"--{name.replace('_', '-')} out, {_INSTEAD}"
            )
    return True


def fingerprint(dataset: TrainingSet) -> str:
    """Tell a set by the names, order and weights of its files, wherever its folders lie."""
    digest = hashlib.sha256()
    for source in [*dataset.sources, *([dataset.backgrounds] if dataset.backgrounds else [])]:
        names = ["/".join(image.parts[-2:]) for image, _ in source.files]
        digest.update(repr((source.kind, round(source.weight, 9), names)).encode())
    return digest.hexdigest()[:16]


def changed_settings(stored: dict[str, Any], config: TrainingConfig, files: str) -> list[str]:
    """Compare the settings of a run that goes on with those that its checkpoint was written with.

    Parameters
    ----------
    stored : dict
        What `mattecli.core.training.run_files.save_run` stored. What it lacks was not known to the
        version that wrote it, and is not compared.
    files : str
        Fingerprint of the training files.

    Returns
    -------
    list of str
        ``"lr 0.001 -> 0.0002"`` for every setting that is changed and applies from here on.

    Raises
    ------
    MatteError
        If a setting is changed that a run cannot change, naming it.
    """
    before, now = _plain(stored.get("settings", {})), _plain(asdict(config))
    moved = stored.get("files", files) == files
    changes = []
    for name, value in now.items():
        if name == "network" or name not in before or before[name] == value:
            continue
        if name in ("loss", "first_epoch_loss"):
            changes += _changed_losses(name, before[name], value)
        elif name in ("data", "unlabeled", "backgrounds") and moved:
            changes.append(f"{name} moved to {_shown(value)}")
        elif name in FIXED:
            raise _refused(*_difference(name, before[name], value))
        else:
            changes.append(f"{name} {_shown(before[name])} -> {_shown(value)}")
    if not moved:
        raise MatteError(
            "--resume cannot change data (files were added, removed or renamed since the run "
            f"began): put them back, {_INSTEAD}"
        )
    return changes


def continue_from(
    state: TrainingState, stored: dict[str, Any], config: TrainingConfig, changes: list[str]
) -> str:
    """Go on from a checkpoint with the settings of `config`, whose network is settled by now.

    Parameters
    ----------
    changes : list of str
        What `changed_settings` found.

    Returns
    -------
    str
        The step, and every setting that is another one from here on.

    Raises
    ------
    MatteError
        If the checkpoint is of another network, or of a later step than the run is to have.
    """
    before, now = _plain(stored.get("settings", {})), _plain(asdict(config))
    if before and before["network"] != now["network"]:
        raise _refused(*_difference("network", before["network"], now["network"]))
    state.load_state_dict(stored)
    if config.steps < state.step:
        raise MatteError(
            f"the run is at step {state.step} already: --steps must be {state.step} or more"
        )
    if any(change.startswith("validation ") for change in changes):
        # Of other photos the best so far says nothing.
        state.best = math.inf
    line = f"goes on from step {state.step} of {config.steps}"
    return f"{line}; changed: {'; '.join(changes)}" if changes else line


def _changed_losses(table: str, before: dict[str, float], now: dict[str, float]) -> list[str]:
    changes = []
    for name in {**before, **now}:
        old, new = before.get(name, 0.0), now.get(name, 0.0)
        if name in FIXED_LOSSES and bool(old) != bool(new):
            raise _refused(f"loss {name}", old, new)
        if old != new:
            changes.append(f"{table.replace('_', ' ')} {name} {_shown(old)} -> {_shown(new)}")
    return changes


def _difference(name: str, before: Any, now: Any) -> tuple[str, Any, Any]:
    """Narrow a changed table down to its first changed entry."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in {**before, **now}:
            if before.get(key) != now.get(key):
                return f"{name}.{key}", before.get(key), now.get(key)
    return name, before, now


def _refused(name: str, before: Any, now: Any) -> MatteError:
    return MatteError(
        f"--resume cannot change {name} ({_shown(before)} in the run, {_shown(now)} asked for): "
        f"leave it out, {_INSTEAD}"
    )


def _plain(value: Any) -> Any:
    """Turn tuples into lists, which is what TOML makes of them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if value != "" else "none"
