"""From options to what is made of a photo."""

from __future__ import annotations

import dataclasses

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.pixels import MAX_PIXELS
from mattecli.core.inference.options import EdgeOptions, FrameOptions, OutputOptions
from mattecli.core.matting.backgrounds import Blur, load_background, parse_blur
from mattecli.core.matting.edges import Edges
from mattecli.core.matting.framing import Framing, parse_canvas, parse_share
from mattecli.core.matting.outputs import OutputSpec

# What a subject on a canvas may be left of its width, at the least.
_LEAST_SHARE = 0.01


def output_spec(
    output: OutputOptions,
    frame: FrameOptions,
    edges: EdgeOptions,
    *,
    moving: bool = False,
    max_canvas: int = MAX_PIXELS,
    max_pixels: int = MAX_PIXELS,
) -> OutputSpec:
    """Turn options into what `render` makes.

    Parameters
    ----------
    moving : bool
        Whether the background moves, and black stands for it until its frames are there.
    max_canvas, max_pixels : int
        Pixels of the largest canvas that is asked for by its size, and of one that follows from the
        photo's.

    Raises
    ------
    MatteError
        If one is not understood, or the background cannot be read.
    """
    text = output.background
    background: np.ndarray | Blur | None = None
    if moving:
        background = np.zeros(3, np.float32)
    elif text:
        background = parse_blur(text) or load_background(text)
    return OutputSpec(
        output.kinds,
        output.bits,
        background,
        output.margin if output.crop else None,
        Edges(**dataclasses.asdict(edges)),
        framing_of(frame, max_canvas, max_pixels),
        frame.shadow,
    )


def framing_of(
    frame: FrameOptions, max_canvas: int = MAX_PIXELS, max_pixels: int = MAX_PIXELS
) -> Framing | None:
    """Understand where the subject goes; None leaves it where it is.

    Raises
    ------
    MatteError
        If that is not understood, or contradicts itself.
    """
    if not frame.places:
        return None
    pad = None if frame.pad is None else parse_share(frame.pad, (1 - _LEAST_SHARE) / 2)
    share = None
    if frame.scale_subject is not None:
        share = parse_share(frame.scale_subject, 1)
        if share < _LEAST_SHARE:
            raise MatteError(f"--scale-subject {frame.scale_subject} leaves nothing of the subject")
    if share is not None and pad is not None and share > 1 - 2 * pad + 1e-9:
        raise MatteError(
            f"--scale-subject {frame.scale_subject} leaves less than --pad {frame.pad}"
        )
    canvas = None if frame.canvas is None else parse_canvas(frame.canvas, max_canvas)
    return Framing(canvas, pad, frame.align, share, max_pixels)
