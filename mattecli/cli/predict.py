"""``matte predict``: photos in, cutouts out."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mattecli.cli.cluster import check_cluster, chosen_executor, may_use_gpu
from mattecli.cli.commands import yields_to_what_is_typed
from mattecli.cli.option_groups import with_options
from mattecli.cli.predict_checks import Usage, usage_of
from mattecli.cli.predict_clip import predict_clip
from mattecli.cli.predict_foresight import foresee_photos
from mattecli.cli.predict_photos import predict_photos
from mattecli.cli.predict_plan import Made, made_of, plan_photos, stream_photos
from mattecli.core.inference.clip_options import ClipOptions
from mattecli.core.inference.options import (
    ClusterOptions,
    EdgeOptions,
    FrameOptions,
    OutputOptions,
    PredictOptions,
    RunOptions,
    SourceOptions,
)
from mattecli.core.objects.paths import is_object, located

if TYPE_CHECKING:
    from mattecli.core.inference.photo_hints import RunHints
    from mattecli.core.inference.pipeline import Job
    from mattecli.core.inference.review import Review
    from mattecli.core.inference.run import Settings


@yields_to_what_is_typed(
    usage_of,
    {"sources": ["."], "out": "results/"},
    {"sources": ["photo.jpg"], "out": "result.png"},
)
@with_options(
    output=OutputOptions,
    frame=FrameOptions,
    edges=EdgeOptions,
    prediction=PredictOptions,
    inputs=SourceOptions,
    clips=ClipOptions,
    run=RunOptions,
    cluster=ClusterOptions,
)
def predict(
    *,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IN...",
            help="Photos and folders of photos, also of object stores such as s3://BUCKET/DIR; or "
            "a clip, or frames/%06d.png; or - for a photo from stdin.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str,
        typer.Argument(
            metavar="OUT",
            help="A folder, - for stdout, for a single photo a file such as cutout.png, for a clip "
            "a .mov, .webm or .mp4 file, a folder for its frames, or frames/%06d.png.",
        ),
    ],
    output: OutputOptions,
    frame: FrameOptions,
    edges: EdgeOptions,
    prediction: PredictOptions,
    inputs: SourceOptions,
    clips: ClipOptions,
    run: RunOptions,
    cluster: ClusterOptions,
) -> None:
    """Cut the subjects out of photos and clips.

    A folder is searched recursively and its tree is kept. A photo that cannot be cut is reported,
    the others are done, and the exit code is 1. Under torchrun every process takes its share.
    """
    from mattecli.core.inference.hint_planning import plan_hints
    from mattecli.core.inference.photo_task import PhotoTask

    made = made_of(output, frame, edges)
    usages = [_usage_of(sources, out, each, inputs, clips, run) for each in made]
    _check_values(made, usages[0], run)
    is_alone = usages[0].of_clip or inputs.watch or "-" in (*(sources or []), out)
    check_cluster(
        cluster, unfit="cuts photos of files and stores, without --watch" if is_alone else ""
    )

    def plan() -> tuple[list[Job], Counter[str]]:
        return plan_photos(sources or [], out, inputs, made, usages)

    jobs: list[Job] = []
    passed_over: Counter[str] = Counter()
    stream = None
    if not usages[0].of_clip:
        stream = None if run.dry_run else stream_photos(sources or [], out, inputs, made, usages)
    if not (usages[0].of_clip or stream):
        jobs, passed_over = plan()
    _check_preview(run.preview, jobs)
    clip = located((sources or [""])[0])
    hinted = [_clip(clip)] if usages[0].of_clip else jobs
    hints = plan_hints(inputs, " and ".join(sources or [str(inputs.from_list)]), hinted)
    if inputs.only_hinted:
        jobs = [job for job in jobs if hints.are_own(job.source)]
    settings, *others = (
        _settings(each, usage.suffix, prediction, inputs, clips, run, hints)
        for each, usage in zip(made, usages, strict=True)
    )
    if usages[0].of_clip:
        predict_clip(clip, located(out), settings, prediction, run, clips, smooth=inputs.smooth)
        return
    if output.named:
        names = [each.name for each in made]
        settings.named.update(zip(names, [dataclasses.replace(settings), *others], strict=True))
    if run.dry_run:
        foresee_photos(jobs, settings, run, passed_over)
        return
    predict_photos(
        stream or jobs,
        PhotoTask(settings, prediction, run),
        chosen_executor(cluster, uses_gpu=may_use_gpu(prediction.device)),
        passed_over=stream.passed_over if stream else passed_over,
        rescan=(lambda: plan()[0]) if inputs.watch else None,
        review=_review(sources or [], run),
    )


def _clip(source: Path) -> Job:
    """Name a clip as something that may have hints."""
    from mattecli.core.inference.pipeline import Job

    return Job(source, {})


def _review(sources: list[str], run: RunOptions) -> Review | None:
    if run.review is None:
        return None
    from mattecli.core.inference.review import Review

    return Review(run.review, [Path(source) for source in sources], resume=not run.overwrite)


def _check_values(made: list[Made], usage: Usage, run: RunOptions) -> None:
    # Wrong in itself, and so none of what only does not go with something else.
    if any(each.output.bits not in (8, 16) for each in made):
        raise typer.BadParameter("--bits is 8 or 16")
    if made[0].name and (usage.of_clip or not usage.into_folder):
        raise typer.BadParameter("--output is for photos, and needs a folder for results")
    for name, place in (("report", run.report), ("review", run.review)):
        if place is not None and is_object(place):
            raise typer.BadParameter(f"--{name} grows line by line, and needs a place on a disk")
    if usage.of_clip and run.dry_run:
        raise typer.BadParameter("--dry-run is for photos")


def _check_preview(preview: Path | None, jobs: list[Job]) -> None:
    from mattecli.core.errors import MatteError

    if preview is not None and preview.resolve() in {Path(job.name).resolve() for job in jobs}:
        raise MatteError(f"{preview} would overwrite a photo: choose another place for the preview")


def _usage_of(
    sources: list[str] | None,
    out: str,
    made: Made,
    inputs: SourceOptions,
    clips: ClipOptions,
    run: RunOptions,
) -> Usage:
    output = made.output
    return usage_of(
        sources,
        out,
        inputs.from_list,
        inputs.null,
        output.name,
        output.save,
        output.image_format,
        output.bits,
        output.background,
        output.crop,
        made.frame.canvas,
        made.frame.pad,
        made.frame.align,
        made.frame.scale_subject,
        made.frame.shadow,
        inputs.trimap,
        inputs.watch,
        run.preview,
        inputs.box,
        inputs.point,
        inputs.not_point,
        inputs.keep,
        inputs.drop,
        inputs.hints,
        inputs.guide,
        inputs.subject,
        inputs.only_hinted,
        run.review,
        output.quality,
        clips.start,
        clips.end,
        clips.fps,
        clips.codec,
        clips.crf,
        clips.bitrate,
    )


def _settings(
    made: Made,
    suffix: str,
    prediction: PredictOptions,
    inputs: SourceOptions,
    clips: ClipOptions,
    run: RunOptions,
    hints: RunHints,
) -> Settings:
    from mattecli.core.inference.run import settings_of
    from mattecli.core.inference.specifying import encoding_of, output_spec
    from mattecli.core.ranks import is_main_process

    settings = settings_of(
        made.output,
        prediction.refine,
        suffix,
        output_spec(*made[1:]),
        int(inputs.max_megapixels * 1e6),
        preview=run.preview is not None and is_main_process(),
        review=run.review is not None,
        hints=hints,
    )
    return dataclasses.replace(settings, encoding=encoding_of(made.output, clips))
