"""The training loop, to be read from top to bottom."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from mattecli.core.dataset.sample_cache import SampleCache
from mattecli.core.dataset.sources import Source, find_backgrounds, find_sources
from mattecli.core.dataset.training_set import Mixture, TrainingSet
from mattecli.core.device import autocast, choose_device, choose_precision
from mattecli.core.errors import MatteError
from mattecli.core.network.config import network_config
from mattecli.core.network.encoders import load_encoder_weights
from mattecli.core.network.hattmatting import HAttMatting
from mattecli.core.network.weights import load_network, read_header, save_network
from mattecli.core.progress import progress
from mattecli.core.training.checkpoint import AveragedNetwork, load_checkpoint, save_checkpoint
from mattecli.core.training.config import TrainingConfig
from mattecli.core.training.losses import check_losses, weighted_losses
from mattecli.core.training.optimization import build_optimizer, build_schedule
from mattecli.core.training.validation import validate


def train(
    config: TrainingConfig,
    run: Path,
    *,
    validation: list[Path] | None = None,
    encoder_weights: Path | None = None,
    start_from: Path | None = None,
    pretrained: bool = True,
    resume: bool = False,
    device: str = "auto",
    cache: Path | None = None,
    quiet: bool = False,
) -> Path:
    """Train a network and leave its weights in `run`.

    `run` receives ``config.toml``, ``log.jsonl`` (a line a logged step: step, lr, images/s and
    every loss by name), ``last/checkpoint.pt`` to resume from, ``last.safetensors`` and, with
    validation, ``best.safetensors``.

    Parameters
    ----------
    validation : list of Path, optional
        Folders of photo/matte pairs; the weights of lowest SAD there become ``best``.
    encoder_weights : Path, optional
        Local ImageNet weights for the encoder, instead of timm's download.
    start_from : Path, optional
        Weights to fine-tune; of their network only `predict_size` is changed by
        `config.network`.
    pretrained : bool
        Whether the encoder starts from ImageNet weights at all.
    cache : Path, optional
        Folder for decoded samples, shared between runs; ``run/cache`` by default.

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
    check_losses(config.loss)
    checkpoint = run / "last" / "checkpoint.pt"
    if not resume and checkpoint.exists():
        raise MatteError(f"{run} already holds a run: add --resume, or choose another --out")
    sources = [source for folder in config.data for source in find_sources(folder)]
    backgrounds = _all_backgrounds(config)
    if backgrounds is None and any(source.kind == "cutouts" for source in sources):
        raise MatteError("training on cutouts needs --backgrounds to put them on")
    judged = [source for folder in validation or [] for source in find_sources(folder)]
    if any(source.kind != "pairs" for source in judged):
        raise MatteError("validation needs folders of image/ and alpha/ pairs, not cutouts")

    target = choose_device(device)
    precision = choose_precision(config.precision, target)
    torch.manual_seed(config.seed)
    network = _build_network(config, encoder_weights, start_from, pretrained and not resume)
    network = network.to(target, memory_format=torch.channels_last)
    optimizer = build_optimizer(network, config)
    schedule = build_schedule(optimizer, config)
    average = AveragedNetwork(network, config.ema)
    scaler = torch.amp.GradScaler(target.type, enabled=precision is torch.float16)
    first, best = 0, math.inf
    if resume:
        state = load_checkpoint(checkpoint)
        network.load_state_dict(state["network"])
        average.network.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"])
        first, best = state["step"], state["best"]
    run.mkdir(parents=True, exist_ok=True)
    config.save(run / "config.toml")

    def provenance(step: int) -> dict:
        return {
            "step": step,
            "samples": step * config.batch_size,
            "best_validation_sad": None if math.isinf(best) else best,
            "settings": _shareable(config),
            "started_from": read_header(start_from)[1] if start_from else None,
        }

    dataset = TrainingSet(
        sources,
        backgrounds,
        size=config.crop_size,
        seed=config.seed,
        mixture=Mixture(**config.mixture),
        cache=SampleCache(cache or run / "cache", max(640, 3 * config.crop_size // 2)),
    )
    batches = _batches(dataset, config, first, pinned=target.type == "cuda")
    steps = range(first, config.steps)
    started, seen = time.monotonic(), 0
    with (
        open(run / "log.jsonl", "a", encoding="utf-8") as log,
        progress(total=config.steps, label="train", unit="step", quiet=quiet) as bar,
    ):
        bar.update(first)
        for step, batch in zip(steps, batches, strict=False):
            batch = {k: v.to(target, non_blocking=True) for k, v in batch.items()}
            image = batch["image"].contiguous(memory_format=torch.channels_last)

            network.train()
            with autocast(target, precision):
                alpha, intermediate = network(image)
                losses = weighted_losses(alpha, intermediate, batch, config.loss)
            if not torch.isfinite(losses["total"]):
                raise MatteError(
                    f"the loss is not finite at step {step + 1}; the last good checkpoint is in "
                    f"{checkpoint.parent}: resume with a smaller --lr"
                )
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(losses["total"]).backward()
            if config.clip:
                scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip)
            scaler.step(optimizer)
            scaler.update()
            schedule.step()
            average.update(network, step)
            bar.update()
            seen += len(image)
            done = step + 1

            if done % config.log_every == 0 or done == config.steps:
                values = {name: round(value.item(), 6) for name, value in losses.items()}
                rate = round(seen / (time.monotonic() - started), 3)
                started, seen = time.monotonic(), 0
                line = {"step": done, "lr": schedule.get_last_lr()[-1], "images_per_s": rate}
                _write(log, {**line, **values})
                bar.set_postfix(loss=values["total"])
            last = done == config.steps
            if judged and (done % config.validate_every == 0 or last):
                figures = validate(average.network, judged, target)
                _write(log, {"step": done, **{f"val_{k}": v for k, v in figures.items()}})
                if figures["sad"] < best:
                    best = figures["sad"]
                    save_network(
                        average.network, run / "best.safetensors", provenance=provenance(done)
                    )
            if done % config.checkpoint_every == 0 or last:
                state = {
                    "step": done,
                    "best": best,
                    "network": network.state_dict(),
                    "average": average.network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "schedule": schedule.state_dict(),
                    "scaler": scaler.state_dict(),
                    "random": torch.get_rng_state(),
                }
                save_checkpoint(checkpoint, state)
                save_network(average.network, run / "last.safetensors", provenance=provenance(done))
    return run / ("best.safetensors" if judged else "last.safetensors")


def _build_network(
    config: TrainingConfig, encoder_weights: Path | None, start_from: Path | None, pretrained: bool
) -> HAttMatting:
    settings = dict(config.network)
    if start_from is not None:
        network = load_network(start_from)
        if size := settings.get("predict_size"):
            network.config = replace(network.config, predict_size=size)
        return network
    chosen = network_config(settings.pop("name"), **settings)
    download = pretrained and encoder_weights is None
    try:
        network = HAttMatting(chosen, pretrained_encoder=download)
    except OSError as error:
        raise MatteError(
            f"the ImageNet weights of '{chosen.encoder}' could not be downloaded "
            f"({type(error).__name__}); give a local file with --encoder-weights, or train from "
            "scratch with --no-pretrained"
        ) from None
    if encoder_weights is not None and pretrained:
        load_encoder_weights(network.encoder, chosen.encoder, encoder_weights)
    return network


def _all_backgrounds(config: TrainingConfig) -> Source | None:
    found = [find_backgrounds(Path(folder)) for folder in config.backgrounds]
    files = [file for source in found for file in source.files]
    return Source("backgrounds", files) if files else None


def _batches(
    dataset: TrainingSet, config: TrainingConfig, first_step: int, *, pinned: bool
) -> Iterator[dict[str, Tensor]]:
    """Batches from `first_step` on; sample numbers run on, so a resumed run sees the same ones."""
    size = config.batch_size
    numbers = range(first_step * size, config.steps * size)
    loader = DataLoader(
        dataset,
        batch_size=size,
        sampler=numbers,
        num_workers=config.workers,
        worker_init_fn=_quiet_worker,
        pin_memory=pinned,
        drop_last=True,
    )
    return iter(loader)


def _quiet_worker(_: int) -> None:
    """A worker is one thread: more would take the cores from the step."""
    import cv2

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _shareable(config: TrainingConfig) -> dict:
    """The settings without the machine's paths: weights travel, and folders' names say enough."""

    def short(folder: str) -> str:
        return "/".join(Path(folder).parts[-2:])

    settings = asdict(config)
    return settings | {key: [short(f) for f in settings[key]] for key in ("data", "backgrounds")}


def _write(log, line: dict) -> None:
    log.write(json.dumps(line) + "\n")
    log.flush()
