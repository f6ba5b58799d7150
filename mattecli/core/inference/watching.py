"""Photos as they appear in a folder, once they are whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mattecli.core.inference.jobs import Job

#: Seconds between two looks at the folder.
INTERVAL = 1.0


def watch(find_jobs: Callable[[], list[Job]], stopped: Callable[[], bool]) -> Iterator[list[Job]]:
    """Give the jobs whose photos have come or changed, as soon as nobody writes to them any more.

    A photo is whole once it is not empty and its size and time are those of the look before. One
    that was copied with a longer pause fails as it is, and is dispatched again when it has changed.

    Parameters
    ----------
    find_jobs : callable
        Lists the jobs of all photos that are there now.
    stopped : callable
        Asked before each look; once true, the watch ends.
    """
    before: dict[str, tuple[int, int] | None] = {}
    dispatched: dict[str, tuple[int, int] | None] = {}
    while not stopped():
        jobs = find_jobs()
        now = {job.name: _state(Path(job.name)) for job in jobs}
        stable = [
            job
            for job in jobs
            if now[job.name] and now[job.name] == before.get(job.name) != dispatched.get(job.name)
        ]
        dispatched |= {job.name: now[job.name] for job in stable}
        before = now
        if stable:
            yield stable
        time.sleep(INTERVAL)


def _state(path: Path) -> tuple[int, int] | None:
    """Size and time of a file; None if it is empty, or gone again."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns) if status.st_size else None
