"""The training loop, to be read from top to bottom."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from mattecli.core.dataset.sources import Source, find_sources
from mattecli.core.device import autocast, choose_precision
from mattecli.core.errors import MatteError
from mattecli.core.network.weights import save_network
from mattecli.core.progress import progress
from mattecli.core.training.batches import batches, build_dataset, check_shares
from mattecli.core.training.checkpoint import load_checkpoint, save_checkpoint
from mattecli.core.training.config import TrainingConfig
from mattecli.core.training.depthwise import run_depthwise_in_float32
from mattecli.core.training.guidance import simulate_guidance
from mattecli.core.training.losses import check_losses, loss_values, weighted_sum
from mattecli.core.training.processes import Processes, join_processes
from mattecli.core.training.run_log import RunLog
from mattecli.core.training.state import TrainingState, build_state
from mattecli.core.training.validation import validate

_PREVIEWS = 4


def train(
    config: TrainingConfig,
    run: Path,
    *,
    encoder_weights: Path | None = None,
    start_from: Path | None = None,
    pretrained: bool = True,
    resume: bool = False,
    device: str = "auto",
    cache: Path | None = None,
    quiet: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> Path:
    """Train a network and leave its weights in `run`.

    `run` receives ``config.toml``, ``log.jsonl`` (a line a logged step: step, lr, images/s and
    every loss by name), ``last/checkpoint.pt`` to resume from, ``last.safetensors`` and, with
    validation, ``best.safetensors``. Under torchrun the processes share every step.

    Parameters
    ----------
    encoder_weights : Path, optional
        Local ImageNet weights for the encoder, instead of timm's download.
    start_from : Path, optional
        Weights to fine-tune. Their network is changed by the settings in `config.network`, not by
        its name; parts that they lack start anew.
    pretrained : bool
        Whether the encoder starts from ImageNet weights at all.
    cache : Path, optional
        Folder for decoded samples, shared between runs; ``run/cache`` by default, and with the name
        ``none`` nothing is kept.
    stopped : callable
        Asked after every step; where it says so, the run is written down and left there.

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
    checkpoint = run / "last" / "checkpoint.pt"
    if not resume and checkpoint.exists():
        raise MatteError(f"{run} already holds a run: add --resume, or choose another --out")
    cache = cache or run / "cache"
    dataset = build_dataset(config, None if cache.name == "none" else cache)
    validation_sources = [source for folder in config.validation for source in find_sources(folder)]
    if any(source.kind != "pairs" for source in validation_sources):
        raise MatteError("validation needs folders of image/ and alpha/ pairs, not cutouts")
    epoch = -(-dataset.files // config.batch_size)
    if config.epochs:
        config.steps = max(1, round(config.epochs * epoch))

    with join_processes(device) as processes:
        check_shares(config, processes)
        stored = load_checkpoint(checkpoint) if resume else None
        state = build_state(
            config,
            processes,
            encoder_weights=encoder_weights,
            start_from=start_from,
            pretrained=pretrained and not resume,
        )
        if stored:
            state.load_state_dict(stored)
        settings = state.network.config.to_dict()
        config.network = {"name": config.network["name"], **settings}
        stream = batches(dataset, config, state.step, processes)
        precision = choose_precision(config.precision, processes.device)
        if precision is torch.bfloat16 and processes.device.type == "cpu":
            run_depthwise_in_float32(state.network)
        model = torch.compile(state.network) if config.compile else state.network
        model = processes.wrap(model)
        with contextlib.ExitStack() as stack:
            log = None
            if processes.first:
                config.save(run / "config.toml")
                log = RunLog(run, state.step, tensorboard=config.tensorboard)
                stack.enter_context(log)
            bar = stack.enter_context(
                progress(
                    total=config.steps,
                    label="train",
                    unit="step",
                    quiet=quiet or not processes.first,
                )
            )
            bar.update(state.step)
            started, since = time.monotonic(), state.step
            stopping = False
            while state.step < config.steps and not stopping:
                weights = config.loss_at(state.step, epoch)
                lr = state.schedule.get_last_lr()[-1]
                values = _step(state, model, stream, config, weights, processes)
                bar.update()
                done, last = state.step, state.step == config.steps
                stopping = bool(processes.total([float(stopped())])[0])

                if done % config.log_every == 0 or last:
                    metrics = processes.mean(values)
                    seen = (done - since) * config.batch_size
                    rate = seen / (time.monotonic() - started)
                    started, since = time.monotonic(), done
                    line = {"lr": lr, "images_per_s": rate}
                    if log:
                        log.write(done, {k: _short(v) for k, v in (line | metrics).items()})
                    bar.set_postfix(loss=_short(metrics["total"]))
                if validation_sources and (done % config.validate_every == 0 or last):
                    paused = time.monotonic()
                    _validate(state, validation_sources, processes, log, run, config)
                    started += time.monotonic() - paused
                due = last or stopping or done % config.checkpoint_every == 0
                if processes.first and due:
                    if not state.is_finite():
                        raise _not_finite("a weight", done)
                    save_checkpoint(checkpoint, state.state_dict())
                    _export(state, config, run / "last.safetensors")
    return run / ("best.safetensors" if validation_sources else "last.safetensors")


def _step(
    state: TrainingState,
    model: nn.Module,
    stream: Iterator[dict[str, Tensor]],
    config: TrainingConfig,
    weights: dict[str, float],
    processes: Processes,
) -> dict[str, Tensor]:
    """One step of the network, and of its adversary if there is one; the losses by name."""
    precision = choose_precision(config.precision, processes.device)
    network, adversary, share = state.network, state.adversary, 1 / config.accumulate
    model.train()
    _freeze_batch_norm(network, everywhere=config.freeze_batch_norm)
    means: dict[str, Tensor] = {}
    for part in range(config.accumulate):
        batch = {k: v.to(processes.device, non_blocking=True) for k, v in next(stream).items()}
        image = batch["image"].contiguous(memory_format=torch.channels_last)
        waiting = part + 1 < config.accumulate and processes.world > 1
        with model.no_sync() if waiting else contextlib.nullcontext():
            guidance = _guidance(state, batch, config, part, processes)
            with autocast(processes.device, precision):
                alpha, intermediate = model(image, *guidance)
            # Where nobody knows alpha the network's own stands for it, which no loss pulls at.
            batch["alpha"] = torch.where(batch["known"] > 0, batch["alpha"], alpha.detach())
            # In float32: the variances of SSIM are differences that half precision loses.
            values = loss_values(alpha, intermediate, batch, weights)
            if adversary and weights.get("adversarial"):
                values["adversarial"] = adversary.generator_loss(batch["image"], alpha)
            values["total"] = weighted_sum(values, weights)
            state.scaler.scale(share * values["total"]).backward()
        if adversary:
            values["discriminator"] = adversary.learn(batch["image"], alpha, batch["alpha"], share)
        for name, value in values.items():
            means[name] = means.get(name, 0) + share * value.detach()

    # Every process must come to the same answer, or the others would wait for it for ever.
    if processes.total([float(not torch.isfinite(means["total"]))])[0]:
        raise _not_finite("the loss", state.step + 1)
    if config.clip:
        state.scaler.unscale_(state.optimizer)
        nn.utils.clip_grad_norm_(network.parameters(), config.clip)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.optimizer.zero_grad(set_to_none=True)
    if adversary:
        adversary.step()
    state.schedule.step()
    state.average.update(network, state.step)
    state.step += 1
    return means


def _guidance(
    state: TrainingState,
    batch: dict[str, Tensor],
    config: TrainingConfig,
    part: int,
    processes: Processes,
) -> tuple[Tensor, ...]:
    """The guidance of a batch, for networks that take any."""
    if not state.network.config.guidance:
        return ()
    precision = choose_precision(config.precision, processes.device)

    @torch.no_grad()
    def coarse(image: Tensor) -> Tensor:
        with autocast(processes.device, precision):
            return state.average.network(image.contiguous(memory_format=torch.channels_last))

    seeds = (config.seed, state.step, part, processes.rank)
    generator = torch.Generator().manual_seed(hash(seeds) % 2**63)
    guidance = simulate_guidance(
        batch["image"],
        batch["alpha"],
        batch["known"],
        share=config.guided,
        coarse=coarse,
        generator=generator,
    )
    return (guidance.contiguous(memory_format=torch.channels_last),)


def _not_finite(what: str, step: int) -> MatteError:
    return MatteError(
        f"{what} is not finite at step {step}; the last good checkpoint stays: "
        "add --resume and a smaller --lr"
    )


def _validate(
    state: TrainingState,
    validation_sources: list[Source],
    processes: Processes,
    log: RunLog | None,
    run: Path,
    config: TrainingConfig,
) -> None:
    """Validate the averaged weights and keep the best."""
    previews = _PREVIEWS if config.tensorboard and processes.first else 0
    metrics, rows = validate(
        state.average.network, validation_sources, processes, previews=previews
    )
    better = metrics["sad"] < state.best
    state.best = min(state.best, metrics["sad"])
    if log:
        log.write(state.step, {f"val_{name}": value for name, value in metrics.items()})
        log.show(state.step, rows)
        if better:
            _export(state, config, run / "best.safetensors")


def _freeze_batch_norm(network: nn.Module, *, everywhere: bool) -> None:
    """Stop the statistics of batch norms, at least of those that do not learn either."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and (
            everywhere or not module.weight.requires_grad
        ):
            module.eval()


def _export(state: TrainingState, config: TrainingConfig, path: Path) -> None:
    """Save the averaged weights, and how they came about without the machine's paths."""

    def short(folder: str) -> str:
        return "/".join(Path(folder).parts[-2:])

    settings = asdict(config)
    settings |= {
        key: [short(f) for f in settings[key]] for key in ("data", "backgrounds", "validation")
    }
    provenance = {
        "step": state.step,
        "samples": state.step * config.batch_size,
        "best_validation_sad": state.best if state.best < float("inf") else None,
        "settings": settings,
        "started_from": state.started_from,
    }
    save_network(state.average.network, path, provenance=provenance)


def _short(value: float) -> float:
    return float(f"{value:.6g}")
