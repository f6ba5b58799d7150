"""``matte predict``: photos in, cutouts out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mattecli.cli.commands import yields_to_what_is_typed
from mattecli.cli.destination import FormatOption, QualityOption
from mattecli.cli.predict_clip import predict_clip
from mattecli.cli.predict_options import Kind, Precision, Refine, eight_or_sixteen, usage_of
from mattecli.cli.predict_photos import predict_photos

_RESULTS, _MATTE, _NETWORK, _RUN = "Results", "Matte", "Network", "Run"


@yields_to_what_is_typed(
    usage_of, {"source": ".", "out": "results/"}, {"source": "photo.jpg", "out": "result.png"}
)
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
    save: Annotated[
        list[Kind],
        typer.Option(
            help="What to save: a cutout with straight colours, the alpha matte, the foreground "
            "colours, or a composite over --background. Repeat for several; each then gets a "
            "folder OUT/<kind>.",
            show_default="cutout, or composite with --background",
            rich_help_panel=_RESULTS,
        ),
    ] = [],  # noqa: B006
    image_format: FormatOption = None,
    bits: Annotated[
        int,
        typer.Option(
            min=8,
            max=16,
            callback=eight_or_sixteen,
            help="Bits per channel: 8 or 16.",
            rich_help_panel=_RESULTS,
        ),
    ] = 8,
    compression: Annotated[
        int,
        typer.Option(
            min=0, max=9, help="PNG compression: 0 is quick, 9 is small.", rich_help_panel=_RESULTS
        ),
    ] = 3,
    quality: QualityOption = None,
    background: Annotated[
        str | None,
        typer.Option(
            metavar="COLOR|IMAGE",
            help="Lay the subject onto a colour or a picture.",
            rich_help_panel=_RESULTS,
        ),
    ] = None,
    crop: Annotated[
        bool, typer.Option("--crop", help="Crop results to the subject.", rich_help_panel=_RESULTS)
    ] = False,
    margin: Annotated[
        float,
        typer.Option(
            min=0,
            help="Room that --crop leaves, as a share of the subject's size.",
            rich_help_panel=_RESULTS,
        ),
    ] = 0.03,
    keep_metadata: Annotated[
        bool,
        typer.Option(
            "--keep-metadata",
            help="Keep EXIF and the colour profile instead of converting to sRGB.",
            rich_help_panel=_RESULTS,
        ),
    ] = False,
    matte_color: Annotated[
        str,
        typer.Option(
            metavar="COLOR",
            help="What lies behind photos that are transparent already.",
            rich_help_panel=_RESULTS,
        ),
    ] = "white",
    refine: Annotated[
        Refine,
        typer.Option(
            help="How the matte is brought to the photo's full size: enlarged only, guided by the "
            "photo, or solved anew where the network is unsure (seconds a photo).",
            rich_help_panel=_MATTE,
        ),
    ] = Refine.fast,
    trimap: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Trimaps by the photos' names: what is black or white in one is taken as known, "
            "the rest is solved. Photos without one are done as usual.",
            rich_help_panel=_MATTE,
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=32,
            help="Long side in pixels at which the network sees a photo.",
            show_default="what the weights were trained for",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    look_twice: Annotated[
        bool,
        typer.Option(
            "--look-twice/--look-once",
            help="Look again, from nearer, at what is open in photos of 640 pixels and more.",
            rich_help_panel=_NETWORK,
        ),
    ] = True,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Weights to use: a file, any network as .onnx, or a name of `matte weights`.",
            show_default="the bundled ones",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=_NETWORK)
    ] = "auto",
    precision: Annotated[
        Precision,
        typer.Option(
            help="auto is fp16 on CUDA, int8 on the CPU where weights have it, else fp32.",
            rich_help_panel=_NETWORK,
        ),
    ] = Precision.auto,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Photos per pass through the network; halved where memory runs out.",
            show_default="1 on the CPU, else 8",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Threads that decode, and as many that encode.",
            show_default="one per core, 8 at most",
            rich_help_panel=_RUN,
        ),
    ] = None,
    max_megapixels: Annotated[
        float,
        typer.Option(min=0, help="Refuse larger photos to spare memory.", rich_help_panel=_RUN),
    ] = 200,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite/--skip-existing",
            " /--resume",
            help="Do photos again whose results are there, or leave them out: so goes on what was "
            "interrupted.",
            rich_help_panel=_RUN,
        ),
    ] = True,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Go on with photos as they appear in IN or change there, until Ctrl-C.",
            rich_help_panel=_RUN,
        ),
    ] = False,
    smooth: Annotated[
        bool,
        typer.Option(
            help="Average the mattes of a clip's frames as far as they show the same.",
            rich_help_panel=_MATTE,
        ),
    ] = True,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Append one line of JSON for each photo.", rich_help_panel=_RUN
        ),
    ] = None,
    preview: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a contact sheet: photo, alpha, cutout of the first 60.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    json_log: Annotated[
        bool,
        typer.Option(
            "--json-log",
            help="Say how each photo ended as a line of JSON on standard error, and nothing else.",
            rich_help_panel=_RUN,
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", help="Print nothing but what went wrong.", rich_help_panel=_RUN
        ),
    ] = False,
) -> None:
    """Cut the subjects out of photos and clips.

    A folder is searched recursively and its tree is kept. A photo that cannot be cut is reported,
    the others are done, and the exit code is 1. Under torchrun every process takes its share.
    """
    from mattecli.core.errors import MatteError
    from mattecli.core.imaging.colors import parse_color
    from mattecli.core.imaging.composing import load_background
    from mattecli.core.inference.cutting import Cut
    from mattecli.core.inference.run import Settings, find_trimaps, plan_jobs
    from mattecli.core.ranks import speaks_for_all

    kinds, of_clip, suffix, into_folder = usage_of(
        source, out, save, image_format, bits, background, crop, trimap, watch, preview
    )

    def plan():
        place = Path(source), Path(out)
        return plan_jobs(*place, kinds, suffix, into_folder=into_folder, may_be_empty=watch)

    jobs, ignored = ([], 0) if of_clip else plan()
    if preview is not None and preview.resolve() in {Path(job.name).resolve() for job in jobs}:
        raise MatteError(f"{preview} would overwrite a photo: choose another place for the preview")
    behind = load_background(background) if background else None
    settings = Settings(
        cut=Cut(kinds, bits, behind, margin if crop else None),
        refine=refine.value,
        suffix=suffix,
        compression=compression,
        quality=quality,
        keep_metadata=keep_metadata,
        matte_color=parse_color(matte_color),
        max_pixels=int(max_megapixels * 1e6),
        preview=preview is not None and speaks_for_all(),
        trimaps=find_trimaps(trimap, Path(source), jobs) if trimap else {},
    )
    running: dict[str, Any] = {
        "weights": weights,
        "device": device,
        "precision": precision.value,
        "size": size,
        "batch_size": batch_size,
        "workers": workers,
    }
    reporting: dict[str, Any] = {"report": report, "json_log": json_log, "quiet": quiet}
    if of_clip:
        predict_clip(
            Path(source),
            Path(out),
            settings,
            **running,
            even_out=smooth,
            overwrite=overwrite,
            **reporting,
        )
    else:
        predict_photos(
            jobs,
            settings,
            **running,
            look_twice=look_twice,
            ignored=ignored,
            overwrite=overwrite,
            look_again=(lambda: plan()[0]) if watch else None,
            preview=preview,
            **reporting,
        )
