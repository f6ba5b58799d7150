"""Laying a cutout onto a background: frames, placement and light."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from mattecli.core.dataset.compositing import composite
from mattecli.core.device import usable_cores
from mattecli.core.errors import MatteError, missing, reason_of
from mattecli.core.imaging.colors import is_color, linear_to_srgb, parse_color, srgb_to_linear
from mattecli.core.imaging.harmonising import contact_shadow, match_color
from mattecli.core.imaging.naming import distinct_stems, with_suffix
from mattecli.core.imaging.opening import name_of, read_standard_input
from mattecli.core.imaging.placing import fill_frame, fitted_size, overlap, resize
from mattecli.core.imaging.reading import (
    MAX_PIXELS,
    Picture,
    read_picture,
    to_8_bit,
    to_bits,
    to_srgb,
    to_unit,
)
from mattecli.core.imaging.walking import check_apart, require_images
from mattecli.core.imaging.writing import SIXTEEN_BIT, OutputUnusable, encode, write_result


@dataclass(frozen=True)
class Layout:
    """How cutout and background come together.

    Attributes
    ----------
    canvas : {"foreground", "background"}
        Whose frame the result has.
    fit : {"cover", "contain", "stretch"} or None
        How the other one is fitted into that frame; None covers the foreground's frame and stays
        inside the background's.
    scale : float
        Factor on the size of the cutout after fitting.
    position : tuple of float
        Share of the free room to the left of and above the cutout.
    linear : bool
        Mix amounts of light rather than sRGB values.
    match, shadow : bool
        Adapt the cutout's colours to what it is laid on; draw a shadow where it stands.
    """

    canvas: str = "foreground"
    fit: str | None = None
    scale: float = 1.0
    position: tuple[float, float] = (0.5, 0.5)
    linear: bool = False
    match: bool = False
    shadow: bool = False


def compose(cutout: Picture, background: np.ndarray, layout: Layout) -> np.ndarray:
    """Lay a cutout with straight colours onto a background.

    Parameters
    ----------
    cutout : Picture
        With alpha.
    background : ndarray
        A colour as float32 of shape (3,) in [0, 1], whose frame is that of the cutout, or a
        picture as uint8 or uint16 of shape (H, W, 3).

    Returns
    -------
    float32 ndarray of shape (height, width, 3), in [0, 1]

    Raises
    ------
    MatteError
        If the cutout would become too large.
    """
    size = cutout.alpha.shape
    is_color = background.ndim == 1
    frame = size if layout.canvas == "foreground" or is_color else background.shape[:2]
    fit = layout.fit or ("cover" if layout.canvas == "foreground" else "contain")
    canvas = np.empty((*frame, 3), np.float32)
    canvas[:] = background if is_color else to_unit(fill_frame(background, frame, fit))

    taken = fitted_size(size, frame, "stretch" if frame == size else fit, layout.scale)
    if math.prod(taken) > MAX_PIXELS:
        raise MatteError(
            f"a cutout of {taken[1]}x{taken[0]} pixels is more than {MAX_PIXELS / 1e6:g} "
            "megapixels: choose a smaller scale"
        )
    target, source = overlap(taken, frame, layout.position)
    color, alpha = to_unit(cutout.color), to_unit(cutout.alpha)
    if layout.match:
        color = match_color(color, alpha, canvas[target])
    if layout.linear:
        color = srgb_to_linear(color)
    color, alpha = _resize_cutout(color, alpha, taken)
    if layout.shadow:
        whole = np.zeros(frame, np.float32)
        whole[target] = alpha[source]
        canvas = composite(contact_shadow(whole), np.zeros(3, np.float32), canvas)
    behind = srgb_to_linear(canvas[target]) if layout.linear else canvas[target]
    mixed = composite(alpha[source], color[source], behind)
    canvas[target] = linear_to_srgb(mixed) if layout.linear else mixed
    return canvas


def check_transparent(cutout: Picture, name: object = "the cutout") -> None:
    """Raise `MatteError` if a picture has no alpha channel; it may be opaque everywhere."""
    if cutout.alpha is None:
        raise MatteError(f"{name} has no transparency: cut its subject out with 'matte predict'")


def _resize_cutout(
    color: np.ndarray, alpha: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Resize colour and alpha; transparent pixels lend none of their colour to their neighbours."""
    if alpha.shape == size:
        return color, alpha
    weighted = resize(color * alpha[..., None], *size)
    alpha = resize(alpha, *size)
    return np.clip(weighted / np.maximum(alpha, 1e-6)[..., None], 0, 1), alpha


@dataclass(frozen=True)
class CompositeJob:
    """One cutout on one background, and where the result goes; ``-`` is standard output."""

    cutout: Path | bytes
    background: str
    output: Path


