"""``matte predict`` where IN is a clip, or clips are among what it holds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import typer

from mattecli.cli.interruption import graceful_shutdown
from mattecli.cli.status import ExitStatus
from mattecli.cli.streams import say

if TYPE_CHECKING:
    from mattecli.core.clips.task import ClipTask, CutClip
    from mattecli.core.inference.jobs import Job
    from mattecli.core.inference.options import PredictOptions
    from mattecli.core.inference.predictor import Predictor
    from mattecli.core.inference.steps import Outcome


def predict_clip(job: Job, task: ClipTask, prediction: PredictOptions) -> None:
    """Cut the one clip of a run."""
    from mattecli.core.errors import MatteError, reason_of
    from mattecli.core.imaging.animations import FORMATS
    from mattecli.core.imaging.clips.codecs import CONTAINERS
    from mattecli.core.inference.finished import skip_finished
    from mattecli.core.inference.report import Report
    from mattecli.core.inference.steps import Outcome

    run = task.run
    silent = run.quiet or run.json_log
    into_file = task.settings.suffix in (*CONTAINERS, *FORMATS)
    with Report(run.report, sys.stderr if run.json_log else None) as log:
        if into_file and not run.overwrite and (skipped := skip_finished([job])[1]):
            log.add(skipped[0])
            if not silent:
                say(f"{next(iter(job.outputs.values()))} is already there")
            return
        try:
            with graceful_shutdown() as stopped:
                cut = _cut(job, task, lambda: _load(prediction), stopped, silent=silent)
        except ImportError:
            raise
        except Exception as error:
            # What nobody foresaw of a damaged clip is one line too.
            reason = reason_of(error, job.name)
            log.add(Outcome(job, "failed", reason))
            if run.json_log:
                raise typer.Exit(ExitStatus.FAILURE) from None
            raise MatteError(reason) from error
        log.add(cut.outcome)
    said = cut.outcome.reason
    if said and not run.json_log and (cut.problems or not run.quiet):
        say(f"matte: {job.name}: {said}")
    if not silent:
        say(f"{cut.frames} frames in {cut.outcome.seconds:.1f} s")
    if cut.problems:
        raise typer.Exit(ExitStatus.FAILURE)


@dataclass
class ClipsOfRun:
    """The clips among the inputs of a run, cut one after the other.

    Attributes
    ----------
    frames : int
        How many were cut.
    damaged : int
        How many clips had a part that was lost.
    """

    jobs: list[Job]
    task: ClipTask
    prediction: PredictOptions
    frames: int = 0
    damaged: int = 0
    _loaded: list[Predictor] = field(default_factory=list)

    def cut(self, stopped: Callable[[], bool]) -> Iterator[Outcome]:
        """Cut all that are not there yet; a clip that fails is an outcome, too."""
        from dataclasses import replace

        from mattecli.core.clips.cutting import Stopped
        from mattecli.core.errors import OutputUnusable, reason_of
        from mattecli.core.inference.finished import skip_finished
        from mattecli.core.inference.planning import shard_jobs
        from mattecli.core.inference.steps import Outcome
        from mattecli.core.ranks import is_main_process

        run = self.task.run
        silent = run.quiet or run.json_log or not is_main_process()
        jobs = list(shard_jobs(self.jobs))
        if not run.overwrite:
            jobs, skipped = skip_finished(jobs)
            yield from skipped
        for job in jobs:
            if stopped():
                return
            try:
                cut = _cut(job, self.task, self._load, stopped, silent=silent, alone=False)
            except (KeyboardInterrupt, ImportError, OutputUnusable):
                raise
            except Stopped:
                return
            except Exception as error:
                yield Outcome(job, "failed", reason_of(error, job.name))
                continue
            self.frames += cut.frames
            self.damaged += bool(cut.problems)
            said = cut.outcome.reason
            warnings = (said,) if said and cut.outcome.status == "ok" else ()
            yield replace(cut.outcome, warnings=warnings)

    def _load(self) -> Predictor:
        if not self._loaded:
            self._loaded.append(_load(self.prediction))
        return self._loaded[0]


def _load(prediction: PredictOptions) -> Predictor:
    from mattecli.core.inference.preloading import load_predictor

    return load_predictor(prediction)


def _cut(
    job: Job,
    task: ClipTask,
    load: Callable[[], Predictor],
    stopped: Callable[[], bool],
    *,
    silent: bool,
    alone: bool = True,
) -> CutClip:
    from mattecli.core.clips.cutting import Stopped
    from mattecli.core.progress import progress

    label = "" if alone else job.place
    with progress(total=0, unit="frame", label=label, quiet=silent, stays=alone) as bar:

        def begin(count: int | None) -> Callable[[], object]:
            bar.total = count
            return bar.update

        try:
            return task.cut(job, load, begin, stopped)
        except Stopped:
            if alone:
                raise KeyboardInterrupt from None
            raise
