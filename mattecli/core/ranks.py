"""The place of this process among those that a launcher such as torchrun started."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta


def rank_and_world() -> tuple[int, int]:
    """Give the number of this process and of all of them; (0, 1) without a launcher."""
    return int(os.environ.get("RANK", 0)), max(1, int(os.environ.get("WORLD_SIZE", 1)))


def local_rank() -> int:
    """Give the number of this process on its own machine, which is that of its GPU."""
    return int(os.environ.get("LOCAL_RANK", 0))


def is_main_process() -> bool:
    """Tell whether this process shows progress and results.

    That is the first one; without ``MASTER_ADDR``, where processes cannot communicate, each is.
    """
    return rank_and_world()[0] == 0 or "MASTER_ADDR" not in os.environ


@contextlib.contextmanager
def all_reduce_counts(count: Counter[str]) -> Iterator[Counter[str]]:
    """Sum counts over the processes of a launcher; at the end all wait for one another."""
    # torchrun ends the others as soon as one process has failed, so that must not exit early.
    world = rank_and_world()[1]
    if world == 1 or "MASTER_ADDR" not in os.environ:
        yield count
        return
    from torch import distributed

    # Shares may take hours, and one may take longer than another.
    distributed.init_process_group("gloo", timeout=timedelta(days=30))
    counts: list[Counter[str]] = [Counter()] * world
    distributed.all_gather_object(counts, count)
    yield sum(counts, Counter())
    distributed.barrier()
    distributed.destroy_process_group()


def local_world() -> int:
    """Count the processes on this machine."""
    return max(1, int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
