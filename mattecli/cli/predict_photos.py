"""``matte predict`` where IN holds photos."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any

import typer

from mattecli.cli.interruption import graceful_shutdown
from mattecli.cli.status import ExitStatus
from mattecli.cli.streams import say
from mattecli.core.plain_text import in_one_line

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator

    import numpy as np

    from mattecli.core.inference.options import PredictOptions, RunOptions
    from mattecli.core.inference.pipeline import Job, Outcome
    from mattecli.core.inference.report import Report
    from mattecli.core.inference.review import Review
    from mattecli.core.inference.run import Settings


def predict_photos(
    jobs: list[Job],
    settings: Settings,
    prediction: PredictOptions,
    run: RunOptions,
    *,
    passed_over: Counter[str],
    rescan: Callable[[], list[Job]] | None,
    review: Review | None = None,
) -> None:
    """Cut photos.

    Parameters
    ----------
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
    from mattecli.core.inference.run import predict_all, shard_jobs, skip_finished
    from mattecli.core.inference.watching import watch
    from mattecli.core.progress import progress
    from mattecli.core.ranks import all_reduce_counts, is_main_process

    started = time.perf_counter()
    jobs = shard_jobs(jobs)
    silent = run.quiet or run.json_log or not is_main_process()
    total = None if rescan else len(jobs)
    skipped: list[Outcome] = []
    if not (run.overwrite or rescan):
        jobs, skipped = skip_finished(jobs)
    rounds: Iterable[list[Job]] = [jobs]
    with (
        Report(run.report, sys.stderr if run.json_log else None) as log,
        progress(total=total, quiet=silent) as bar,
        graceful_shutdown() as stopped,
    ):
        if rescan:
            find = rescan if run.overwrite else lambda: skip_finished(rescan())[0]
            rounds = watch(find, stopped)
        outcomes = predict_all(rounds, settings, prediction, run, stopped=stopped)
        seen = _reviewed(chain(skipped, outcomes), review)
        rows = _take_outcomes(seen, log, bar, silent=run.json_log, quiet=silent)
        # Ctrl-C is how a watch ends.
        interrupted = stopped() and not rescan
    with all_reduce_counts(log.count) as count:
        if not silent:
            say(summary(count, time.perf_counter() - started, passed_over))
        if review is not None:
            page = review.close()
            if not silent:
                say(f"{page} shows what is worth a look, worst first")
        if run.preview is not None and rows:
            write_image(run.preview, contact_sheet(rows))
    if interrupted:
        raise KeyboardInterrupt
    if count["failed"]:
        raise typer.Exit(ExitStatus.FAILURE)


def _reviewed(outcomes: Iterable[Outcome], review: Review | None) -> Iterator[Outcome]:
    """Let a review take note of outcomes as they pass."""
    for outcome in outcomes:
        if review is not None:
            review.add(outcome)
        yield outcome


def _take_outcomes(
    outcomes: Iterable[Outcome], log: Report, bar: Any, *, silent: bool, quiet: bool
) -> list[np.ndarray]:
    """Note how every photo ended, and give the rows of the preview."""
    from mattecli.core.inference.preview import MOST_ROWS

    rows: list[np.ndarray] = []
    for outcome in outcomes:
        log.add(outcome)
        bar.update()
        if outcome.status == "failed":
            bar.set_postfix(failed=log.count["failed"])
            if not silent:
                bar.write(in_one_line(f"matte: {outcome.reason}"), file=sys.stderr)
        if outcome.status == "empty" and not quiet:
            bar.write(in_one_line(f"matte: {outcome.job.name}: {outcome.reason}"), file=sys.stderr)
        for warning in () if silent else outcome.warnings:
            text = in_one_line(f"matte: warning: {outcome.job.name}: {warning}")
            bar.write(text, file=sys.stderr)
        if outcome.preview is not None and len(rows) < MOST_ROWS:
            rows.append(outcome.preview)
    return rows
