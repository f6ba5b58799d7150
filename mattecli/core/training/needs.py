"""What a run will need on a CPU, said before its first step and not after days."""

from __future__ import annotations

import copy
import timeit
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mattecli.core.training.config import TrainingConfig
from mattecli.core.training.meter import duration
from mattecli.core.training.run_files import bytes_of_run
from mattecli.core.training.state import TrainingState

# Networks with fewer weights are light enough for a CPU, and start without being measured.
_LIGHT = 15e6
# The side of the sample that is measured; time and memory of the rest go by the number of pixels.
_SIDE = 128
_DAY = 24 * 3600
# What PyTorch and the decoders take by themselves.
_PROGRAM_GB = 0.7


@dataclass(frozen=True)
class Needs:
    """Memory in GB, seconds a step, and steps to do."""

    memory_gb: float
    step_s: float
    steps: int

    def __str__(self) -> str:
        return (
            f"this run needs about {self.memory_gb:.1f} GB of memory and {self.step_s:.2g} s a "
            f"step on this CPU, {duration(self.step_s * self.steps)} for its {self.steps} steps"
        )


def note_of_needs(state: TrainingState, config: TrainingConfig, processes: int) -> str | None:
    """Say what a run will need on a CPU, and what is lighter; None if that is less than a day."""
    if sum(weight.numel() for weight in state.network.parameters()) < _LIGHT:
        return None
    needs = measure_needs(state, config, processes)
    if needs.step_s * needs.steps < _DAY:
        return None
    return (
        f"{needs}; lighter are --recipe default, the same losses with --encoder "
        "tf_efficientnet_lite0, or --accumulate, which saves memory"
    )


def measure_needs(state: TrainingState, config: TrainingConfig, processes: int) -> Needs:
    """Send a small sample through copies of the networks, forward and backward, and scale up."""
    random = torch.get_rng_state()
    image = torch.rand(1, 3, _SIDE, _SIDE)
    network = copy.deepcopy(state.network).train()
    kept, seconds = _pass(network, image)
    if state.adversary:
        discriminator = copy.deepcopy(state.adversary.discriminator)
        more, time_of_one = _pass(discriminator, image, image[:, :1])
        # For the network's loss, for real and for generated mattes, of which only the first keeps
        # what the network does.
        kept, seconds = kept + more, seconds + 3 * time_of_one
    torch.set_rng_state(random)

    side = max(config.sides or [config.crop_size])
    pixels = config.batch_size / processes * (side / _SIDE) ** 2
    gradients = sum(weight.nbytes for weight in state.network.parameters())
    memory = pixels * kept / config.accumulate + bytes_of_run(state) / 2 + gradients
    return Needs(memory / 1e9 + _PROGRAM_GB, pixels * seconds, config.steps - state.step)


def _pass(network: nn.Module, *inputs: Tensor) -> tuple[int, float]:
    """Count the bytes that are kept for the backward pass, and time both passes."""
    weights = {weight.data_ptr() for weight in network.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    def run() -> None:
        found = network(*inputs)
        alpha = found[0] if isinstance(found, tuple) else found
        alpha.mean().backward()

    # This pass also pays for what PyTorch sets up, so others are timed.
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        run()
    return sum(kept.values()), min(timeit.repeat(run, number=1, repeat=2))
