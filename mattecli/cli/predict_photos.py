"""``matte predict`` where IN holds photos."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING

import typer

from mattecli.cli.interruption import graceful_shutdown
from mattecli.cli.predict_clip import ClipsOfRun
from mattecli.cli.predict_outcomes import OutcomeNotes
from mattecli.cli.status import ExitStatus
from mattecli.cli.streams import say

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from mattecli.core.executing.tasks import Executor
    from mattecli.core.inference.jobs import Job
    from mattecli.core.inference.photo_task import PhotoTask
    from mattecli.core.inference.review import Review
    from mattecli.core.inference.run_options import RunOptions
    from mattecli.core.inference.streaming import PhotoStream


def predict_photos(
    jobs: list[Job] | PhotoStream,
    task: PhotoTask,
    executor: Executor,
    *,
    clips: ClipsOfRun | None,
    passed_over: Counter[str],
    rescan: Callable[[], list[Job]] | None,
    review: Review | None = None,
) -> None:
    """Cut photos, and then the clips among them.

    Parameters
    ----------
    clips : ClipsOfRun, optional
    passed_over : Counter of str
        Files of folders that are no pictures, by suffix.
    rescan : callable, optional
        For a folder that is watched: gives all that there is to do.
    review : Review, optional
        Shows what is worth a look.
    """
    from mattecli.core.imaging.writing import write_image
    from mattecli.core.inference.preview import contact_sheet
    from mattecli.core.inference.report import Report, summary
    from mattecli.core.inference.watching import watch
    from mattecli.core.progress import progress
    from mattecli.core.ranks import all_reduce_counts, is_main_process
    from mattecli.core.storage import followed

    started = time.perf_counter()
    run = task.run
    silent = run.quiet or run.json_log or not is_main_process()
    with (
        Report(run.report, sys.stderr if run.json_log else None, resumes=not run.overwrite) as log,
        progress(quiet=silent) as bar,
        graceful_shutdown() as stopped,
    ):
        notes = OutcomeNotes(log, bar, review, silent=run.json_log, quiet=run.quiet)
        notes.price_per_hour = run.price_per_hour
        if rescan:
            outcomes = task.run_rounds(watch(_finder(rescan, run), stopped), stopped)
        else:
            of_clips = len(clips.jobs) if clips else 0
            outcomes = executor.run(task, _to_do(jobs, notes, run, of_clips), stopped)
        for outcome in chain(outcomes, clips.cut(stopped) if clips else ()):
            notes.add(outcome)
        # Ctrl-C is how a watch ends.
        interrupted = stopped() and not rescan
    with all_reduce_counts(log.count) as count:
        if not silent:
            frames = clips.frames if clips else 0
            seconds = time.perf_counter() - started
            say(summary(count, seconds, passed_over, frames=frames) + notes.cost)
        if review is not None:
            page = review.close()
            if not silent:
                say(f"{page} shows what is worth a look, worst first")
        if run.preview is not None and notes.rows:
            write_image(followed(run.preview), contact_sheet(notes.rows), is_result=True)
    if interrupted:
        raise KeyboardInterrupt
    if count["failed"] or (clips and clips.damaged):
        raise typer.Exit(ExitStatus.FAILURE)


def _finder(rescan: Callable[[], list[Job]], run: RunOptions) -> Callable[[], list[Job]]:
    from mattecli.core.inference.finished import skip_finished

    return rescan if run.overwrite else lambda: skip_finished(rescan())[0]


def _to_do(
    jobs: list[Job] | PhotoStream, notes: OutcomeNotes, run: RunOptions, clips: int
) -> Iterable[Job]:
    """Give this process its share, without what is done; learn how many photos there are.

    Clips that follow the photos count as well.
    """
    from mattecli.core.inference.finished import leave_out_finished, skip_finished
    from mattecli.core.inference.planning import shard_jobs
    from mattecli.core.ranks import rank_and_world

    mine = shard_jobs(jobs)
    if not isinstance(jobs, list):
        if notes.are_seen:
            jobs.count_aside(lambda count: notes.set_total(count // rank_and_world()[1]))
        return mine if run.overwrite else leave_out_finished(mine, notes.add)
    todo = list(mine)
    notes.set_total(len(todo) + clips)
    if run.overwrite:
        return todo
    todo, skipped = skip_finished(todo)
    for outcome in skipped:
        notes.add(outcome)
    return todo
