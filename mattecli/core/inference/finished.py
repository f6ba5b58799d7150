"""Photos whose results are there from an earlier run."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mattecli.core.inference.jobs import Job
from mattecli.core.inference.steps import Outcome
from mattecli.core.objects.listing import existing
from mattecli.core.objects.names import ObjectName
from mattecli.core.objects.paths import ObjectPath

_PIPE = Path("-")
# Photos whose results are looked for at a time: as many as a store lists on a page.
_AT_ONCE = 1000


def skip_finished(jobs: list[Job]) -> tuple[list[Job], list[Outcome]]:
    """Set aside the photos all of whose results are there; results are whole, being renamed."""
    open_jobs: list[Job] = []
    skipped: list[Outcome] = []
    for job, is_finished in _looked_up(jobs):
        if is_finished:
            skipped.append(_skipped(job))
        else:
            open_jobs.append(job)
    return open_jobs, skipped


def leave_out_finished(jobs: Iterable[Job], note: Callable[[Outcome], None]) -> Iterator[Job]:
    """Pass jobs on as they come, but tell `note` of those all of whose results are there."""
    for job, is_finished in _looked_up(jobs):
        if is_finished:
            note(_skipped(job))
        else:
            yield job


def _skipped(job: Job) -> Outcome:
    return Outcome(job, "skipped", "already there")


def _looked_up(jobs: Iterable[Job]) -> Iterator[tuple[Job, bool]]:
    """Tell of each job whether its results are there; stores are asked for many at a time."""
    waiting = iter(jobs)
    known: OrderedDict[ObjectName, set[str]] = OrderedDict()
    while some := list(itertools.islice(waiting, _AT_ONCE)):
        outputs = [path for job in some for path in job.outputs.values()]
        objects = existing([path for path in outputs if isinstance(path, ObjectPath)], known)

        def is_there(path: Path, objects: set[ObjectPath] = objects) -> bool:
            if isinstance(path, ObjectPath):
                return path in objects
            return path != _PIPE and path.exists()

        for job in some:
            yield job, all(map(is_there, job.outputs.values()))
