"""Workers of a Ray cluster: each has an engine, and what one takes down with it is tried alone.

Photos do not travel through Ray, only their names and what became of them: a worker reads and
writes by itself. So nothing is kept in Ray's store of objects, and nothing is spilled from it.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError

from mattecli.core.errors import MatteError, OutputUnusable
from mattecli.core.executing.tasks import ClusterPlan, Task, parse_place
from mattecli.version import __version__

# Threads of a worker: those of the widest engine, and one that answers meanwhile.
_THREADS = 256
# Seconds between two looks at how large the cluster is, and at whether to stop.
_LOOK, _GLANCE = 10.0, 0.5
# Workers that end while they start, until nothing is expected of others.
_MOST_VAIN = 3
# Ray's store of objects holds nothing of ours; this is the least that it takes.
_STORE_BYTES = 80_000_000


class _Worker:
    """What runs in the process of a worker."""

    def __init__(self, task: Task, cpus: int) -> None:
        self._task = task
        self._cpus = cpus

    def open(self) -> tuple[int, str, str]:
        """Make the engine; give its slots, the version here, and what went wrong."""
        try:
            self._engine = self._task.open(self._cpus)
        except MatteError as error:
            return 0, __version__, str(error)
        return self._engine.slots, __version__, ""

    def do(self, item: Any) -> tuple[Any, str]:
        """Work on an item; give the answer, or why nothing more can be written."""
        try:
            return self._engine.do(item), ""
        except OutputUnusable as error:
            return None, str(error)


@dataclass(eq=False)
class _Actor:
    """A worker as the driver sees it."""

    handle: Any
    opening: Any
    is_solitary: bool = False
    slots: int = 0
    items: dict[Any, Any] = field(default_factory=dict)


class RayExecutor:
    """Does tasks on the workers of a Ray cluster."""

    def __init__(self, plan: ClusterPlan) -> None:
        self._plan = plan

    def run(
        self,
        task: Task,
        items: Iterable[Any],
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[Any]:
        """Give an answer for every item; see `Executor`."""
        waiting = iter(items)
        # Where all is done already, no cluster is needed.
        if (first := next(waiting, None)) is None:
            return
        self._connect()
        try:
            yield from _Run(task, chain([first], waiting), stopped, self._plan).answers()
        finally:
            ray.shutdown()

    def _connect(self) -> None:
        local = parse_place(self._plan.place)
        # What Ray says of itself is not for whoever runs matte.
        quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        try:
            if local is None:
                ray.init(self._plan.place, **quiet)
            else:
                ray.init(
                    "local",
                    num_cpus=local * self._plan.cpus,
                    include_dashboard=False,
                    object_store_memory=_STORE_BYTES,
                    **quiet,
                )
        except (OSError, RuntimeError, ValueError, RayError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise MatteError(f"cannot reach the cluster {self._plan.place}: {reason}") from None


class _Run:
    """One task on a cluster: its workers, what each is at, and what has to be tried again."""

    def __init__(
        self, task: Task, items: Iterator[Any], stopped: Callable[[], bool], plan: ClusterPlan
    ) -> None:
        self._task = task
        self._items = items
        self._stopped = stopped
        self._plan = plan
        self._actors: list[_Actor] = []
        self._suspects: deque[Any] = deque()
        self._given: deque[Any] = deque()
        self._is_fed = False
        self._vain = 0
        self._looked = -_LOOK
        gpus = plan.gpus
        if gpus is None:
            has_gpu = plan.uses_gpu and ray.cluster_resources().get("GPU", 0) >= 1
            gpus = 1.0 if has_gpu else 0.0
        self._gpus = gpus
        self._class = ray.remote(_Worker).options(
            num_cpus=plan.cpus,
            num_gpus=gpus,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=_THREADS,
        )

    def answers(self) -> Iterator[Any]:
        """Feed the workers and give what comes back, until all is done."""
        while True:
            self._look_at_cluster()
            self._feed()
            waiting = {ref: actor for actor in self._actors for ref in actor.items}
            waiting |= {actor.opening: actor for actor in self._actors if actor.opening is not None}
            if self._is_fed and not self._suspects and not any(a.items for a in self._actors):
                return
            if not waiting:
                time.sleep(_GLANCE)
                continue
            done, _ = ray.wait(list(waiting), num_returns=1, timeout=_GLANCE)
            # Whatever else is ready comes along.
            ready, _ = ray.wait(list(waiting), num_returns=len(waiting), timeout=0)
            for ref in dict.fromkeys([*done, *ready]):
                yield from self._take(waiting[ref], ref)

    def _look_at_cluster(self) -> None:
        """Have as many workers as there is room for, also in machines that have just come."""
        if time.monotonic() - self._looked < _LOOK or self._is_fed:
            return
        self._looked = time.monotonic()
        wanted = self._plan.actors
        if wanted is None:
            there = ray.cluster_resources()
            wanted = int(there.get("CPU", 0) // self._plan.cpus)
            if self._gpus:
                wanted = min(wanted, int(there.get("GPU", 0) / self._gpus))
            # An autoscaler brings the first machine only if something is asked for.
            wanted = max(wanted, 1)
        while len(self._actors) < wanted:
            self._start()

    def _start(self, *, is_solitary: bool = False) -> None:
        handle = self._class.remote(self._task, self._plan.cpus)
        self._actors.append(_Actor(handle, handle.open.remote(), is_solitary))

    def _feed(self) -> None:
        for actor in self._actors:
            if actor.opening is not None:
                continue
            if actor.is_solitary and not actor.items:
                if self._suspects:
                    self._give(actor, self._suspects.popleft())
                    continue
                actor.is_solitary = False
            while not actor.is_solitary and len(actor.items) < actor.slots and not self._is_fed:
                if self._stopped():
                    self._is_fed = True
                    return
                try:
                    item = next(self._items)
                except StopIteration:
                    self._is_fed = True
                    return
                self._give(actor, item)

    def _give(self, actor: _Actor, item: Any) -> None:
        actor.items[actor.handle.do.remote(item)] = item

    def _take(self, actor: _Actor, ref: Any) -> Iterator[Any]:
        if actor not in self._actors:
            return  # it has died, and with it what is asked for here
        try:
            given = ray.get(ref)
        except (RayActorError, OutOfMemoryError) as error:
            yield from self._bury(actor, error)
            return
        except RayTaskError as error:
            # Engines fail item by item; what gets here is a mistake of the program.
            raise error.as_instanceof_cause() from None
        if ref == actor.opening:
            self._opened(actor, *given)
            return
        item = actor.items.pop(ref)
        answer, unusable = given
        if unusable:
            raise OutputUnusable(unusable)
        yield self._task.received(item, answer)

    def _opened(self, actor: _Actor, slots: int, version: str, problem: str) -> None:
        if problem:
            raise MatteError(problem)
        if version != __version__:
            raise MatteError(
                f"the cluster has mattecli {version}, and this machine {__version__}: "
                "install the same everywhere"
            )
        actor.slots = min(slots, _THREADS - 1)
        actor.opening = None
        self._vain = 0

    def _bury(self, actor: _Actor, error: Exception) -> Iterator[Any]:
        """Put a new worker in the place of one that died, and what it had under way aside."""
        self._actors.remove(actor)
        items = list(actor.items.values())
        if actor.is_solitary and items:
            # It was alone in a fresh process, and so the cause.
            yield self._task.lost(items[0], "its worker was killed, twice: " + _cause_of(error))
        else:
            self._suspects.extend(items)
        if actor.opening is not None:
            self._vain += 1
        # A machine that goes takes with it all that were starting there.
        if self._vain > max(_MOST_VAIN, len(self._actors)):
            raise MatteError(f"workers end before they have done anything: {_cause_of(error)}")
        if self._suspects or not self._is_fed:
            self._start(is_solitary=bool(self._suspects))


def _cause_of(error: Exception) -> str:
    """Say why a worker died, as far as Ray knows."""
    # Of any other death Ray says as well that it may have been for lack of memory.
    text = " ".join(str(error).split())
    if isinstance(error, OutOfMemoryError) or "running low on memory" in text:
        return "perhaps for lack of memory"
    return "it crashed, or was killed for lack of memory"
