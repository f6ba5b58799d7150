"""How small the pieces of a batch must be, which several processes agree on before they need it.

Where memory runs out in the middle of a step a single process takes that step back and halves what
goes through the network at once. Several cannot: the others wait for this one's gradients by then.
So the first steps of every size are rehearsed, without anything that processes wait for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import nn

from mattecli.core.device import is_out_of_memory
from mattecli.core.errors import MatteError
from mattecli.core.training.processes import Processes
from mattecli.core.training.state import TrainingState

# In the second step the optimizer's moments are there, which the first one makes.
_REHEARSALS = 2


def rehearse(
    state: TrainingState,
    processes: Processes,
    size: int,
    side: int,
    attempt: Callable[[], None],
) -> None:
    """Raise ``state.chunks`` to the number of pieces that suits all processes.

    Parameters
    ----------
    size, side : int
        Samples in a part of the batch, and their side in pixels.
    attempt : callable
        Sends a part of a batch through the network and back in ``state.chunks`` pieces, and leaves
        no trace.

    Raises
    ------
    MatteError
        In all processes alike, if one of them has no memory for a single sample.
    """
    if state.rehearsed.get(side, 0) >= _REHEARSALS:
        return
    while processes.total([float(_is_short(attempt, processes))])[0]:
        state.chunks = halved(state.chunks, size, side)
    state.rehearsed[side] = state.rehearsed.get(side, 0) + 1


def halved(chunks: int, size: int, side: int) -> int:
    """Give the number of pieces to try next, since memory did not suffice.

    Raises
    ------
    MatteError
        If the pieces are single samples.
    """
    if chunks >= size:
        raise MatteError(
            f"out of memory with a single sample at {side} px: choose a smaller --crop-size"
        )
    return 2 * chunks


@contextlib.contextmanager
def local_batch_norm(network: nn.Module) -> Iterator[None]:
    """Have batch norms use their own statistics: those that are synced wait for other processes."""
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    trained = [norm for norm in norms if norm.training]
    for norm in trained:
        norm.eval()
    try:
        yield
    finally:
        for norm in trained:
            norm.train()


def _is_short(attempt: Callable[[], None], processes: Processes) -> bool:
    """Tell whether memory runs out."""
    try:
        attempt()
        return False
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Outside of `except`, whose exception holds on to the tensors of the pass that failed.
    if processes.device.type == "cuda":
        torch.cuda.empty_cache()
    return True
