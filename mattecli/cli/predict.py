"""``matte predict``: photos in, cutouts out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mattecli.cli.commands import yields_to_what_is_typed
from mattecli.cli.option_groups import with_options
from mattecli.cli.predict_checks import usage_of
from mattecli.cli.predict_clip import predict_clip
from mattecli.cli.predict_photos import predict_photos
from mattecli.core.inference.options import (
    OutputOptions,
    PredictOptions,
    RunOptions,
    SourceOptions,
)

if TYPE_CHECKING:
    from mattecli.core.inference.photo_hints import RunHints
    from mattecli.core.inference.pipeline import Job
    from mattecli.core.inference.run import Settings


@yields_to_what_is_typed(
    usage_of, {"source": ".", "out": "results/"}, {"source": "photo.jpg", "out": "result.png"}
)
@with_options(output=OutputOptions, prediction=PredictOptions, inputs=SourceOptions, run=RunOptions)
def predict(
    source: Annotated[
        str,
        typer.Argument(metavar="IN", help="A photo, a folder of photos, a clip, or - for stdin."),
    ],
    out: Annotated[
        str,
        typer.Argument(
            metavar="OUT",
            help="A folder, - for stdout, for a single photo a file such as cutout.png, for a clip "
            "a .mov, .webm or .mp4 file or a folder for its frames.",
        ),
    ],
    output: OutputOptions,
    prediction: PredictOptions,
    inputs: SourceOptions,
    run: RunOptions,
) -> None:
    """Cut the subjects out of photos and clips.

    A folder is searched recursively and its tree is kept. A photo that cannot be cut is reported,
    the others are done, and the exit code is 1. Under torchrun every process takes its share.
    """
    from mattecli.core.errors import MatteError
    from mattecli.core.inference.hint_planning import plan_hints
    from mattecli.core.inference.run import plan_jobs

    of_clip, suffix, into_folder = usage_of(
        source,
        out,
        output.save,
        output.image_format,
        output.bits,
        output.background,
        output.crop,
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
    )
    # Wrong in itself, and so none of what only does not go with something else.
    if output.bits not in (8, 16):
        raise typer.BadParameter("--bits is 8 or 16")

    def plan() -> tuple[list[Job], int]:
        place = Path(source), Path(out)
        return plan_jobs(
            *place, output.kinds, suffix, into_folder=into_folder, may_be_empty=inputs.watch
        )

    jobs, ignored = ([], 0) if of_clip else plan()
    preview = run.preview
    if preview is not None and preview.resolve() in {Path(job.name).resolve() for job in jobs}:
        raise MatteError(f"{preview} would overwrite a photo: choose another place for the preview")
    hints = plan_hints(inputs, Path(source), jobs)
    settings = _settings(output, prediction, suffix, inputs, run, hints)
    if of_clip:
        predict_clip(Path(source), Path(out), settings, prediction, run, smooth=inputs.smooth)
        return
    rescan = (lambda: plan()[0]) if inputs.watch else None
    predict_photos(jobs, settings, prediction, run, ignored=ignored, rescan=rescan)


def _settings(
    output: OutputOptions,
    prediction: PredictOptions,
    suffix: str,
    inputs: SourceOptions,
    run: RunOptions,
    hints: RunHints,
) -> Settings:
    from mattecli.core.inference.run import settings_of
    from mattecli.core.matting.backgrounds import load_background
    from mattecli.core.ranks import is_main_process

    return settings_of(
        output,
        prediction.refine,
        suffix,
        load_background(output.background) if output.background else None,
        int(inputs.max_megapixels * 1e6),
        preview=run.preview is not None and is_main_process(),
        hints=hints,
    )
