"""What GPUs are fast at: TF32, tried convolutions, compiled networks, copies beside the work.

And what keeps a CPU from being slow at memory.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mattecli.core.training.config import TrainingConfig

Batch = dict[str, Tensor]

# Of glibc's malloc.h: options of mallopt.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_MIB = 2**20


@contextlib.contextmanager
def fast_backends(device: torch.device, config: TrainingConfig) -> Iterator[None]:
    """Let a GPU compute float32 in TF32, and look for the fastest convolution of every size.

    Convolutions and matrix products in TF32 have bfloat16's mantissa and more, sums stay float32.
    The search pays where sizes are few: with `sides` each would be searched for anew.
    """
    if device.type != "cuda":
        with memory_kept():
            yield
        return
    backends = torch.backends
    before = backends.cudnn.benchmark, backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32
    backends.cudnn.benchmark = len(set(config.sides)) <= 1
    backends.cudnn.allow_tf32 = backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        (
            backends.cudnn.benchmark,
            backends.cudnn.allow_tf32,
            backends.cuda.matmul.allow_tf32,
        ) = before


@contextlib.contextmanager
def memory_kept() -> Iterator[None]:
    """Have glibc keep the memory of tensors that are gone, where it is the C library.

    By itself it gives large blocks back to the system and gets them anew, page by page, in every
    step: a sixth of a step's time.
    """
    libc: Any = None
    with contextlib.suppress(OSError):
        libc = ctypes.CDLL("libc.so.6")
    if not hasattr(libc, "mallopt"):
        yield
        return
    libc.mallopt(_MMAP_MAX, 0)
    libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        # What glibc comes to by itself in a process with large blocks.
        libc.mallopt(_MMAP_MAX, 2**16)
        libc.mallopt(_MMAP_THRESHOLD, 32 * _MIB)
        libc.mallopt(_TRIM_THRESHOLD, 64 * _MIB)
        libc.malloc_trim(0)


def compiled(network: nn.Module, config: TrainingConfig) -> nn.Module:
    """Compile a network once for every size of `config`, and keep what is compiled.

    By itself PyTorch would compile the second size for any size, which is slower in each, and drop
    what does not fit its limit.
    """
    import torch._dynamo

    sizes = len(set(config.sides)) or 1
    # Training and what is left of a batch in chunks come on top.
    limit = max(torch._dynamo.config.recompile_limit, 4 * sizes)
    torch._dynamo.config.recompile_limit = limit
    return torch.compile(network, dynamic=False)  # type: ignore[return-value]


def prefetched(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """Copy each batch to a GPU while the one before is worked on, on a stream of its own.

    Elsewhere batches pass through as they are.
    """
    if device.type != "cuda":
        yield from batches
        return
    copies = torch.cuda.Stream(device)
    ready: Batch | None = None
    for batch in batches:
        with torch.cuda.stream(copies):
            coming = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
        if ready is not None:
            yield ready
        # The work that comes next waits for the copy, and memory is not reused before that work.
        current = torch.cuda.current_stream(device)
        current.wait_stream(copies)
        for value in coming.values():
            value.record_stream(current)
        ready = coming
    if ready is not None:
        yield ready
