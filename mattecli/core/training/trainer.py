"""The training loop, to be read from top to bottom."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mattecli.core.progress import progress
from mattecli.core.training.accelerating import compiled, fast_backends, prefetched
from mattecli.core.training.batches import batches, build_dataset
from mattecli.core.training.config import TrainingConfig
from mattecli.core.training.depthwise import run_depthwise_in_float32
from mattecli.core.training.fitting import leave_out_losses
from mattecli.core.training.losses import check_losses
from mattecli.core.training.meter import Lines, Meter, TimedStream, memory_gb, rounded
from mattecli.core.training.optimization import learning_rate
from mattecli.core.training.options import RunOptions, StartOptions
from mattecli.core.training.preparing import Run, prepare, say
from mattecli.core.training.processes import Processes, join_processes, training_precision
from mattecli.core.training.resuming import goes_on
from mattecli.core.training.run_files import (
    checkpoint_of,
    refuse_a_file,
    refuse_to_overwrite,
    save_weights,
)
from mattecli.core.training.run_log import RunLog
from mattecli.core.training.sample_workers import lost_workers_told
from mattecli.core.training.saving import Saves
from mattecli.core.training.state import TrainingState
from mattecli.core.training.step import training_step
from mattecli.core.training.stopping import Stop, Stopped, never_asked
from mattecli.core.training.validation import validate

_PREVIEWS = 4

#: Gives a function that tells whether training is to end, while it is entered.
Shutdown = AbstractContextManager[Callable[[], bool]]


def train(
    config: TrainingConfig,
    out: Path,
    *,
    start: StartOptions = StartOptions(),
    options: RunOptions = RunOptions(),
    shutdown: Shutdown = nullcontext(never_asked),
) -> Path:
    """Train a network and leave its weights in `out`.

    `out` receives ``config.toml``, ``log.jsonl`` (a line a logged step: step, lr, images/s, seconds
    a step and of them waiting for data, memory, and every loss by name), ``last/checkpoint.pt`` to
    resume from, ``last.safetensors`` and, with validation, ``best.safetensors``. Under torchrun the
    processes share every step. Samples whose files are damaged are skipped, named on standard error
    and counted in the log (``skipped``, since the run was started or resumed).

    Parameters
    ----------
    shutdown : context manager
        Entered before the first step; once the function it gives returns True the run is saved and
        ends, in the middle of a step if need be, which is then done again by a resumed run. What
        would take longer to write than `WRITING` is left out: the weights, and a checkpoint of
        steps that are sooner done again, or the rest of one that is being written.

    Returns
    -------
    Path
        The weights to predict with.

    Raises
    ------
    MatteError
        On data that does not fit or is damaged by more than 1%, a run that is already there or a
        file in its place, what a resumed run cannot take, a disk without room, a worker process
        that is ended, or a loss that is not finite (the last good checkpoint stays).
    """
    refuse_a_file(out)
    check_losses(config.loss | config.first_epoch_loss)
    resume = goes_on(checkpoint_of(out), start, asked=options.resume)
    if not resume:
        refuse_to_overwrite(out)
    cache = options.cache or out / "cache"
    dataset = build_dataset(config, None if cache.name == "none" else cache)
    left_out = leave_out_losses(config, dataset)
    steps_per_epoch = -(-dataset.files // config.batch_size)
    if config.epochs:
        config.steps = max(1, round(config.epochs * steps_per_epoch))

    with join_processes(options.device) as processes, fast_backends(processes.device, config):
        run = Run(config, out, processes, dataset, steps_per_epoch)
        state = prepare(run, start, quiet=options.quiet, resume=resume)
        for line in left_out:
            run.say(line)
        with _log_and_bar(run, state, quiet=options.quiet) as (bar, lines), shutdown as asked:
            stream = batches(dataset, config, state.step, processes, run.skipped, asked)
            with contextlib.closing(stream), lost_workers_told():
                timed = TimedStream(prefetched(stream, processes.device))
                _run_steps(run, state, timed, bar, lines, Stop(asked, processes))
    best = out / "best.safetensors"
    return best if run.validation_sources and best.exists() else out / "last.safetensors"


def _trainable(network: nn.Module, config: TrainingConfig, processes: Processes) -> nn.Module:
    """Wrap the network as it is called in training."""
    precision = training_precision(config.precision, processes.device)
    if precision is torch.bfloat16 and processes.device.type == "cpu":
        run_depthwise_in_float32(network)
    # Sentries that have a weight in the first epoch alone, or after it, have no gradients else.
    sentry = {bool(config.loss_at(step, epoch=1).get("sentry")) for step in (0, 1)}
    trained = compiled(network, config) if config.compile else network
    return processes.wrap(trained, sometimes_unused=len(sentry) > 1)


@contextlib.contextmanager
def _log_and_bar(run: Run, state: TrainingState, *, quiet: bool) -> Iterator[tuple[Any, Lines]]:
    """Open the log of a run, in the one process that writes files, and the progress bar."""
    with contextlib.ExitStack() as stack:
        if run.processes.first:
            run.config.save(run.out / "config.toml")
            log = RunLog(run.out, state.step, tensorboard=run.config.tensorboard)
            run.log = stack.enter_context(log)
        hidden = quiet or not run.processes.first
        bar = progress(total=run.config.steps, label="train", unit="step", quiet=hidden)
        stack.enter_context(bar)
        bar.update(state.step)
        yield bar, Lines(bar, run.processes.device, total=run.config.steps, quiet=hidden)


def _run_steps(
    run: Run, state: TrainingState, stream: TimedStream, bar: Any, lines: Lines, stop: Stop
) -> None:
    """Train to the last step, or until a stop is wanted, with logs, validation and checkpoints."""
    config = run.config
    meter = Meter(state.step, stream)
    saves = Saves(run, state, meter, stop)
    if state.step == 0:
        # What the first step spoils can be gone back from, too.
        saves.write()
    model = _trainable(state.network, config, run.processes)
    try:
        with stop.between_operations(*_watched(state, config)):
            _validate(run, state, meter, stop)
            while state.step < config.steps and not stop.agreed():
                known, chunks = len(run.skipped.reasons), state.chunks
                lr = learning_rate(config, state.step)
                weights = config.loss_at(state.step, run.steps_per_epoch)
                values = training_step(state, model, stream, config, stop, weights)
                for reason in run.skipped.reasons[known:]:
                    say(f"skipped in training: {reason}")
                if state.chunks > chunks:
                    run.say(f"out of memory: parts of a batch go in {state.chunks} pieces from now")
                bar.update()
                last = state.step == config.steps
                lines.show(state.step, values["total"], meter)
                if last or state.step % config.log_every == 0:
                    _log(run, state, values, lr, meter)
                    bar.set_postfix(loss=rounded(values["total"].item()))
                # Before a validation, which may take long itself, and after it.
                saves.write(saves.pay())
                if last or state.step % config.validate_every == 0:
                    _validate(run, state, meter, stop)
                saves.write(last or state.step % config.checkpoint_every == 0 or saves.pay())
    except Stopped:
        pass
    saves.write()


def _watched(state: TrainingState, config: TrainingConfig) -> list[nn.Module]:
    """Give the networks whose passes may be left; hooks would cut a compiled one to pieces."""
    networks = [state.average.network] + [state.network] * (not config.compile)
    return networks + ([state.adversary.discriminator] if state.adversary else [])


def _log(
    run: Run, state: TrainingState, values: dict[str, Tensor], lr: float, meter: Meter
) -> None:
    """Write a line of the log."""
    speed = meter.read(state.step)
    meter.reset(state.step)
    images = run.config.batch_size / speed["s_per_step"]
    line = {"lr": lr, "images_per_s": images, **speed}
    if (memory := memory_gb(run.processes.device)) is not None:
        line["memory_gb"] = memory
    line |= run.processes.mean(values)
    if (left_out := run.processes.total([float(run.skipped.samples)])[0]) > 0:
        line["skipped"] = left_out
    if run.log:
        run.log.write(state.step, {name: rounded(value) for name, value in line.items()})
    if run.dataset.cache.lacks_room():
        run.say_once(
            f"{run.dataset.cache.folder}: the disk has no room for more decoded samples; the rest "
            "is decoded anew each time"
        )


def _validate(run: Run, state: TrainingState, meter: Meter, stop: Stop) -> None:
    """Validate the averaged weights, unless that was done at this step, and keep the best."""
    config = run.config
    on_time = state.step == config.steps or state.step % config.validate_every == 0
    if not run.validation_sources or not on_time or state.step <= state.validated:
        return
    previews = _PREVIEWS if config.tensorboard and run.processes.first else 0
    with meter.paused():
        validated = validate(state.average.network, run.validation_sources, stop, previews=previews)
    for reason in validated.reasons:
        run.say_once(f"left out of the validation: {reason}")
    state.validated = state.step
    metrics = {f"val_{name}": value for name, value in validated.metrics.items()}
    if validated.skipped:
        metrics["val_skipped"] = validated.skipped
    sad = validated.metrics.get("sad", math.inf)
    better, state.best = sad < state.best, min(state.best, sad)
    if run.log:
        run.log.write(state.step, metrics)
        run.log.show(state.step, validated.rows)
        if better:
            save_weights(state, config, run.out / "best.safetensors")
