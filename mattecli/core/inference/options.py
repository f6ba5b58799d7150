"""The options of prediction, declared once for the command line, ``matte.toml`` and Python.

Importing this module is cheap, as `matte --help` does it.
"""

from __future__ import annotations

import dataclasses
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args

from mattecli.core.errors import MatteError

Format = Literal["png", "webp", "tiff", "jpg", "avif", "exr", "ora", "psd"]
Refine = Literal["none", "fast", "best"]
Align = Literal["center", "bottom"]
Precision = Literal["auto", "fp32", "fp16", "bf16", "int8"]
SubjectChoice = Literal["all", "largest", "center"]


class Kind(str, Enum):
    """What can be saved of a photo; Typer takes lists of no other kind of choices."""

    cutout = "cutout"
    alpha = "alpha"
    foreground = "foreground"
    composite = "composite"
    background = "background"
    trimap = "trimap"


_INPUTS, _RESULTS, _CANVAS, _EDGES = "Inputs", "Results", "Canvas", "Edges"
_MATTE, _HINTS, _NETWORK, _RUN = "Matte", "Hints", "Network", "Run"
_CLUSTER = "Cluster"


def option(default: Any, help: str, *, panel: str = "", flags: tuple[str, ...] = (), **more: Any):
    """Declare a field of a dataclass as an option.

    Parameters
    ----------
    help : str
        Its line in ``--help``, on the panel `panel`.
    flags : tuple of str
        How it is spelt on the command line, where its name does not say so.
    **more
        What else ``typer.Option`` takes, such as ``min``; ``aliases``, older spellings that still
        work and are not shown; ``bare``, what the option means where no number follows it.
    """
    if panel:
        more["rich_help_panel"] = panel
    metadata = {"help": help, "flags": flags, **more}
    if isinstance(default, list):
        return dataclasses.field(default_factory=list, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class PredictOptions:
    """How the matte of a photo is found."""

    refine: Refine = option(
        "fast",
        "How the matte is brought to the photo's full size: enlarged only, guided by the photo, or "
        "solved anew where the network is unsure (seconds a photo).",
        panel=_MATTE,
    )
    size: int | None = option(
        None,
        "Long side in pixels at which the network sees a photo.",
        panel=_NETWORK,
        min=32,
        show_default="what the weights were trained for",
    )
    two_pass: bool = option(
        True,
        "Run the network again, on a larger crop of what is uncertain, in photos that are large "
        "enough: from 600 pixels on with the bundled weights.",
        panel=_NETWORK,
        flags=("--two-pass/--single-pass",),
        aliases=("--look-twice/--look-once",),
    )
    weights: Path | None = option(
        None,
        "Weights to use: a file, any network as .onnx, or a name of `matte weights`.",
        panel=_NETWORK,
        metavar="NAME|FILE",
        show_default="the bundled ones",
    )
    device: str = option(
        "auto",
        "auto, cpu, cuda[:N], mps, or of onnxruntime openvino, directml, rocm, coreml, tensorrt.",
        panel=_NETWORK,
    )
    precision: Precision = option(
        "auto",
        "auto is fp16 on CUDA, int8 on the CPU where weights have it, else fp32.",
        panel=_NETWORK,
    )

    def __post_init__(self) -> None:
        """Refuse what the command line would refuse.

        Raises
        ------
        MatteError
        """
        for name, choices in (("refine", Refine), ("precision", Precision)):
            if getattr(self, name) not in get_args(choices):
                known = ", ".join(get_args(choices))
                raise MatteError(f"no {name} '{getattr(self, name)}': use one of {known}")


@dataclasses.dataclass(frozen=True)
class OutputOptions:
    """What is made of a photo or clip, and how it is stored."""

    save: list[Kind] = option(
        [],
        "What to save: a cutout with straight colors, the alpha matte, the foreground colors, a "
        "composite over --background, the background without the subject, or a trimap. Repeat for "
        "several; each then gets a folder OUT/<kind>.",
        panel=_RESULTS,
        show_default="cutout, or composite with --background",
    )
    named: list[str] = option(
        [],
        "Make what the table [outputs.NAME] of matte.toml says, in OUT/NAME. Repeat for several.",
        panel=_RESULTS,
        metavar="NAME",
        flags=("--output",),
        show_default=False,
    )
    name: str | None = option(
        None,
        "Pattern for the names of results in a folder, with {stem}, {kind} and {suffix}, such as "
        "{stem}-cut{suffix}.",
        panel=_RESULTS,
        metavar="PATTERN",
        show_default="{stem}{suffix}",
    )
    image_format: Format | None = option(
        None,
        "Format of the results.",
        panel=_RESULTS,
        flags=("--format",),
        show_default="as OUT, or png",
    )
    bits: int = option(8, "Bits per channel: 8 or 16.", panel=_RESULTS, min=8, max=16)
    compression: int = option(
        3, "PNG compression: 0 is quick, 9 is small.", panel=_RESULTS, min=0, max=9
    )
    quality: int | None = option(
        None,
        "Quality of JPEG, AVIF, WebP and clips.",
        panel=_RESULTS,
        min=1,
        max=100,
        show_default="95 for JPEG, 90 for AVIF, lossless for WebP, 65 for clips",
    )
    background: str | None = option(
        None,
        "Lay the subject onto a color, a picture, or its own background, blurred.",
        panel=_RESULTS,
        metavar="COLOR|IMAGE|blur[:PX]",
    )
    crop: bool = option(False, "Crop results to the subject.", panel=_RESULTS, flags=("--crop",))
    margin: float = option(
        0.03, "Room that --crop leaves, as a share of the subject's size.", panel=_RESULTS, min=0
    )
    keep_metadata: bool = option(
        False,
        "Keep EXIF and the color profile instead of converting to sRGB.",
        panel=_RESULTS,
        flags=("--keep-metadata",),
    )
    matte_color: str = option(
        "white",
        "What lies behind photos that are transparent already.",
        panel=_RESULTS,
        metavar="COLOR",
    )

    @property
    def kinds(self) -> tuple[str, ...]:
        """What to save, each once."""
        return tuple(dict.fromkeys(kind.value for kind in self.save)) or (
            ("composite",) if self.background else ("cutout",)
        )


@dataclasses.dataclass(frozen=True)
class FrameOptions:
    """Where the subject is placed in a picture that is made for a shop; see `Framing`."""

    canvas: str | None = option(
        None,
        "Place the subject on a canvas of so many pixels, or of these proportions.",
        panel=_CANVAS,
        metavar="WxH|W:H",
    )
    pad: str | None = option(
        None,
        "Room on each side, as a share of the canvas.",
        panel=_CANVAS,
        metavar="SHARE",
        show_default="8%, or what --scale-subject leaves",
    )
    align: Align = option("center", "Where the subject stands on the canvas.", panel=_CANVAS)
    scale_subject: str | None = option(
        None,
        "Share of the canvas's width or height, whichever fills up first, that the subject takes.",
        panel=_CANVAS,
        metavar="SHARE",
        show_default="all that --pad leaves",
    )
    shadow: bool = option(
        False,
        "Draw a soft shadow where the subject stands, in composites and cutouts.",
        panel=_CANVAS,
        flags=("--shadow",),
    )

    @property
    def places(self) -> bool:
        """Whether the subject is placed anew at all."""
        return any(value is not None for value in (self.canvas, self.pad, self.scale_subject))


@dataclasses.dataclass(frozen=True)
class EdgeOptions:
    """What is done to the matte, in this order; see `Edges`."""

    drop_islands: float | None = option(
        None,
        "Drop pieces with less than this share of the largest one's area.",
        panel=_EDGES,
        metavar="[SHARE]",
        min=0,
        max=1,
        bare="0.05",
        show_default="0.05 without a number",
    )
    fill_holes: bool = option(
        False, "Make opaque what the subject encloses.", panel=_EDGES, flags=("--fill-holes",)
    )
    threshold: float | None = option(
        None,
        "Alpha of at least this becomes 1, the rest 0.",
        panel=_EDGES,
        metavar="ALPHA",
        min=0.001,
        max=1,
    )
    shrink: float = option(
        0.0, "Move the edge in by so many of the photo's pixels.", panel=_EDGES, min=0, max=500
    )
    grow: float = option(
        0.0,
        "Move the edge out by so many pixels, after --shrink; what is added takes on the subject's "
        "colors.",
        panel=_EDGES,
        min=0,
        max=500,
    )
    feather: float = option(
        0.0, "Let the edge fade over so many pixels to either side.", panel=_EDGES, min=0, max=500
    )


@dataclasses.dataclass(frozen=True)
class SourceOptions:
    """Which photos are read, and what beside them."""

    from_list: Path | None = option(
        None,
        "Also cut the photos and folders that a file names, one a line; - is stdin.",
        panel=_INPUTS,
        metavar="FILE",
    )
    null: bool = option(
        False,
        "Entries of --from-list end in NUL, as those of find -print0.",
        panel=_INPUTS,
        flags=("--null", "-0"),
    )
    allow_url: bool = option(
        False,
        "Fetch inputs that are public http(s) addresses.",
        panel=_INPUTS,
        flags=("--allow-url",),
    )
    box: list[str] = option(
        [],
        "The subject lies in this box, in pixels or percent; outside of it is background. Repeat "
        "for several.",
        panel=_HINTS,
        metavar="X,Y,W,H",
    )
    point: list[str] = option(
        [], "This place is subject. Repeat for several.", panel=_HINTS, metavar="X,Y"
    )
    not_point: list[str] = option(
        [], "This place is background. Repeat for several.", panel=_HINTS, metavar="X,Y"
    )
    keep: Path | None = option(
        None,
        "Strokes or masks of what is subject, by the photos' names: any color on black or on a "
        "transparent layer.",
        panel=_HINTS,
        metavar="FILE|DIR",
    )
    drop: Path | None = option(
        None, "The same for what is background.", panel=_HINTS, metavar="FILE|DIR"
    )
    hints: Path | None = option(
        None,
        "A list of hints, a line or object for each photo: photo, box, points, not_points, keep, "
        "drop, trimap, guide, subject.",
        panel=_HINTS,
        metavar="FILE.csv|json",
    )
    trimap: Path | None = option(
        None,
        "Trimaps by the photos' names: what is black or white in one is taken as known, the rest "
        "is solved. Photos without one are done as usual.",
        panel=_HINTS,
        metavar="FILE|DIR",
    )
    guide: Path | None = option(
        None,
        "Rough mattes by the photos' names, as of another tool, to be sharpened.",
        panel=_HINTS,
        metavar="FILE|DIR",
    )
    subject: SubjectChoice = option(
        "all",
        "Which of several separate subjects is meant: the one with the largest area, or nearest to "
        "the middle of the photo.",
        panel=_HINTS,
    )
    only_hinted: bool = option(
        False,
        "Leave out photos for which there are no strokes, trimap, rough matte or line of a list.",
        panel=_HINTS,
        flags=("--only-hinted",),
    )
    smooth: bool = option(
        True, "Average the mattes of a clip's frames as far as they show the same.", panel=_MATTE
    )
    max_megapixels: float = option(200, "Refuse larger photos to spare memory.", panel=_RUN, min=0)
    watch: bool = option(
        False,
        "Go on with photos as they appear in IN or change there, until Ctrl-C.",
        panel=_RUN,
        flags=("--watch",),
    )


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How a run goes about its work and what it reports."""

    batch_size: int | None = option(
        None,
        "Photos per pass through the network; halved where memory runs out.",
        panel=_NETWORK,
        min=1,
        show_default="1 on the CPU, else 8",
    )
    workers: int | None = option(
        None,
        "Threads that decode, and as many that encode.",
        panel=_RUN,
        min=1,
        show_default="one per core, 8 at most",
    )
    overwrite: bool = option(
        True,
        "Do photos again whose results are there, or leave them out: so goes on what was "
        "interrupted.",
        panel=_RUN,
        flags=("--overwrite/--skip-existing", " /--resume"),
    )
    dry_run: bool = option(
        False,
        "Say what would be read and written, and how large it is, and do nothing.",
        panel=_RUN,
        flags=("--dry-run",),
    )
    report: Path | None = option(
        None, "Append one line of JSON for each photo.", panel=_RUN, metavar="FILE"
    )
    review: Path | None = option(
        None,
        "Show the doubtful photos, worst first: a page of pictures, and a list to "
        "write hints into.",
        panel=_RUN,
        metavar="DIR",
    )
    preview: Path | None = option(
        None,
        "Write a contact sheet: photo, alpha, cutout of the first 60.",
        panel=_RUN,
        metavar="FILE",
    )
    price_per_hour: float | None = option(
        None,
        "Dollars that the machines cost an hour, to show what a run costs.",
        panel=_CLUSTER,
        min=0,
    )
    json_log: bool = option(
        False,
        "Say how each photo ended as a line of JSON on standard error, and nothing else.",
        panel=_RUN,
        flags=("--json-log",),
    )
    quiet: bool = option(
        False, "Print nothing but what went wrong.", panel=_RUN, flags=("--quiet", "-q")
    )

    def batch_size_on(self, device_type: str) -> int:
        """Give the batch size for ``cpu``, ``cuda`` or ``mps``."""
        return self.batch_size or (1 if device_type == "cpu" else 8)


@dataclasses.dataclass(frozen=True)
class ClusterOptions:
    """Which machines do the work, beside this one."""

    cluster: str | None = option(
        None,
        "Work on a Ray cluster: the one that this machine belongs to, the one at an address, or N "
        "workers on this machine.",
        panel=_CLUSTER,
        metavar="auto|ADDRESS|local:N",
    )
    actors: int | None = option(
        None,
        "Workers to ask for, also of a cluster that grows when it is asked.",
        panel=_CLUSTER,
        min=1,
        show_default="as many as there is room for",
    )
    cpus_per_actor: int = option(1, "Cores of each worker.", panel=_CLUSTER, min=1)
    gpus_per_actor: float | None = option(
        None,
        "GPUs of each worker, such as 0.5 for two that share one.",
        panel=_CLUSTER,
        min=0,
        show_default="1 if there are any and --device allows it",
    )
