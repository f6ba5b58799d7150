"""``matte predict`` where IN holds photos."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mattecli.cli.interruption import interrupt_finishes_what_is_begun

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

    from mattecli.core.inference.pipeline import Job, Outcome
    from mattecli.core.inference.run import Settings


def predict_photos(
    jobs: list[Job],
    settings: Settings,
    *,
    ignored: int,
    overwrite: bool,
    look_again: Callable[[], list[Job]] | None,
    preview: Path | None,
    report: Path | None,
    json_log: bool,
    quiet: bool,
    **running: Any,
) -> None:
    """Cut photos, with the parameters of `predict`; `running` is handed on to `predict_all`.

    `ignored` files of the folder are no pictures. `look_again`, for a folder that is watched, gives
    all that there is to do.
    """
    from mattecli.core.imaging.writing import write_image
    from mattecli.core.inference.preview import MOST_ROWS, contact_sheet
    from mattecli.core.inference.report import Report, summary
    from mattecli.core.inference.run import own_share, predict_all, skip_finished
    from mattecli.core.inference.watching import watch
    from mattecli.core.progress import progress
    from mattecli.core.ranks import speaks_for_all, summed_over_ranks

    started = time.perf_counter()
    jobs = own_share(jobs)
    silent = quiet or json_log or not speaks_for_all()
    total = None if look_again else len(jobs)
    skipped: list[Outcome] = []
    if not (overwrite or look_again):
        jobs, skipped = skip_finished(jobs)
    rounds: Iterable[list[Job]] = [jobs]
    rows: list[np.ndarray] = []
    with (
        Report(report, sys.stderr if json_log else None) as log,
        progress(total=total, quiet=silent) as bar,
        interrupt_finishes_what_is_begun() as stopped,
    ):
        if look_again:
            rounds = watch(
                look_again if overwrite else lambda: skip_finished(look_again())[0], stopped
            )
        outcomes = predict_all(rounds, settings, **running, stopped=stopped)
        for outcome in chain(skipped, outcomes):
            log.add(outcome)
            bar.update()
            if outcome.status == "failed":
                bar.set_postfix(failed=log.count["failed"])
                if not json_log:
                    bar.write(f"matte: {outcome.reason}", file=sys.stderr)
            if outcome.status == "empty" and not silent:
                bar.write(f"matte: {outcome.job.name}: {outcome.reason}", file=sys.stderr)
            if outcome.preview is not None and len(rows) < MOST_ROWS:
                rows.append(outcome.preview)
        # Ctrl-C is how a watch ends.
        interrupted = stopped() and not look_again
    with summed_over_ranks(log.count) as count:
        if not silent:
            typer.echo(summary(count, time.perf_counter() - started, ignored), err=True)
        if preview is not None and rows:
            write_image(preview, contact_sheet(rows))
    if interrupted:
        raise KeyboardInterrupt
    if count["failed"]:
        raise typer.Exit(1)
