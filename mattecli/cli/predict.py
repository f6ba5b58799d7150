"""``matte predict``: photos in, cutouts out."""

from __future__ import annotations

import dataclasses
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mattecli.cli.cluster import check_cluster, chosen_executor, may_use_gpu
from mattecli.cli.commands import yields_to_what_is_typed
from mattecli.cli.option_groups import with_options
from mattecli.cli.predict_clip import predict_clip
from mattecli.cli.predict_foresight import foresee_run
from mattecli.cli.predict_photos import predict_photos
from mattecli.cli.predict_plan import (
    Made,
    Planned,
    made_of,
    plan_clip,
    plan_photos,
    stream_photos,
    takes_clips,
)
from mattecli.cli.predict_tasks import TaskMaker
from mattecli.cli.predict_usage import Usage, usage_of
from mattecli.cli.side_files import check_side_files
from mattecli.core.clips.options import ClipOptions
from mattecli.core.inference.options import EdgeOptions, FrameOptions, OutputOptions, PredictOptions
from mattecli.core.inference.run_options import ClusterOptions, RunOptions
from mattecli.core.inference.source_options import SourceOptions
from mattecli.core.objects.paths import is_object, located

if TYPE_CHECKING:
    from mattecli.core.inference.photo_hints import RunHints
    from mattecli.core.inference.review import Review


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
            "a clip, or frames/%06d.png; or - for stdin.",
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
    made = made_of(output, frame, edges)
    usages = [_usage_of(sources, out, each, inputs, clips, run) for each in made]
    _check_values(made, usages[0], run)
    is_alone = usages[0].of_clip or inputs.watch or "-" in (*(sources or []), out)
    check_cluster(
        cluster, unfit="cuts photos of files and stores, without --watch" if is_alone else ""
    )
    from mattecli.core.inference.preloading import preloaded

    one = not (is_alone or cluster.cluster) and _cuts_one_photo(sources or [], out, run)
    with preloaded(prediction, wanted=one):
        _run(sources, out, made, usages, prediction, inputs, clips, run, cluster)


def _run(
    sources: list[str] | None,
    out: str,
    made: list[Made],
    usages: list[Usage],
    prediction: PredictOptions,
    inputs: SourceOptions,
    clips: ClipOptions,
    run: RunOptions,
    cluster: ClusterOptions,
) -> None:
    """Plan the run and do it."""
    from mattecli.core.inference.hint_planning import plan_hints

    with_clips = takes_clips(made, inputs) and usages[0].into_folder

    def plan() -> Planned:
        return plan_photos(
            sources or [], out, inputs, made, usages, clips.clip_format, with_clips=with_clips
        )

    planned = Planned([], [], Counter())
    stream = None
    if usages[0].of_clip:
        planned = plan_clip(
            (sources or [""])[0],
            out,
            made[0].output,
            usages[0].suffix,
            overwrite=run.overwrite,
        )
    elif run.dry_run or not (stream := stream_photos(sources or [], out, inputs, made, usages)):
        planned = plan()
    _check_side_files(run, inputs, made, planned, out)
    hints = plan_hints(
        inputs, " and ".join(sources or [str(inputs.from_list)]), planned.photos + planned.clips
    )
    _check_apart(planned, hints, made)
    if inputs.only_hinted:
        planned = planned.only(hints.are_own)
    tasks = TaskMaker(prediction, inputs, clips, run, hints)
    of_clips = tasks.of_clips(made[0], usages[0], planned.clips)
    if usages[0].of_clip and of_clips and not run.dry_run:
        predict_clip(planned.clips[0], of_clips.task, prediction)
        return
    task = tasks.of_photos(made, usages, are_any=bool(stream or planned.photos))
    if run.dry_run:
        foresee_run(planned, task.settings, of_clips.task if of_clips else None, run)
        return
    predict_photos(
        stream or planned.photos,
        dataclasses.replace(task, out=located(out) if usages[0].into_folder else None),
        chosen_executor(cluster, uses_gpu=may_use_gpu(prediction.device)),
        clips=of_clips,
        passed_over=stream.passed_over if stream else planned.passed_over,
        rescan=(lambda: plan().photos) if inputs.watch else None,
        review=_review(sources or [], inputs, run),
    )


def _cuts_one_photo(sources: list[str], out: str, run: RunOptions) -> bool:
    """Tell whether there is a single photo, and nothing that it may be left for."""
    if run.dry_run or len(sources) != 1 or is_object(sources[0]) or not Path(sources[0]).is_file():
        return False
    # What is there already may be left as it is.
    return run.overwrite or is_object(out) or not Path(out).exists()


def _review(sources: list[str], inputs: SourceOptions, run: RunOptions) -> Review | None:
    if run.review is None:
        return None
    from mattecli.core.inference.review import Review

    hints = filter(None, (inputs.trimap, inputs.keep, inputs.drop, inputs.guide))
    return Review(run.review, [*map(Path, sources), *hints], resume=not run.overwrite)


def _files_of_review(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    from mattecli.core.inference.review import files_of_review

    return files_of_review(folder)


def _check_values(made: list[Made], usage: Usage, run: RunOptions) -> None:
    # Wrong in itself, and so none of what only does not go with something else.
    if any(each.output.bits not in (8, 16) for each in made):
        raise typer.BadParameter("--bits is 8 or 16")
    if made[0].name and (usage.of_clip or not usage.into_folder):
        raise typer.BadParameter("--output is for photos, and needs a folder for results")
    for name, place in (("report", run.report), ("review", run.review)):
        if place is not None and is_object(place):
            raise typer.BadParameter(f"--{name} grows line by line, and needs a place on a disk")


def _check_side_files(
    run: RunOptions, inputs: SourceOptions, made: list[Made], planned: Planned, out: str
) -> None:
    jobs = planned.photos + planned.clips
    hints = (inputs.trimap, inputs.keep, inputs.drop, inputs.hints, inputs.guide, inputs.from_list)
    used = chain(
        (job.source for job in jobs if isinstance(job.source, Path)),
        (path for job in jobs for path in job.outputs.values()),
        hints,
        (each.output.background for each in made),
        (out,),
        _files_of_review(run.review),
    )
    check_side_files({"--report": run.report, "--preview": run.preview}, used)


def _check_apart(planned: Planned, hints: RunHints, made: list[Made]) -> None:
    from mattecli.core.inference.inputs import check_not_read

    backgrounds = (each.output.background for each in made)
    check_not_read(
        (path for job in planned.photos for path in job.outputs.values()),
        chain(hints.files(), (located(text) for text in backgrounds if text is not None)),
    )


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
        clips.clip_format,
        clips.raw,
    )
