"""One step of training: forward and backward over the parts of a batch, then the update."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mattecli.core.device import autocast, is_out_of_memory
from mattecli.core.errors import MatteError
from mattecli.core.training.config import TrainingConfig
from mattecli.core.training.device_augmentation import augment
from mattecli.core.training.guidance import simulate_guidance
from mattecli.core.training.losses import ignore_unknown, loss_values, weighted_sum
from mattecli.core.training.optimization import set_rates
from mattecli.core.training.processes import Processes, training_precision
from mattecli.core.training.rehearsing import halved, local_batch_norm, rehearse
from mattecli.core.training.run_files import not_finite
from mattecli.core.training.state import TrainingState
from mattecli.core.training.stopping import Stop, never_asked

Batch = dict[str, Tensor]

# Tells the draws of colors from those of guidance.
_COLORS = 1


def training_step(
    state: TrainingState,
    model: nn.Module,
    stream: Iterator[Batch],
    config: TrainingConfig,
    stop: Stop,
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
        By name of the loss.

    Returns
    -------
    dict of Tensor
        Every loss by name, a scalar, and their sum by weight as ``total``.

    Raises
    ------
    MatteError
        If the loss is not finite, or memory does not suffice for a single sample; the network is
        unchanged then.
    Stopped
        If a stop was asked for before the update; the network is unchanged then, too.
    """
    processes = stop.processes
    set_rates(state.optimizer, config, state.step)
    model.train()
    _freeze_batch_norm(state.network, everywhere=config.freeze_batch_norm)
    before = _Before(state)
    means = _gradients(_Step(state, model, config, stop, weights), stream, before)
    _refuse_not_finite(means["total"], state, before, processes)
    _update(state, config)
    return means


def _gradients(step: _Step, stream: Iterator[Batch], before: _Before) -> dict[str, Tensor]:
    """Accumulate the gradients of the next batch, in smaller pieces where memory runs out."""
    state, processes = step.state, step.processes
    parts = [next(stream) for _ in range(step.config.accumulate)]
    if processes.world > 1:
        _rehearse(step, parts[0], before)
    step.count_composites(parts)
    while True:
        try:
            return step.gradients(parts)
        except Exception as error:
            before.undo()
            if isinstance(error, MatteError) or not is_out_of_memory(error):
                raise
            smaller = _halved(state, parts, processes)
        except BaseException:
            before.undo()
            raise
        # Outside of `except`, whose exception holds on to the tensors of the pass that failed.
        state.chunks = smaller
        if processes.device.type == "cuda":
            torch.cuda.empty_cache()


class _Before:
    """What forward and backward passes change of a state, to take a step back."""

    def __init__(self, state: TrainingState) -> None:
        self.state = state
        self.buffers = [buffer.clone() for buffer in state.network.buffers()]
        self.random = torch.get_rng_state()

    @torch.no_grad()
    def undo(self) -> None:
        for buffer, value in zip(self.state.network.buffers(), self.buffers, strict=True):
            buffer.copy_(value)
        torch.set_rng_state(self.random)
        self.state.optimizer.zero_grad(set_to_none=True)
        if self.state.adversary:
            self.state.adversary.optimizer.zero_grad(set_to_none=True)
            self.state.adversary.discriminator.requires_grad_(True)


def _refuse_not_finite(
    total: Tensor, state: TrainingState, before: _Before, processes: Processes
) -> None:
    # All processes must come to the same answer, or the others would wait forever.
    if processes.total([float(not torch.isfinite(total))])[0]:
        before.undo()
        raise not_finite("the loss", state.step + 1)


def _halved(state: TrainingState, parts: list[Batch], processes: Processes) -> int:
    """Give the number of chunks to try next, since memory did not suffice."""
    size, side = _size_of(parts[0])
    if processes.world > 1:
        # The others are waiting for this one's gradients by now, and would forever.
        raise MatteError(
            f"out of memory in process {processes.rank} with {size} samples at {side} px: "
            "double --accumulate, or choose a smaller --batch-size or --crop-size"
        )
    return halved(state.chunks, size, side)


def _size_of(part: Batch) -> tuple[int, int]:
    """Give the samples in a part of a batch, and their side in pixels."""
    return len(part["image"]), part["image"].shape[-1]


