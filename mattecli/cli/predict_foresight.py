"""``matte predict --dry-run``: what would be read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mattecli.cli.status import ExitStatus
from mattecli.cli.streams import say
from mattecli.core.plain_text import in_one_line

if TYPE_CHECKING:
    from mattecli.cli.predict_plan import Planned
    from mattecli.core.clips.task import ClipTask
    from mattecli.core.inference.run import Settings
    from mattecli.core.inference.run_options import RunOptions
    from mattecli.core.inference.steps import Outcome


def foresee_run(
    planned: Planned, settings: Settings, of_clips: ClipTask | None, run: RunOptions
) -> None:
    """Print a line for each photo and clip and a sum; what cannot be read makes the exit code 1."""
    from mattecli.core.clips.foresight import foresee_clip
    from mattecli.core.errors import MatteError
    from mattecli.core.inference.finished import skip_finished
    from mattecli.core.inference.foresight import foresee, free_bytes
    from mattecli.core.inference.report import list_passed_over

    jobs = planned.photos + planned.clips
    clips = {id(job) for job in planned.clips}
    skipped: list[Outcome] = []
    if not run.overwrite:
        jobs, skipped = skip_finished(jobs)
    pixels = most = replaced = failed = 0
    for job in jobs:
        try:
            if of_clips and id(job) in clips:
                seen = foresee_clip(job, of_clips)
            else:
                seen = foresee(job, settings)
        except MatteError as error:
            failed += 1
            say(f"matte: {error}")
            continue
        pixels, most, replaced = pixels + seen.pixels, most + seen.most, replaced + seen.replaced
        results = ", ".join(map(str, job.outputs.values()))
        typer.echo(in_one_line(f"{job.name} ({seen.size}) -> {results}"))
    parts = [f"{len(jobs) - failed} to cut"]
    parts += [f"{len(skipped)} already there"] if skipped else []
    parts += [f"{failed} that cannot be read"] if failed else []
    text = (
        f"{', '.join(parts)}: {pixels / 1e6:.1f} megapixels, results of {most / 1e6:.0f} MB at most"
    )
    text += ", without those of clips" if clips else ""
    text += f" ({replaced} would be replaced)" if replaced else ""
    if jobs and (room := free_bytes(jobs[0])) is not None:
        text += f", {room / 1e6:,.0f} MB free"
        if most > room:
            text += ", which may not be enough"
    say(
        text + (f"; {list_passed_over(planned.passed_over)}" if planned.passed_over else ""),
        err=False,
    )
    if failed:
        raise typer.Exit(ExitStatus.FAILURE)
