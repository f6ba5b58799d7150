"""Processes that prepare samples: started anew, and ended whatever happens to the run."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

import cv2
from torch.utils.data import DataLoader

from mattecli.core.errors import MatteError
from mattecli.core.executing.starting import end_with_parent, held_back

# Samples are the parallelism, in threads or in worker processes.
_THREADS_OF_OPENCV = 1


@contextlib.contextmanager
def working(loader: DataLoader) -> Iterator[Iterator[Any]]:
    """Give the batches of a loader, whose worker processes, if it has any, end with the block."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(_THREADS_OF_OPENCV)
    stream = None
    try:
        with held_back(signal.SIGINT, signal.SIGTERM):
            stream = iter(loader)
        yield stream
    finally:
        cv2.setNumThreads(threads)
        _end_workers(stream)


def _end_workers(stream: Any) -> None:
    """End the worker processes of a loader's iterator.

    It would by itself once it is gone, but the traceback of an error keeps it. At its own end
    Python would then ask its workers by SIGTERM, which they ignore, and wait for them forever.
    """
    for worker in getattr(stream, "_workers", ()):
        if worker.is_alive():
            stream._shutdown_workers()
            worker.kill()


def prepare_worker(_: int) -> None:
    """Let a worker process have one thread, end with the run, and ignore Ctrl-C and SIGTERM.

    A terminal sends them, and many a scheduler, to all processes of a run. A worker that ended by
    them would end the run as a failure, before it could save what it has. Workers are told to end
    once no more samples are wanted.
    """
    cv2.setNumThreads(_THREADS_OF_OPENCV)
    end_with_parent()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def lost_workers_told() -> Iterator[None]:
    """Tell of a worker process that was ended, which PyTorch notices anywhere in a step.

    Raises
    ------
    MatteError
    """
    try:
        yield
    except RuntimeError as error:
        # An error within a worker is another matter, whose text goes on with this.
        if not str(error).startswith("DataLoader worker"):
            raise
        raise MatteError(
            "a process that prepares samples was ended by something else, perhaps for lack of "
            "memory: try fewer --workers; --resume goes on from the last checkpoint"
        ) from None