class _Step:
    """The passes of one step."""

    def __init__(
        self,
        state: TrainingState,
        model: nn.Module,
        config: TrainingConfig,
        stop: Stop,
        weights: dict[str, float],
    ) -> None:
        self.state, self.model, self.config = state, model, config
        self.stop, self.weights = stop, weights
        self.processes = stop.processes
        self.means: dict[str, Tensor] = {}
        self.composites = 1.0

    def count_composites(self, parts: list[Batch]) -> None:
        """Take note of the share of composites in the batch of all parts and processes."""
        if "composed" in parts[0]:
            share = sum(part["composed"].mean().item() for part in parts) / len(parts)
            # Where there are none, any other share does as well.
            self.composites = self.processes.total([share])[0] / self.processes.world or 1.0

    def gradients(self, parts: list[Batch]) -> dict[str, Tensor]:
        """Accumulate the gradients of all parts, and give the mean of every loss."""
        self.means = {}
        accumulate, chunks = self.config.accumulate, self.state.chunks
        for part, batch in enumerate(parts):
            batch = self._prepared(batch, part)
            pieces = list(_split(batch, chunks))
            for number, piece in enumerate(pieces):
                self.stop.between_parts(accumulate * len(pieces))
                # Gradients are reduced over processes once a step, with the last piece.
                last = part + 1 == accumulate and number + 1 == len(pieces)
                share = len(piece["image"]) / (len(batch["image"]) * accumulate)
                self._pass(piece, share, last)
        return self.means

    def rehearsal(self, batch: Batch, before: _Before) -> None:
        """Send the largest piece of a batch through and back, and leave no trace."""
        try:
            piece = next(_split(self._prepared(batch, 0), self.state.chunks))
            with local_batch_norm(self.state.network):
                self._pass(piece, 1.0, last=False)
        finally:
            before.undo()

    def _prepared(self, batch: Batch, part: int) -> Batch:
        """Bring a part to the device, and add what is made there."""
        batch = {k: v.to(self.processes.device, non_blocking=True) for k, v in batch.items()}
        batch = {k: v / 255 if v.dtype == torch.uint8 else v for k, v in batch.items()}
        if self.state.teachers:
            batch = self.state.teachers.teach(batch)
            batch.pop("unvaried", None)
        if self.config.augment_on == "device":
            batch = augment(batch, self._generator(part, _COLORS))
        if "composed" in batch:
            batch["composed"] = batch["composed"] / self.composites
        return batch | self._guidance(batch, part)

    def _pass(self, batch: Batch, share: float, last: bool) -> None:
        state, weights = self.state, self.weights
        waits = not last and self.processes.world > 1
        guidance = [_channels_last(batch["guidance"])] if "guidance" in batch else []
        with self.model.no_sync() if waits else contextlib.nullcontext():
            with _autocast(self.config, self.processes):
                alpha, intermediate = self.model(_channels_last(batch["image"]), *guidance)
            alpha, batch["alpha"] = ignore_unknown(alpha, batch["alpha"], batch["known"] > 0)
            # In float32: the variances of SSIM are differences that half precision loses.
            values = loss_values(alpha, intermediate, batch, weights)
            if state.adversary and weights.get("adversarial"):
                values["adversarial"] = state.adversary.generator_loss(batch["image"], alpha)
            values["total"] = weighted_sum(values, weights)
            self.stop.between_parts(1)
            state.scaler.scale(share * values["total"]).backward()
        if state.adversary:
            values["discriminator"] = state.adversary.learn(
                batch["image"], alpha, batch["alpha"], share, reduced=last
            )
        for name, value in values.items():
            self.means[name] = self.means.get(name, 0) + share * value.detach()

    def _guidance(self, batch: Batch, part: int) -> Batch:
        """Simulate guidance for a batch, where the network takes any."""
        state, config = self.state, self.config
        if not state.network.config.guidance:
            return {}

        @torch.no_grad()
        def coarse(image: Tensor) -> Tensor:
            with _autocast(config, self.processes):
                return state.average.network(_channels_last(image))

        guidance = simulate_guidance(
            batch["image"],
            batch["alpha"],
            batch["known"],
            share=config.guided,
            coarse=coarse,
            generator=self._generator(part),
        )
        return {"guidance": guidance}

    def _generator(self, *purpose: int) -> torch.Generator:
        """Make a generator on the CPU for one purpose in this step and process."""
        seeds = (self.config.seed, self.state.step, *purpose, self.processes.rank)
        return torch.Generator().manual_seed(hash(seeds) % 2**63)


def _rehearse(step: _Step, batch: Batch, before: _Before) -> None:
    """Agree with the other processes on what goes through at once, before it runs out of memory."""
    model = step.model.module if isinstance(step.model, DistributedDataParallel) else step.model
    lone = Stop(never_asked, Processes(0, 1, step.processes.device))
    alone = _Step(step.state, model, step.config, lone, step.weights)
    rehearse(step.state, step.processes, *_size_of(batch), lambda: alone.rehearsal(batch, before))


def _split(batch: Batch, chunks: int) -> Iterator[Batch]:
    """Cut a batch into at most so many pieces, all of which hold a sample."""
    names = list(batch)
    for values in zip(*(batch[name].chunk(chunks) for name in names), strict=True):
        yield dict(zip(names, values, strict=True))


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
    state.average.update(state.network, state.step)
    state.step += 1


def _autocast(config: TrainingConfig, processes: Processes) -> contextlib.AbstractContextManager:
    return autocast(processes.device, training_precision(config.precision, processes.device))


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def _freeze_batch_norm(network: nn.Module, *, everywhere: bool) -> None:
    """Stop the statistics of batch norms, at least of those that do not learn either."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and (
            everywhere or not module.weight.requires_grad
        ):
            module.eval()
