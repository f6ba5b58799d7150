"""Processes of this machine that do a task; what ends one of them is tried again alone."""

from __future__ import annotations

import contextlib
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from mattecli.core.errors import MatteError
from mattecli.core.executing.starting import end_with_parent, held_back, started_anew
from mattecli.core.executing.tasks import Answer, Engine, Item, Task

# Items under way for each process: enough to keep it busy, few enough to keep memory flat.
_AHEAD = 3

_engine: Engine | Exception


def in_processes(
    task: Task[Item, Answer],
    items: Iterable[Item],
    workers: int,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Answer]:
    """Give an answer for every item; in order, as long as no process dies.

    Parameters
    ----------
    items : iterable
        Taken as they are needed.
    workers : int
        Processes, each with an engine.

    Raises
    ------
    MatteError
        If no process can be made ready.
    OutputUnusable
        As soon as nothing more can be written.
    """
    waiting = iter(items)
    while suspects := (yield from _together(task, waiting, workers, stopped)):
        yield from alone(task, suspects, stopped)


def alone(
    task: Task[Item, Answer],
    items: Iterable[Item],
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Answer]:
    """Give an answer for every item, one at a time; of those that end their process too, `lost`.

    Raises
    ------
    MatteError
        If no process can be made ready.
    OutputUnusable
        As soon as nothing more can be written.
    """
    waiting = deque(items)
    while waiting and not stopped():
        with _pool(task, 1) as pool:
            try:
                _submit(pool, _is_ready).result()
            except BrokenProcessPool:
                raise MatteError(
                    "worker processes die before they have done anything, perhaps for lack of "
                    "memory: try fewer --workers"
                ) from None
            try:
                while waiting and not stopped():
                    answer = _submit(pool, _do, waiting[0]).result()
                    yield task.received(waiting.popleft(), answer)
            except BrokenProcessPool:
                item = waiting.popleft()
                yield task.lost(
                    item, "its process ended, twice: it crashed, or was killed for lack of memory"
                )


def _together(
    task: Task[Item, Answer], items: Iterator[Item], workers: int, stopped: Callable[[], bool]
) -> Generator[Answer, None, list[Item]]:
    """Do items until all are done, or a process dies; give those that were under way then."""
    running: deque[tuple[Item, Future | None]] = deque()
    with _pool(task, workers) as pool:
        try:
            for item in items:
                running.append((item, None))
                running[-1] = item, _submit(pool, _do, item)
                while len(running) >= workers * _AHEAD:
                    yield _oldest(task, running)
                if stopped():
                    break
            while running:
                yield _oldest(task, running)
        except BrokenProcessPool:
            suspects = []
            for item, future in running:
                if future is not None and future.done() and not future.exception():
                    yield task.received(item, future.result())
                else:
                    suspects.append(item)
            return suspects
    return []


def _oldest(task: Task[Item, Answer], running: deque[tuple[Item, Future | None]]) -> Answer:
    item, future = running[0]
    assert future is not None
    answer = future.result()
    running.popleft()
    return task.received(item, answer)


@contextlib.contextmanager
def _pool(task: Task, workers: int) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(workers, started_anew(), _prepare, (task,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, work: Callable, *arguments: Any) -> Future:
    with held_back(signal.SIGINT):
        return pool.submit(work, *arguments)


def _prepare(task: Task) -> None:
    """Make this process ready for items."""
    global _engine
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    try:
        _engine = task.open(1)
    except Exception as error:
        # Raised here it would only end the process, and say nothing.
        _engine = error


def _is_ready() -> bool:
    return True


def _do(item: Any) -> Any:
    if isinstance(_engine, Exception):
        raise _engine
    return _engine.do(item)