def load_background(text: str) -> np.ndarray:
    """Turn a colour into float32 RGB of shape (3,), or the path of a picture into uint8 H×W×3."""
    path = Path(text)
    # What is neither is a misspelt file if it has a suffix, and a misspelt colour if not.
    if is_color(text) or not (path.suffix or path.exists()):
        return parse_color(text)
    if not path.exists():
        raise missing(path)
    picture = to_srgb(read_picture(path))
    if picture.alpha is None:
        return to_8_bit(picture.color)
    # As everywhere, what is transparent lies on white.
    layers = to_unit(picture.alpha), to_unit(picture.color), np.ones(3, np.float32)
    return to_bits(composite(*layers), 8)


def plan_composites(
    foreground: Path, background: str, out: Path, suffix: str, pattern: str | None
) -> list[CompositeJob]:
    """Pair every cutout with every background and name the results.

    Parameters
    ----------
    foreground : Path
        A cutout, a folder of them, or ``-`` for standard input.
    background : str
        A colour, a picture, or a folder of pictures.
    pattern : str or None
        Relative path of a result in the folder `out`, with ``{fg}`` and ``{bg}`` for the names of
        its parts; None where `out` is the one result itself.

    Raises
    ------
    MatteError
        If there is nothing to do, two results would share a name, or one would replace an input or
        become one of the next run.
    """
    if str(foreground) == "-":
        return [CompositeJob(read_standard_input(), background, out)]
    # Results of an earlier run that lie inside a folder of inputs are none.
    results = None if pattern is None else out
    cutouts = require_images(foreground, results)
    in_folder = not is_color(background) and Path(background).is_dir()
    backgrounds = (
        [str(path) for path in require_images(Path(background), results)]
        if in_folder
        else [background]
    )
    inputs = {path.resolve() for path in cutouts} | {Path(text).resolve() for text in backgrounds}
    if pattern is None:
        _check_harmless(out, inputs)
        return [CompositeJob(cutouts[0], backgrounds[0], out)]

    background_names = (
        distinct_stems([Path(text) for text in backgrounds], Path(background))
        if in_folder
        else [Path(background).stem]
    )
    jobs: dict[Path, CompositeJob] = {}
    # Background by background, so that each is decoded once.
    for text, background_name in zip(backgrounds, background_names, strict=True):
        for path, cutout_name in zip(cutouts, distinct_stems(cutouts, foreground), strict=True):
            try:
                stem = pattern.format(fg=cutout_name, bg=background_name)
            except (KeyError, IndexError, ValueError):
                raise MatteError(f"pattern '{pattern}' may hold {{fg}} and {{bg}} only") from None
            output = with_suffix(out / stem, suffix)
            if output in jobs:
                raise MatteError(f"pattern '{pattern}' names several results {output}")
            _check_harmless(output, inputs)
            jobs[output] = CompositeJob(path, text, output)
    for folder in (foreground, Path(background)) if in_folder else (foreground,):
        check_apart(jobs, folder, out)
    return list(jobs.values())


def compose_all(
    jobs: list[CompositeJob],
    layout: Layout,
    suffix: str,
    quality: int | None,
    warn: Callable[[str], None] = lambda text: None,
) -> Iterator[str | None]:
    """Make every composite, several at once; gives None or what went wrong, job by job.

    `warn` gets what has to be said of a composite that was made; it is called by worker threads.

    Raises
    ------
    OutputUnusable
        As soon as nothing more can be written.
    """
    # Threads share the decoded background, and the next one while both are in use.
    background_of = lru_cache(maxsize=2)(load_background)

    def work(job: CompositeJob) -> str | None:
        try:
            notes = _write_composite(job, background_of(job.background), layout, suffix, quality)
            for note in notes:
                warn(f"{name_of(job.cutout)}: {note}")
        except OutputUnusable:
            raise
        # Anything at all that goes wrong with one composite must not stop the others.
        except Exception as error:
            return reason_of(error, "-" if isinstance(job.cutout, bytes) else job.cutout)
        return None

    with ThreadPoolExecutor(min(usable_cores(), 8)) as executor:
        try:
            yield from executor.map(work, jobs)
        finally:
            executor.shutdown(cancel_futures=True)


def _write_composite(
    job: CompositeJob, background: np.ndarray, layout: Layout, suffix: str, quality: int | None
) -> tuple[str, ...]:
    cutout = to_srgb(read_picture(job.cutout))
    check_transparent(cutout, name_of(job.cutout))
    bits = 16 if cutout.color.dtype == np.uint16 and suffix in SIXTEEN_BIT else 8
    result = to_bits(compose(cutout, background, layout), bits)
    # A result in the cutout's frame is as large on paper as the cutout.
    dpi = cutout.dpi if layout.canvas == "foreground" else None
    write_result(job.output, encode(result, suffix, quality=quality, dpi=dpi))
    return cutout.notes


def _check_harmless(output: Path, inputs: set[Path]) -> None:
    if output.resolve() in inputs:
        raise MatteError(f"{output} would overwrite an input: choose another place for output")
