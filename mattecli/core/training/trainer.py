"""The training loop, to be read from top to bottom."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mattecli.core.dataset.sources import Source, find_sources
from mattecli.core.device import choose_precision
from mattecli.core.errors import MatteError
from mattecli.core.network.weights import save_network
from mattecli.core.progress import progress
from mattecli.core.training.batches import Skipped, batches, build_dataset, check_shares
from mattecli.core.training.checkpoint import load_checkpoint, save_checkpoint
from mattecli.core.training.config import TrainingConfig
from mattecli.core.training.depthwise import run_depthwise_in_float32
from mattecli.core.training.losses import check_losses
from mattecli.core.training.options import RunOptions, StartOptions
from mattecli.core.training.processes import Processes, join_processes
from mattecli.core.training.run_log import RunLog
from mattecli.core.training.state import TrainingState, build_state
from mattecli.core.training.step import not_finite, training_step
from mattecli.core.training.validation import validate

_PREVIEWS = 4


@dataclass
class _Run:
    """What the parts of the loop share."""

    config: TrainingConfig
    out: Path
    processes: Processes
    state: TrainingState
    model: nn.Module
    validation_sources: list[Source]
    steps_per_epoch: int
    skipped: Skipped = field(default_factory=Skipped)
    #: None in processes that write no files.
    log: RunLog | None = None


def train(
    config: TrainingConfig,
    out: Path,
    *,
    start: StartOptions = StartOptions(),
    options: RunOptions = RunOptions(),
    stopped: Callable[[], bool] = lambda: False,
) -> Path:
    """Train a network and leave its weights in `out`.

    `out` receives ``config.toml``, ``log.jsonl`` (a line a logged step: step, lr, images/s and
    every loss by name), ``last/checkpoint.pt`` to resume from, ``last.safetensors`` and, with
    validation, ``best.safetensors``. Under torchrun the processes share every step. Samples whose
    files are damaged are skipped, named on standard error and counted in the log (``skipped``,
    since the run was started or resumed).

    Parameters
    ----------
    stopped : callable
        Called after every step; once it returns True the run is saved and ends.

    Returns
    -------
    Path
        The weights to predict with.

    Raises
    ------
    MatteError
        On data that does not fit together, a run that is already there, or a loss that is not
        finite (the last good checkpoint stays).
    """
    check_losses(config.loss | config.first_epoch_loss)
    checkpoint = _checkpoint(out)
    if not options.resume and checkpoint.exists():
        raise MatteError(f"{out} already holds a run: add --resume, or choose another --out")
    cache = options.cache or out / "cache"
    dataset = build_dataset(config, None if cache.name == "none" else cache)
    validation_sources = _find_validation_sources(config)
    steps_per_epoch = -(-dataset.files // config.batch_size)
    if config.epochs:
        config.steps = max(1, round(config.epochs * steps_per_epoch))

    with join_processes(options.device) as processes:
        check_shares(config, processes)
        state = build_state(config, processes, start, resume=options.resume)
        if options.resume:
            state.load_state_dict(load_checkpoint(checkpoint))
        # What the run was built with, for config.toml.
        config.network = {"name": config.network["name"], **state.network.config.to_dict()}
        model = _trainable(state.network, config, processes)
        run = _Run(config, out, processes, state, model, validation_sources, steps_per_epoch)
        stream = batches(dataset, config, state.step, processes, run.skipped)
        with _log_and_bar(run, quiet=options.quiet) as bar:
            _run_steps(run, stream, bar, stopped)
    return out / ("best.safetensors" if validation_sources else "last.safetensors")


def _checkpoint(out: Path) -> Path:
    return out / "last" / "checkpoint.pt"


def _find_validation_sources(config: TrainingConfig) -> list[Source]:
    sources = [source for folder in config.validation for source in find_sources(folder)]
    if any(source.kind != "pairs" for source in sources):
        raise MatteError("validation needs folders of image/ and alpha/ pairs, not cutouts")
    return sources


def _trainable(network: nn.Module, config: TrainingConfig, processes: Processes) -> nn.Module:
    """Wrap the network as it is called in training."""
    precision = choose_precision(config.precision, processes.device)
    if precision is torch.bfloat16 and processes.device.type == "cpu":
        run_depthwise_in_float32(network)
    return processes.wrap(torch.compile(network) if config.compile else network)


@contextlib.contextmanager
def _log_and_bar(run: _Run, *, quiet: bool) -> Iterator[Any]:
    """Open the log of a run, in the one process that writes files, and the progress bar."""
    with contextlib.ExitStack() as stack:
        if run.processes.first:
            run.config.save(run.out / "config.toml")
            log = RunLog(run.out, run.state.step, tensorboard=run.config.tensorboard)
            run.log = stack.enter_context(log)
        hidden = quiet or not run.processes.first
        bar = progress(total=run.config.steps, label="train", unit="step", quiet=hidden)
        stack.enter_context(bar)
        bar.update(run.state.step)
        yield bar


def _run_steps(
    run: _Run, stream: Iterator[dict[str, Tensor]], bar: Any, stopped: Callable[[], bool]
) -> None:
    """Train to the last step, or until `stopped`, with logs, validation and checkpoints."""
    config, state, processes = run.config, run.state, run.processes
    started, since = time.monotonic(), state.step
    stopping = False
    while state.step < config.steps and not stopping:
        weights = config.loss_at(state.step, run.steps_per_epoch)
        lr = state.schedule.get_last_lr()[-1]
        known = len(run.skipped.reasons)
        values = training_step(state, run.model, stream, config, processes, weights)
        for reason in run.skipped.reasons[known:]:
            bar.write(f"matte: skipped in training: {reason}", file=sys.stderr)
        bar.update()
        done, last = state.step, state.step == config.steps
        # All processes stop together, or the others would wait for ever.
        stopping = bool(processes.total([float(stopped())])[0])

        if done % config.log_every == 0 or last:
            losses = processes.mean(values)
            images = (done - since) * config.batch_size
            line = {"lr": lr, "images_per_s": images / (time.monotonic() - started), **losses}
            if (left_out := processes.total([float(run.skipped.samples)])[0]) > 0:
                line["skipped"] = left_out
            started, since = time.monotonic(), done
            if run.log:
                run.log.write(done, {name: _rounded(value) for name, value in line.items()})
            bar.set_postfix(loss=_rounded(losses["total"]))
        if run.validation_sources and (done % config.validate_every == 0 or last):
            paused = time.monotonic()
            _validate(run)
            # Time in validation does not count in images/s.
            started += time.monotonic() - paused
        if last or stopping or done % config.checkpoint_every == 0:
            _save(run)


def _validate(run: _Run) -> None:
    """Validate the averaged weights and keep the best."""
    state, config = run.state, run.config
    previews = _PREVIEWS if config.tensorboard and run.processes.first else 0
    metrics, rows = validate(
        state.average.network, run.validation_sources, run.processes, previews=previews
    )
    better = metrics["sad"] < state.best
    state.best = min(state.best, metrics["sad"])
    if run.log:
        run.log.write(state.step, {f"val_{name}": value for name, value in metrics.items()})
        run.log.show(state.step, rows)
        if better:
            _save_weights(state, config, run.out / "best.safetensors")


def _save(run: _Run) -> None:
    """Write the checkpoint and the last weights, in the one process that writes files.

    Raises
    ------
    MatteError
        If a weight is not finite; the last good checkpoint stays.
    """
    if not run.processes.first:
        return
    if not run.state.is_finite():
        raise not_finite("a weight", run.state.step)
    save_checkpoint(_checkpoint(run.out), run.state.state_dict())
    _save_weights(run.state, run.config, run.out / "last.safetensors")


def _save_weights(state: TrainingState, config: TrainingConfig, path: Path) -> None:
    """Save the averaged weights with their provenance."""

    def without_machine(folder: str) -> str:
        return "/".join(Path(folder).parts[-2:])

    settings = asdict(config)
    for key in ("data", "backgrounds", "validation"):
        settings[key] = [without_machine(folder) for folder in settings[key]]
    provenance = {
        "step": state.step,
        "samples": state.step * config.batch_size,
        "best_validation_sad": state.best if state.best < float("inf") else None,
        "settings": settings,
        "started_from": state.started_from,
    }
    save_network(state.average.network, path, provenance=provenance)


def _rounded(value: float) -> float:
    """To six significant digits."""
    return float(f"{value:.6g}")
