"""Hints of photos as texts and files, and what they are once a photo is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.mask_reading import read_mask
from mattecli.core.imaging.pixels import MAX_PIXELS, to_unit
from mattecli.core.imaging.strokes import read_strokes
from mattecli.core.imaging.trimaps import read_trimap
from mattecli.core.inference.hint_values import fit_guide, hints_of
from mattecli.core.inference.jobs import Source
from mattecli.core.inference.source_options import SubjectChoice
from mattecli.core.matting.full_size import fit_to_photo
from mattecli.core.matting.hints import Hints

#: Hints that are pictures, and what one is called.
PICTURES = {"trimap": "trimap", "keep": "mask", "drop": "mask", "guide": "rough matte"}


@dataclass(frozen=True)
class PhotoHints:
    """What is said of one photo: places as texts, pictures as files; see `hints_of`.

    A subject of None is "all" that nobody said.
    """

    box: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    not_points: tuple[str, ...] = ()
    keep: Path | None = None
    drop: Path | None = None
    trimap: Path | None = None
    guide: Path | None = None
    subject: SubjectChoice | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is said."""
        return self == PhotoHints()

    def over(self, other: PhotoHints) -> PhotoHints:
        """Give these hints, and of those that are not given here the other ones."""
        said = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }
        both = replace(other, **said)
        # All is what holds anyway, so that nothing else may be left to say.
        return replace(both, subject=None) if both.subject == "all" else both

    def read(self, shape: tuple[int, int], max_pixels: int = MAX_PIXELS) -> Hints:
        """Understand the hints for a photo of (height, width).

        Raises
        ------
        MatteError
            If a place lies outside of the photo, or a picture cannot be read or has other
            proportions.
        """
        hints = hints_of(
            shape,
            box=list(self.box),
            points=list(self.points),
            not_points=list(self.not_points),
            subject=self.subject or "all",
        )
        readers: dict[str, Callable[[Path], np.ndarray]] = {
            "keep": lambda path: _strokes(path, shape, max_pixels),
            "drop": lambda path: _strokes(path, shape, max_pixels),
            "trimap": lambda path: fit_to_photo(read_trimap(path, max_pixels), shape, str(path)),
            "guide": lambda path: _guide(path, shape),
        }
        found: dict[str, Any] = {
            key: reader(getattr(self, key))
            for key, reader in readers.items()
            if getattr(self, key) is not None
        }
        return replace(hints, **found)


@dataclass
class RunHints:
    """Hints of a run: of photos that have their own, and of all others."""

    of_all: PhotoHints = field(default_factory=PhotoHints)
    of_photo: dict[Source, PhotoHints] = field(default_factory=dict)

    def of(self, source: Source) -> PhotoHints:
        """Give what is said of a photo."""
        return self.of_photo.get(source, self.of_all)

    def are_own(self, source: Source) -> bool:
        """Tell whether something is said of a photo that is not said of all."""
        return source in self.of_photo

    def files(self) -> Iterator[Path]:
        """Give every file that hints are read from."""
        for hints in self.of_photo.values():
            yield from (path for key in PICTURES if (path := getattr(hints, key)) is not None)


def _strokes(path: Path, shape: tuple[int, int], max_pixels: int) -> np.ndarray:
    strokes = read_strokes(path, max_pixels).view(np.uint8)
    return fit_to_photo(strokes, shape, str(path), "a mask").view(bool)


def _guide(path: Path, shape: tuple[int, int]) -> np.ndarray:
    try:
        mask = read_mask(path, lenient=True)
    except MatteError as error:
        named = str(path) in str(error)
        raise MatteError(str(error) if named else f"{path} {error}") from None
    return fit_guide(to_unit(mask.alpha), shape, str(path))
