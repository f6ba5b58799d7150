"""One step of training: forward and backward over the parts of a batch, then the update."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from mattecli.core.device import autocast, choose_precision
from mattecli.core.errors import MatteError
from mattecli.core.training.config import TrainingConfig
from mattecli.core.training.guidance import simulate_guidance
from mattecli.core.training.losses import ignore_unknown, loss_values, weighted_sum
from mattecli.core.training.processes import Processes
from mattecli.core.training.state import TrainingState


def training_step(
    state: TrainingState,
    model: nn.Module,
    stream: Iterator[dict[str, Tensor]],
    config: TrainingConfig,
    processes: Processes,
    weights: dict[str, float],
) -> dict[str, Tensor]:
    """Train on the next batch.

    Parameters
    ----------
    model : torch.nn.Module
        ``state.network``, compiled or wrapped where it is to be.
    stream : iterator
        Gives the ``config.accumulate`` parts of the batch.
    weights : dict of float
        Weight of every loss by name.

    Returns
    -------
    dict of Tensor
        Every loss by name, a scalar, and their weighted sum as ``total``.

    Raises
    ------
    MatteError
        If the loss is not finite; the network is unchanged then.
    """
    share = 1 / config.accumulate
    model.train()
    _freeze_batch_norm(state.network, everywhere=config.freeze_batch_norm)
    means: dict[str, Tensor] = {}
    for part in range(config.accumulate):
        batch = {k: v.to(processes.device, non_blocking=True) for k, v in next(stream).items()}
        guidance = _guidance(state, batch, config, part, processes)
        # Gradients are reduced over processes once a step, with the last part.
        waits = part + 1 < config.accumulate and processes.world > 1
        with model.no_sync() if waits else contextlib.nullcontext():
            with _autocast(config, processes):
                alpha, intermediate = model(_channels_last(batch["image"]), *guidance)
            alpha, batch["alpha"] = ignore_unknown(alpha, batch["alpha"], batch["known"] > 0)
            # In float32: the variances of SSIM are differences that half precision loses.
            values = loss_values(alpha, intermediate, batch, weights)
            if state.adversary and weights.get("adversarial"):
                values["adversarial"] = state.adversary.generator_loss(batch["image"], alpha)
            values["total"] = weighted_sum(values, weights)
            state.scaler.scale(share * values["total"]).backward()
        if state.adversary:
            learned = state.adversary.learn(batch["image"], alpha, batch["alpha"], share)
            values["discriminator"] = learned
        for name, value in values.items():
            means[name] = means.get(name, 0) + share * value.detach()

    # All processes must come to the same answer, or the others would wait for ever.
    if processes.total([float(not torch.isfinite(means["total"]))])[0]:
        raise not_finite("the loss", state.step + 1)
    _update(state, config)
    return means


def not_finite(what: str, step: int) -> MatteError:
    """Make the error for a loss or weight that is NaN or infinite."""
    return MatteError(
        f"{what} is not finite at step {step}; the last good checkpoint stays: "
        "add --resume and a smaller --lr"
    )


def _update(state: TrainingState, config: TrainingConfig) -> None:
    """Apply the accumulated gradients to the network, its discriminator and its average."""
    if config.clip:
        state.scaler.unscale_(state.optimizer)
        nn.utils.clip_grad_norm_(state.network.parameters(), config.clip)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.optimizer.zero_grad(set_to_none=True)
    if state.adversary:
        state.adversary.step()
    state.schedule.step()
    state.average.update(state.network, state.step)
    state.step += 1


def _guidance(
    state: TrainingState,
    batch: dict[str, Tensor],
    config: TrainingConfig,
    part: int,
    processes: Processes,
) -> tuple[Tensor, ...]:
    """Simulate guidance for a batch: one tensor, or none where the network takes none."""
    if not state.network.config.guidance:
        return ()

    @torch.no_grad()
    def coarse(image: Tensor) -> Tensor:
        with _autocast(config, processes):
            return state.average.network(_channels_last(image))

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
    return (_channels_last(guidance),)


def _autocast(config: TrainingConfig, processes: Processes) -> contextlib.AbstractContextManager:
    return autocast(processes.device, choose_precision(config.precision, processes.device))


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def _freeze_batch_norm(network: nn.Module, *, everywhere: bool) -> None:
    """Stop the statistics of batch norms, at least of those that do not learn either."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and (
            everywhere or not module.weight.requires_grad
        ):
            module.eval()
