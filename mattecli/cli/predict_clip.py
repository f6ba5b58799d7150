"""``matte predict`` where IN is a clip."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mattecli.cli.interruption import interrupt_finishes_what_is_begun

if TYPE_CHECKING:
    from mattecli.core.inference.run import Settings


def predict_clip(
    source: Path,
    out: Path,
    settings: Settings,
    *,
    weights: Path | None,
    device: str,
    precision: str,
    size: int | None,
    batch_size: int | None,
    workers: int | None,
    even_out: bool,
    overwrite: bool,
    report: Path | None,
    json_log: bool,
    quiet: bool,
) -> None:
    """Cut a clip, with the parameters of `predict`."""
    from mattecli.core.errors import MatteError, reason_of
    from mattecli.core.imaging.clip_writing import CONTAINERS
    from mattecli.core.imaging.clips import ClipReader
    from mattecli.core.inference.pipeline import Outcome
    from mattecli.core.inference.predictor import Predictor
    from mattecli.core.inference.report import Report
    from mattecli.core.inference.run import skip_finished
    from mattecli.core.inference.video import Stopped, clip_job, cut_clip
    from mattecli.core.progress import progress

    started = time.perf_counter()
    job = clip_job(source, out, settings.cut.kinds, settings.suffix)
    with Report(report, sys.stderr if json_log else None) as log:
        if settings.suffix in CONTAINERS and not overwrite and (skipped := skip_finished([job])[1]):
            log.add(skipped[0])
            if not (quiet or json_log):
                typer.echo(f"{out} is already there", err=True)
            return
        done = 0
        try:
            with (
                ClipReader(source, settings.max_pixels) as clip,
                progress(total=clip.frame_count, unit="frame", quiet=quiet or json_log) as bar,
                interrupt_finishes_what_is_begun() as stopped,
            ):
                for number in cut_clip(
                    job,
                    clip,
                    Predictor.load(weights, device, precision, size),
                    settings,
                    even_out=even_out,
                    overwrite=overwrite,
                    batch_size=batch_size,
                    workers=workers,
                    stopped=stopped,
                ):
                    bar.update()
                    done = number
        except Stopped:
            raise KeyboardInterrupt from None
        except ImportError:
            raise
        except Exception as error:
            # What nobody foresaw of a damaged clip is one line too.
            reason = reason_of(error, source)
            log.add(Outcome(job, "failed", reason))
            if json_log:
                raise typer.Exit(1) from None
            raise MatteError(reason) from error
        seconds = time.perf_counter() - started
        reason = "; ".join(clip.problems)
        said = "; ".join(clip.problems + clip.notes)
        log.add(Outcome(job, "ok", said, seconds, (clip.width, clip.height)))
    if said and not json_log and (reason or not quiet):
        typer.echo(f"matte: {source}: {said}", err=True)
    if not (quiet or json_log):
        typer.echo(f"{done} frames in {seconds:.1f} s", err=True)
    if reason:
        raise typer.Exit(1)
