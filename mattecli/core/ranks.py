"""This process's place among those that a launcher such as torchrun started."""

from __future__ import annotations

import os


def rank_and_world() -> tuple[int, int]:
    """Number of this process and of all of them; (0, 1) without a launcher."""
    return int(os.environ.get("RANK", 0)), max(1, int(os.environ.get("WORLD_SIZE", 1)))


def local_rank() -> int:
    """Number of this process on its own machine, which is that of its GPU."""
    return int(os.environ.get("LOCAL_RANK", 0))
