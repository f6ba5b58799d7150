"""The options of prediction, declared once for the command line, ``matte.toml`` and Python.

Importing this module is cheap, as `matte --help` does it.
"""

from __future__ import annotations

import dataclasses
from enum import Enum
from numbers import Integral
from pathlib import Path
from typing import Literal, get_args

from mattecli.core.errors import MatteError
from mattecli.core.inference.declaring import (
    CANVAS_PANEL,
    EDGES_PANEL,
    MATTE_PANEL,
    NETWORK_PANEL,
    RESULTS_PANEL,
    option,
)

FlatFormat = Literal["png", "webp", "tiff", "jpg", "avif", "exr"]
Format = Literal[FlatFormat, "ora", "psd"]
Refine = Literal["none", "fast", "best"]
Align = Literal["center", "bottom"]
Precision = Literal["auto", "fp32", "fp16", "bf16", "int8"]


class Kind(str, Enum):
    """What can be saved of a photo; Typer takes lists of no other kind of choices."""

    cutout = "cutout"
    alpha = "alpha"
    foreground = "foreground"
    composite = "composite"
    background = "background"
    trimap = "trimap"


# Long sides in pixels at which a network may see a photo.
_SIZES = 32, 8192


@dataclasses.dataclass(frozen=True)
class PredictOptions:
    """How the matte of a photo is found."""

    refine: Refine = option(
        "fast",
        "How the matte is brought to the photo's full size: enlarged only, guided by the photo, or "
        "that after one more, larger pass over what is uncertain (half a second more).",
        panel=MATTE_PANEL,
    )
    size: int | None = option(
        None,
        "Long side in pixels at which the network sees a photo.",
        panel=NETWORK_PANEL,
        min=_SIZES[0],
        max=_SIZES[1],
        show_default="what the weights were trained for",
    )
    two_pass: bool = option(
        True,
        "Run the network more than once: on the whole photo again, told what it saw, and in large "
        "photos on a larger crop of what is uncertain.",
        panel=NETWORK_PANEL,
        flags=("--two-pass/--single-pass",),
        aliases=("--look-twice/--look-once",),
    )
    weights: Path | None = option(
        None,
        "Weights to use: a file, any network as .onnx, or a name of `matte weights`.",
        panel=NETWORK_PANEL,
        metavar="NAME|FILE",
        show_default="the bundled ones",
    )
    device: str = option(
        "auto",
        "auto, cpu, cuda[:N], mps, or of onnxruntime openvino, directml, rocm, coreml, tensorrt.",
        panel=NETWORK_PANEL,
    )
    precision: Precision = option(
        "auto",
        "auto is fp16 on CUDA, int8 on the CPU where weights have it, else fp32.",
        panel=NETWORK_PANEL,
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
        is_size = isinstance(self.size, Integral) and _SIZES[0] <= self.size <= _SIZES[1]
        if self.size is not None and not is_size:
            raise MatteError(
                f"the size {self.size!r} is not from {_SIZES[0]} to {_SIZES[1]} pixels"
            )


@dataclasses.dataclass(frozen=True)
class OutputOptions:
    """What is made of a photo or clip, and how it is stored."""

    save: list[Kind] = option(
        [],
        "What to save: a cutout with straight colors, the alpha matte, the foreground colors, a "
        "composite over --background, the background without the subject, or a trimap. Repeat for "
        "several; each then gets a folder OUT/<kind>.",
        panel=RESULTS_PANEL,
        show_default="cutout, or composite with --background",
    )
    named: list[str] = option(
        [],
        "Make what the table [outputs.NAME] of matte.toml says, in OUT/NAME. Repeat for several.",
        panel=RESULTS_PANEL,
        metavar="NAME",
        flags=("--output",),
        show_default=False,
    )
    name: str | None = option(
        None,
        "Pattern for the names of results in a folder, with {stem}, {kind} and {suffix}, such as "
        "{stem}-cut{suffix}.",
        panel=RESULTS_PANEL,
        metavar="PATTERN",
        show_default="{stem}{suffix}",
    )
    image_format: Format | None = option(
        None,
        "Format of the results.",
        panel=RESULTS_PANEL,
        flags=("--format",),
        show_default="as OUT, or png",
    )
    bits: int = option(8, "Bits per channel: 8 or 16.", panel=RESULTS_PANEL, min=8, max=16)
    compression: int = option(
        3, "PNG compression: 0 is quick, 9 is small.", panel=RESULTS_PANEL, min=0, max=9
    )
    quality: int | None = option(
        None,
        "Quality of JPEG, AVIF, WebP and clips.",
        panel=RESULTS_PANEL,
        min=1,
        max=100,
        show_default="95 for JPEG, 90 for AVIF, lossless for WebP, 65 for clips",
    )
    background: str | None = option(
        None,
        "Lay the subject onto a color, a picture, or its own background, blurred.",
        panel=RESULTS_PANEL,
        metavar="COLOR|IMAGE|blur[:PX]",
    )
    crop: bool = option(
        False, "Crop results to the subject.", panel=RESULTS_PANEL, flags=("--crop",)
    )
    margin: float = option(
        0.03,
        "Room that --crop leaves, as a share of the subject's size.",
        panel=RESULTS_PANEL,
        min=0,
    )
    keep_metadata: bool = option(
        False,
        "Keep EXIF and the color profile instead of converting to sRGB.",
        panel=RESULTS_PANEL,
        flags=("--keep-metadata",),
    )
    matte_color: str = option(
        "white",
        "What lies behind photos that are transparent already.",
        panel=RESULTS_PANEL,
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
        panel=CANVAS_PANEL,
        metavar="WxH|W:H",
    )
    pad: str | None = option(
        None,
        "Room on each side, as a share of the canvas.",
        panel=CANVAS_PANEL,
        metavar="SHARE",
        show_default="8%, or what --scale-subject leaves",
    )
    align: Align = option("center", "Where the subject stands on the canvas.", panel=CANVAS_PANEL)
    scale_subject: str | None = option(
        None,
        "Share of the canvas's width or height, whichever fills up first, that the subject takes.",
        panel=CANVAS_PANEL,
        metavar="SHARE",
        show_default="all that --pad leaves",
    )
    shadow: bool = option(
        False,
        "Draw a soft shadow where the subject stands, in composites and cutouts.",
        panel=CANVAS_PANEL,
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
        panel=EDGES_PANEL,
        metavar="[SHARE]",
        min=0,
        max=1,
        bare="0.05",
        show_default="0.05 without a number",
    )
    fill_holes: bool = option(
        False, "Make opaque what the subject encloses.", panel=EDGES_PANEL, flags=("--fill-holes",)
    )
    threshold: float | None = option(
        None,
        "Alpha of at least this becomes 1, the rest 0.",
        panel=EDGES_PANEL,
        metavar="ALPHA",
        min=0.001,
        max=1,
    )
    shrink: float = option(
        0.0, "Move the edge in by so many of the photo's pixels.", panel=EDGES_PANEL, min=0, max=500
    )
    grow: float = option(
        0.0,
        "Move the edge out by so many pixels, after --shrink; what is added takes on the subject's "
        "colors.",
        panel=EDGES_PANEL,
        min=0,
        max=500,
    )
    feather: float = option(
        0.0,
        "Let the edge fade over so many pixels to either side.",
        panel=EDGES_PANEL,
        min=0,
        max=500,
    )
