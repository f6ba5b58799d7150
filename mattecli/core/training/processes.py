"""One process or many: the same training, under torchrun spread over GPUs and machines."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mattecli.core.device import choose_device, choose_precision
from mattecli.core.ranks import rank_and_world


@dataclass(frozen=True)
class Processes:
    """The rank of this process among those that train together, and its device."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def wrap(self, network: nn.Module, *, sometimes_unused: bool = False) -> nn.Module:
        """Average `network`'s gradients over the processes; a single one needs nothing.

        To look for parameters that a step does not use takes time: only if there may be some.
        """
        if self.world == 1:
            return network
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(
            network, device_ids=ids, find_unused_parameters=sometimes_unused
        )

    def total(self, values: list[float]) -> list[float]:
        """Sum every value over the processes."""
        if self.world == 1:
            return values
        # MPS has no float64, but nor has it more than one process.
        summed = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(summed)
        return summed.tolist()

    def mean(self, values: dict[str, Tensor]) -> dict[str, float]:
        """Mean of every value over the processes."""
        totals = self.total([value.item() for value in values.values()])
        return {name: total / self.world for name, total in zip(values, totals, strict=True)}

    def synced(self, network: nn.Module) -> nn.Module:
        """Batch norm over the batches of all processes; PyTorch offers that on GPUs only."""
        if self.world == 1 or self.device.type != "cuda":
            return network
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)


@contextlib.contextmanager
def join_processes(device: str) -> Iterator[Processes]:
    """Join the processes that torchrun started, if any: NCCL on GPUs, Gloo elsewhere."""
    rank, world = rank_and_world()
    target = choose_device(device)
    if world == 1:
        yield Processes(0, 1, target)
        return
    if target.type == "cuda":
        torch.cuda.set_device(target)
    store, rank, world = next(iter(distributed.rendezvous("env://")))
    # torchrun keeps one store over restarts, with the addresses of processes that are dead.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    distributed.init_process_group(
        "nccl" if target.type == "cuda" else "gloo",
        store=distributed.PrefixStore(f"attempt_{attempt}", store),
        rank=rank,
        world_size=world,
    )
    try:
        yield Processes(rank, world, target)
    finally:
        distributed.destroy_process_group()


def training_precision(name: str, device: torch.device) -> torch.dtype:
    """Turn ``auto``, ``fp32``, ``fp16`` or ``bf16`` into a dtype to train in.

    ``auto`` is float32 on a CPU; on a GPU bfloat16 if it computes in it, as gradients then need no
    scaling, else float16.
    """
    if name == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported():
        name = "bf16"
    return choose_precision(name, device)
