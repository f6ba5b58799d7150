"""What ``matte predict`` does with each photo and each clip, from its options."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mattecli.cli.predict_clip import ClipsOfRun
from mattecli.cli.predict_plan import Made
from mattecli.cli.predict_usage import Usage
from mattecli.core.clips.options import ClipOptions
from mattecli.core.inference.options import PredictOptions
from mattecli.core.inference.run_options import RunOptions
from mattecli.core.inference.source_options import SourceOptions
from mattecli.core.objects.paths import located

if TYPE_CHECKING:
    from mattecli.core.inference.jobs import Job
    from mattecli.core.inference.photo_hints import RunHints
    from mattecli.core.inference.photo_task import PhotoTask
    from mattecli.core.inference.run import Settings


@dataclasses.dataclass(frozen=True)
class TaskMaker:
    """Makes tasks of the options of a run."""

    prediction: PredictOptions
    inputs: SourceOptions
    clips: ClipOptions
    run: RunOptions
    hints: RunHints

    def of_photos(self, made: list[Made], usages: list[Usage], *, are_any: bool) -> PhotoTask:
        """Say what is done with each photo, if there are any."""
        from mattecli.core.inference.photo_task import PhotoTask

        settings, *others = (
            self._settings(each, usage.suffix, moving=not are_any)
            for each, usage in zip(made, usages, strict=True)
        )
        if made[0].name:
            names = [each.name for each in made]
            settings.named.update(zip(names, [dataclasses.replace(settings), *others], strict=True))
        return PhotoTask(settings, self.prediction, self.run)

    def of_clips(self, made: Made, usage: Usage, jobs: list[Job]) -> ClipsOfRun | None:
        """Say what is done with each clip; None if there is none.

        Raises
        ------
        MatteError
            If a result would overwrite what is read.
        """
        if not jobs:
            return None
        from mattecli.core.clips.task import ClipTask
        from mattecli.core.imaging.animations import holds_pages
        from mattecli.core.imaging.clips.parts import Range
        from mattecli.core.imaging.clips.pipes import RawFrames
        from mattecli.core.matting.backdrops import moves

        suffix = usage.suffix if usage.of_clip else next(iter(jobs[0].outputs.values())).suffix
        # Pages have nothing to do with one another.
        related = not holds_pages(jobs[0].name)
        text = made.output.background
        moving = text is not None and moves(text)
        task = ClipTask(
            self._settings(made, suffix, moving=moving),
            self.run,
            Range.parse(self.clips.start, self.clips.end),
            self.clips.fps,
            RawFrames.parse(self.clips.raw) if self.clips.raw else None,
            smoothed=self.inputs.smooth and related,
            guided=self.clips.temporal_guidance and related,
            backdrop=located(text) if moving and text else None,
            loops=self.clips.background_loop,
            options=_said(made, self.prediction, self.inputs, self.clips),
        )
        for job in jobs:
            task.check_apart(job)
        return ClipsOfRun(jobs, task, self.prediction)

    def _settings(self, made: Made, suffix: str, *, moving: bool) -> Settings:
        from mattecli.core.clips.specifying import encoding_of
        from mattecli.core.inference.run import settings_of
        from mattecli.core.inference.specifying import output_spec
        from mattecli.core.ranks import is_main_process

        settings = settings_of(
            made.output,
            self.prediction.refine,
            suffix,
            output_spec(*made[1:], moving=moving),
            int(self.inputs.max_megapixels * 1e6),
            preview=self.run.preview is not None and is_main_process(),
            review=self.run.review is not None,
            hints=self.hints,
        )
        return dataclasses.replace(settings, encoding=encoding_of(made.output, self.clips))


def _said(made: Made, *groups: Any) -> str:
    """Put options in words, with what can be told of the files that they name."""
    from mattecli.core.clips.task import identity

    words = []
    for options in (*made[1:], *groups):
        values = [getattr(options, field.name) for field in dataclasses.fields(options)]
        words += [repr(options), *(identity(one) for one in values if isinstance(one, Path))]
    if made.output.background is not None:
        words.append(identity(located(made.output.background)))
    return "\n".join(words)
