"""``matte composite`` where cutout or background move."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from mattecli.cli.interruption import graceful_shutdown
from mattecli.cli.status import ExitStatus
from mattecli.cli.streams import say

if TYPE_CHECKING:
    from mattecli.core.clips.compositing import ClipComposite


def compose_moving(job: ClipComposite, *, quiet: bool) -> None:
    """Make a composite that moves."""
    from mattecli.core.clips.compositing import compose_clip
    from mattecli.core.progress import progress

    started = time.perf_counter()
    count = 0
    with graceful_shutdown() as stopped, progress(total=0, unit="frame", quiet=quiet) as bar:

        def begin(frames: int | None) -> None:
            bar.total = frames

        for ended in compose_clip(job, begin, stopped):
            if ended is None:
                bar.update()
                count += 1
    assert ended is not None
    said = "; ".join(ended.problems + ended.notes)
    if said and (ended.problems or not quiet):
        say(f"matte: {job.output}: {said}")
    if not quiet:
        say(f"{count} frames in {time.perf_counter() - started:.1f} s")
    if ended.problems:
        raise typer.Exit(ExitStatus.FAILURE)
