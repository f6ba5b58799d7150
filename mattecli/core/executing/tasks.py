"""Work on many things, and what an executor of it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from mattecli.core.errors import MatteError

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Given = TypeVar("Given", contravariant=True)
Made = TypeVar("Made", covariant=True)


def _never() -> bool:
    return False


class Engine(Protocol[Given, Made]):
    """What does the work in a process of its own, ready to be used.

    Attributes
    ----------
    slots : int
        Items that are best under way at a time.
    """

    slots: int

    def do(self, item: Given) -> Made:
        """Work on one item; called by as many threads as there are slots.

        Raises
        ------
        OutputUnusable
            If nothing more can be written.
        """


class Task(Protocol[Item, Answer]):  # type: ignore[misc]
    """Work on many items, each by itself; travels to other processes."""

    def run_here(self, items: Iterable[Item], stopped: Callable[[], bool]) -> Iterator[Answer]:
        """Do it all in this process and those that it starts; answers in any order."""

    def open(self, cpus: int) -> Engine[Item, Answer]:
        """Make ready for single items, with so many cores; once in every worker.

        Raises
        ------
        MatteError
            If that is not possible.
        """

    def lost(self, item: Item, reason: str) -> Answer:
        """Give the answer for an item that ended its process twice."""

    def received(self, item: Item, answer: Answer) -> Answer:
        """Put the caller's own item into what came back for it."""


class Executor(Protocol):
    """Does tasks somewhere; answers are the same wherever."""

    def run(
        self,
        task: Task[Item, Answer],
        items: Iterable[Item],
        stopped: Callable[[], bool] = _never,
    ) -> Iterator[Answer]:
        """Give an answer for every item, in any order; items are taken as they are needed.

        Parameters
        ----------
        stopped : callable
            Asked before each item; once true, what is under way is finished and nothing more.

        Raises
        ------
        MatteError
            If no work can be done.
        OutputUnusable
            As soon as nothing more can be written.
        """


@dataclass(frozen=True)
class ClusterPlan:
    """Which cluster, and how it is divided.

    Attributes
    ----------
    place : str
        ``auto``, the address of a cluster, or ``local:N``; see `parse_place`.
    actors : int, optional
        Workers to ask for; as many as there is room for if not given.
    cpus, gpus : float
        Of each worker. Without `gpus` it is a GPU if there is one and `uses_gpu`.
    uses_gpu : bool
        Whether the work can be done on a GPU.
    """

    place: str
    actors: int | None = None
    cpus: int = 1
    gpus: float | None = None
    uses_gpu: bool = True


def parse_place(place: str) -> int | None:
    """Give N of ``local:N``; None for a cluster that runs elsewhere.

    Raises
    ------
    MatteError
        If it is neither.
    """
    if found := re.fullmatch(r"local:(\d{1,4})", place):
        if int(found[1]):
            return int(found[1])
    elif place == "auto" or re.fullmatch(r"(ray://)?[\w.\-\[\]:]+:\d+", place):
        return None
    raise MatteError(f"'{place}' is no cluster: use auto, HOST:PORT, ray://HOST:PORT or local:N")


class OneByOne(Generic[Item, Answer]):
    """An engine of a function that works on one item at a time."""

    slots = 2  # the next one is there when one is done

    def __init__(self, work: Callable[[Item], Answer]) -> None:
        import threading

        self._work = work
        self._lock = threading.Lock()

    def do(self, item: Item) -> Any:
        """Work on one item."""
        with self._lock:
            return self._work(item)
