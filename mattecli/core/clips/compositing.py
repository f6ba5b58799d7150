"""Composites that move: a clip of cutouts on any background, or a cutout on a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mattecli.core.device import usable_cores
from mattecli.core.errors import MatteError
from mattecli.core.imaging.animations import FORMATS, AnimationWriter, written_as
from mattecli.core.imaging.clips.codecs import CONTAINERS, Encoding
from mattecli.core.imaging.clips.colors import STANDARD, Colors
from mattecli.core.imaging.clips.reading import Frame, is_clip
from mattecli.core.imaging.clips.writing import ClipWriter
from mattecli.core.imaging.frame_folders import files_of, is_numbered
from mattecli.core.imaging.moving import MovingPicture, open_frames
from mattecli.core.imaging.pixels import Picture, to_bits
from mattecli.core.imaging.reading import read_picture, to_srgb
from mattecli.core.inference.inputs import check_is_no_original, check_not_read
from mattecli.core.inference.ordered import in_order
from mattecli.core.matting.backdrops import Backdrop, moves
from mattecli.core.matting.backgrounds import load_background
from mattecli.core.matting.flattening import flatten
from mattecli.core.matting.layout import Layout, check_transparent, compose
from mattecli.core.storage import whole_file


@dataclass(frozen=True)
class ClipComposite:
    """A composite that moves.

    Attributes
    ----------
    foreground : Path
        A cutout, or a clip of cutouts.
    background : str
        A color, a picture, or what moves.
    output : Path
        A clip or an animation; see `moving_suffix`.
    loops : bool
        Whether a background that ends before the foreground begins anew.
    """

    foreground: Path
    background: str
    output: Path
    layout: Layout
    quality: int | None = None
    loops: bool = True


class Ended(NamedTuple):
    """What was wrong with the inputs of a composite, and what did not stay as it was."""

    problems: list[str]
    notes: list[str]


def moving_suffix(foreground: str, background: str, out: str | None) -> str | None:
    """Give what a composite is written as if it moves, a key of `CONTAINERS` or `FORMATS`.

    None stands for a picture. Animations stand for their first frame, unless OUT can hold them.

    Raises
    ------
    MatteError
        If OUT cannot hold a clip, or a folder of backgrounds would give several.
    """
    suffix = Path(out).suffix.lower() if out else ".mp4"
    form = suffix if suffix in CONTAINERS else written_as(out or "")
    if any(is_clip(place) or is_numbered(place) for place in (foreground, background)):
        if form is None:
            known = ", ".join([*CONTAINERS, ".gif", ".apng", ".webp"])
            raise MatteError(f"a composite that moves becomes a {known} file, not {out}")
    elif not (out and form and any(map(moves, (foreground, background)))):
        return None
    if Path(background).is_dir():
        raise MatteError(f"a composite that moves has one background, not the folder {background}")
    return form


def compose_clip(
    job: ClipComposite,
    begin: Callable[[int | None], object] = lambda count: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Ended | None]:
    """Make a composite that moves; gives None for each frame, and at last what has to be said.

    Rate, times and sound are those of the foreground, or of the background where only that moves.
    Results are there once all is well.

    Parameters
    ----------
    begin : callable
        Told how many frames there are, as far as that is known.
    stopped : callable
        Asked before each frame.

    Raises
    ------
    MatteError
        If something cannot be read or written, the foreground has no transparency, or a file that
        is no result would be replaced.
    KeyboardInterrupt
        If it was asked to stop.
    """
    inputs = [job.foreground, Path(job.background)]
    check_not_read(
        [job.output],
        [file for path in inputs for file in (files_of(path) if is_numbered(path) else [path])],
    )
    check_is_no_original(job.output)
    suffix = moving_suffix(str(job.foreground), job.background, str(job.output))
    assert suffix is not None
    leads = moves(str(job.foreground))
    with (
        open_frames(job.foreground if leads else Path(job.background)) as clip,
        closing(_Sides(job, clip) if leads else _StillCutout(job, clip)) as sides,
        whole_file(job.output) as temporary,
        ThreadPoolExecutor(min(usable_cores(), 8)) as pool,
    ):
        begin(clip.frame_count)
        framed = _Framed(clip, sides.size(), clip.colors if leads else STANDARD)
        with _writer(temporary, suffix, framed, job.quality) as writer:

            def make(frame: Frame, cutout: Picture, behind: np.ndarray) -> Any:
                mixed = compose(cutout, behind, job.layout)
                return writer.convert(to_bits(mixed, writer.bits), frame)

            pairs = ((frame, *sides.of(frame)) for frame in clip.frames(writer.write_audio))
            for made in in_order(pool, make, pairs, min(usable_cores(), 8)):
                if stopped():
                    raise KeyboardInterrupt
                writer.write(made)
                yield None
    yield Ended([*clip.problems, *sides.problems], clip.notes)


class _Sides:
    """Cutout and background of each frame of a clip of cutouts."""

    def __init__(self, job: ClipComposite, clip: MovingPicture) -> None:
        self._clip, self._layout = clip, job.layout
        self._backdrop: Backdrop | None = None
        self._still = np.zeros(0)
        if moves(job.background):
            self._backdrop = Backdrop(Path(job.background), loops=job.loops)
        else:
            self._still = load_background(job.background)

    @property
    def problems(self) -> list[str]:
        """What was wrong with the background."""
        return self._backdrop.problems if self._backdrop else []

    def size(self) -> tuple[int, int]:
        """Give (height, width) of the result."""
        behind = self._behind(Fraction(0))
        if self._layout.canvas == "foreground" or behind.ndim == 1:
            return self._clip.height, self._clip.width
        return behind.shape[0], behind.shape[1]

    def of(self, frame: Frame) -> tuple[Picture, np.ndarray]:
        """Give both for a frame; frames come in their order."""
        cutout = Picture(frame.color, frame.alpha)
        check_transparent(cutout, self._clip.path)
        return cutout, self._behind(frame.time * self._clip.time_base)

    def close(self) -> None:
        """Close the background."""
        if self._backdrop:
            self._backdrop.close()

    def _behind(self, time: Fraction) -> np.ndarray:
        return self._backdrop.at(time) if self._backdrop else self._still


class _StillCutout:
    """One cutout on each frame of a clip."""

    def __init__(self, job: ClipComposite, clip: MovingPicture) -> None:
        self.problems: list[str] = []
        self._clip, self._layout = clip, job.layout
        self._cutout = to_srgb(read_picture(job.foreground))
        check_transparent(self._cutout, job.foreground)

    def size(self) -> tuple[int, int]:
        """Give (height, width) of the result."""
        if self._layout.canvas == "foreground":
            return self._cutout.color.shape[0], self._cutout.color.shape[1]
        return self._clip.height, self._clip.width

    def of(self, frame: Frame) -> tuple[Picture, np.ndarray]:
        """Give both for a frame."""
        white = np.ones(3, np.float32)
        return self._cutout, flatten(Picture(frame.color, frame.alpha), white)

    def close(self) -> None:
        """There is nothing to close."""


class _Framed:
    """A clip whose result has another frame; what is not said here is the clip's."""

    def __init__(self, clip: MovingPicture, size: tuple[int, int], colors: Colors) -> None:
        self._clip = clip
        self.height, self.width = size
        self.colors = colors

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clip, name)


def _writer(
    path: Path, suffix: str, like: Any, quality: int | None
) -> ClipWriter | AnimationWriter:
    if suffix in FORMATS:
        return AnimationWriter(path, suffix, like, quality)
    return ClipWriter(path, suffix, like, transparent=False, encoding=Encoding(quality=quality))
