"""Tasks for tests of executors; the workers of a cluster import them."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mattecli.core.errors import MatteError, OutputUnusable
from mattecli.core.executing.tasks import OneByOne


@dataclass(frozen=True)
class Squares:
    """Squares numbers, and notes each in a folder by the process that did it.

    Words do other things: ``killer`` always ends its process, ``unlucky`` the first time.
    """

    notes: Path
    problem: str = ""

    def work(self, item: int | str) -> int:
        with (self.notes / f"{item}").open("a") as file:
            file.write(f"{os.getpid()}\n")
        tries = (self.notes / f"{item}").read_text().count("\n")
        if item == "killer" or (item == "unlucky" and tries == 1):
            time.sleep(0.2)  # so that others are under way, too
            os.kill(os.getpid(), signal.SIGKILL)
        if item == "full":
            raise OutputUnusable("the disk is full")
        if item == "mistake":
            raise ZeroDivisionError
        time.sleep(0.01)
        return -1 if isinstance(item, str) else item**2

    def run_here(self, items: Iterable, stopped: Callable[[], bool]) -> Iterator[int | str]:
        for item in items:
            if stopped():
                return
            yield self.work(item)

    def open(self, cpus: int) -> OneByOne:
        if self.problem == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.problem:
            raise MatteError(self.problem)
        return OneByOne(self.work)

    def lost(self, item: int | str, reason: str) -> str:
        return f"{item}: {reason}"

    def received(self, item: int | str, answer: int) -> int:
        return answer


class Elsewhere:
    """An executor that does as a cluster does: tasks and items travel, answers come backwards."""

    def run(self, task, items: Iterable, stopped: Callable[[], bool] = bool) -> Iterator:
        engine = pickle.loads(pickle.dumps(task)).open(1)
        for item in reversed(list(items)):
            answer = engine.do(pickle.loads(pickle.dumps(item)))
            yield task.received(item, pickle.loads(pickle.dumps(answer)))
