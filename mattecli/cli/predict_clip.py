"""``matte predict`` where IN is a clip."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mattecli.cli.interruption import graceful_shutdown
from mattecli.cli.status import ExitStatus
from mattecli.cli.streams import say

if TYPE_CHECKING:
    from mattecli.core.imaging.moving import MovingPicture
    from mattecli.core.inference.assessment import Assessment
    from mattecli.core.inference.clip_options import ClipOptions
    from mattecli.core.inference.options import PredictOptions, RunOptions
    from mattecli.core.inference.pipeline import Job
    from mattecli.core.inference.run import Settings


def predict_clip(
    source: Path,
    out: Path,
    settings: Settings,
    prediction: PredictOptions,
    run: RunOptions,
    clips: ClipOptions,
    *,
    smooth: bool,
) -> None:
    """Cut a clip."""
    from mattecli.core.errors import MatteError, reason_of
    from mattecli.core.imaging.animations import FORMATS, PAGED_TIFF
    from mattecli.core.imaging.clip_codecs import CONTAINERS
    from mattecli.core.imaging.clip_range import Range
    from mattecli.core.imaging.moving import open_frames
    from mattecli.core.inference.finished import skip_finished
    from mattecli.core.inference.pipeline import Outcome
    from mattecli.core.inference.report import Report
    from mattecli.core.inference.video import Stopped, clip_job

    started = time.perf_counter()
    silent = run.quiet or run.json_log
    job = clip_job(source, out, settings.outputs.kinds, settings.suffix)
    with Report(run.report, sys.stderr if run.json_log else None) as log:
        if (
            (settings.suffix in CONTAINERS or settings.suffix in FORMATS)
            and not run.overwrite
            and (skipped := skip_finished([job])[1])
        ):
            log.add(skipped[0])
            if not silent:
                say(f"{out} is already there")
            return
        try:
            # Pages have nothing to do with one another.
            related = settings.suffix != PAGED_TIFF
            smooth, guided = smooth and related, clips.temporal_guidance and related
            part = Range.parse(clips.start, clips.end)
            with open_frames(source, settings.max_pixels, part, clips.fps) as clip:
                done, assessment = _cut(job, clip, settings, prediction, run, smooth, guided)
        except Stopped:
            raise KeyboardInterrupt from None
        except ImportError:
            raise
        except Exception as error:
            # What nobody foresaw of a damaged clip is one line too.
            reason = reason_of(error, source)
            log.add(Outcome(job, "failed", reason))
            if run.json_log:
                raise typer.Exit(ExitStatus.FAILURE) from None
            raise MatteError(reason) from error
        seconds = time.perf_counter() - started
        reason = "; ".join(clip.problems)
        size = (clip.width, clip.height)
        status = "empty" if assessment.is_empty else "ok"
        nothing = ["nothing found"] if assessment.is_empty else []
        said = "; ".join(nothing + clip.problems + clip.notes)
        log.add(Outcome(job, status, said, seconds, size, assessment))
    if said and not run.json_log and (reason or not run.quiet):
        say(f"matte: {source}: {said}")
    if not silent:
        say(f"{done} frames in {seconds:.1f} s")
    if reason:
        raise typer.Exit(ExitStatus.FAILURE)


def _cut(
    job: Job,
    clip: MovingPicture,
    settings: Settings,
    prediction: PredictOptions,
    run: RunOptions,
    smooth: bool,
    guided: bool,
) -> tuple[int, Assessment]:
    """Cut all frames; give their number, and what their mattes say of themselves."""
    from mattecli.core.inference.assessment import ClipAssessment
    from mattecli.core.inference.run import load_predictor
    from mattecli.core.inference.video import cut_clip
    from mattecli.core.progress import progress

    seen = ClipAssessment(float(clip.rate))
    with (
        progress(total=clip.frame_count, unit="frame", quiet=run.quiet or run.json_log) as bar,
        graceful_shutdown() as stopped,
    ):
        predictor = load_predictor(prediction)
        for assessment in cut_clip(
            job, clip, predictor, settings, run, smoothed=smooth, guided=guided, stopped=stopped
        ):
            bar.update()
            seen.add(assessment)
    return seen.count, seen.result()
