"""Hints as people write them: places in pixels or percent, pictures of strokes, rough mattes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, get_args

import cv2
import numpy as np

from mattecli.core.errors import MatteError, suggest
from mattecli.core.imaging.accepting import ImageLike, as_mask, as_picture
from mattecli.core.imaging.pixels import to_unit
from mattecli.core.imaging.strokes import strokes_of
from mattecli.core.imaging.trimaps import trimap_of
from mattecli.core.inference.source_options import SubjectChoice
from mattecli.core.matting.blocks import Block
from mattecli.core.matting.full_size import fit_to_photo
from mattecli.core.matting.hints import Hints

if TYPE_CHECKING:
    from typing_extensions import Unpack

#: Numbers in pixels from the upper left corner, texts such as ``"12.5%"``, or one text with commas.
Place: TypeAlias = "str | Sequence[float | str]"

# A box may reach beyond the photo by so many pixels: rounding.
_SLACK = 1.0


class HintKeywords(TypedDict, total=False):
    """Hints as keywords; see `hints_of`."""

    box: Place | Sequence[Place] | None
    points: Place | Sequence[Place]
    not_points: Place | Sequence[Place]
    keep: ImageLike | None
    drop: ImageLike | None
    trimap: ImageLike | None
    guide: ImageLike | None
    subject: SubjectChoice


def hints_of(shape: tuple[int, int], **given: Unpack[HintKeywords]) -> Hints:
    """Understand hints for a photo.

    Parameters
    ----------
    shape : (height, width)
        Of the photo.
    box : place or sequence of places, optional
        ``(x, y, width, height)``: what lies outside of all boxes is background.
    points, not_points : place or sequence of places
        ``(x, y)`` on the subject, and on what is not subject.
    keep, drop : path, bytes, PIL.Image.Image, numpy.ndarray or torch.Tensor, optional
        Strokes or masks of what is subject, and of what is not: any color on black or on a
        transparent layer, or bool arrays; in the proportions of the photo.
    trimap : as `keep`, optional
        See `trimap_of`.
    guide : as `keep`, optional
        A rough matte of another tool, to be sharpened.
    subject : {"all", "largest", "center"}
        Which of several separate subjects is meant.

    Raises
    ------
    MatteError
        If a place lies outside of the photo, or is a point and a not-point at once, a picture has
        other proportions, or something cannot be understood.
    """
    for name in given.keys() - HintKeywords.__annotations__.keys():
        raise TypeError(f"unexpected keyword argument '{name}'")
    subject = given.get("subject") or "all"
    check_subject(subject)
    points, not_points = (
        tuple(place_of(place, shape, name) for place in _listed(given.get(key)))
        for key, name in (("points", "point"), ("not_points", "not-point"))
    )
    pixels = {(int(x), int(y)) for x, y in points}
    for x, y in not_points:
        if (int(x), int(y)) in pixels:
            raise MatteError(f"there are a point and a not-point at {x:g},{y:g}: keep one of them")
    boxes = tuple(box_of(box, shape) for box in _listed(given.get("box")))
    return Hints(shape, boxes, points, not_points, subject=subject, **_pictures(shape, given))


def _pictures(shape: tuple[int, int], given: HintKeywords) -> dict[str, np.ndarray]:
    """Read the hints that are pictures, at the photo's size."""
    found = {}
    for key in ("keep", "drop"):
        if (picture := given.get(key)) is not None:
            if isinstance(picture, np.ndarray) and picture.dtype == bool and picture.ndim == 2:
                strokes = picture
            else:
                strokes = strokes_of(as_picture(picture), f"'{key}'")
            strokes = fit_to_photo(strokes.view(np.uint8), shape, f"'{key}'", "a mask")
            found[key] = strokes.view(bool)
    if (trimap := given.get("trimap")) is not None:
        found["trimap"] = fit_to_photo(
            trimap_of(as_picture(trimap, as_numbers=True)), shape, "the trimap"
        )
    if (guide := given.get("guide")) is not None:
        found["guide"] = fit_guide(to_unit(as_mask(guide)), shape, "the guide")
    return found


def fit_guide(guide: np.ndarray, shape: tuple[int, int], name: str) -> np.ndarray:
    """Give a rough matte, float32 in [0, 1], the photo's size; see `fit_to_photo`."""
    return fit_to_photo(guide, shape, name, "a rough matte", cv2.INTER_LINEAR)


def box_of(box: Place, shape: tuple[int, int]) -> Block:
    """Understand ``x, y, width, height`` as rows and columns of a photo.

    Raises
    ------
    MatteError
        If these are no four lengths, or the box is empty or reaches beyond the photo.
    """
    height, width = shape
    text = _text(box)
    x, y, wide, high = lengths_of(box, (width, height, width, height), "box", "x,y,width,height")
    if wide < 1 or high < 1:
        raise MatteError(f"the box {text} is less than a pixel wide or high")
    if min(x, y) < -_SLACK or x + wide > width + _SLACK or y + high > height + _SLACK:
        raise MatteError(f"the box {text} reaches beyond its photo of {width}x{height} pixels")
    edges = ((y, y + high, height), (x, x + wide, width))
    rows, columns = (
        slice(max(0, math.floor(low + 0.5)), min(length, math.floor(end + 0.5)))
        for low, end, length in edges
    )
    return rows, columns


def place_of(place: Place, shape: tuple[int, int], name: str = "point") -> tuple[float, float]:
    """Understand ``x, y`` as a place in a photo.

    Raises
    ------
    MatteError
        If these are no two lengths, or the place lies outside of the photo.
    """
    height, width = shape
    x, y = lengths_of(place, (width, height), name, "x,y")
    if not (0 <= x <= width and 0 <= y <= height):
        raise MatteError(
            f"the {name} {_text(place)} lies outside of its photo of {width}x{height} pixels"
        )
    return min(x, width - 1), min(y, height - 1)


def lengths_of(values: Place, wholes: tuple[int, ...], name: str, form: str) -> tuple[float, ...]:
    """Understand lengths in pixels or percent.

    Parameters
    ----------
    values : str or sequence
        Numbers, or texts that are numbers with or without ``%``.
    wholes : tuple of int
        What is 100 % of each.
    name, form : str
        What errors call it, and how it is written.

    Raises
    ------
    MatteError
        If the number of lengths is another, or one of them is no length.
    """
    parts = values.split(",") if isinstance(values, str) else values
    if not isinstance(parts, Sequence) or len(parts) != len(wholes):
        raise MatteError(f"the {name} '{_text(values)}' is not {form}, in pixels or percent")
    found = []
    for part, whole in zip(parts, wholes, strict=True):
        text = str(part).strip()
        percent = text.endswith("%")
        try:
            value = float(text.removesuffix("%"))
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise MatteError(f"the {name} '{_text(values)}' is not {form}, in pixels or percent")
        if percent and not 0 <= value <= 100:
            raise MatteError(f"the {name} '{_text(values)}' has {text}: percent are 0 to 100")
        found.append(value * whole / 100 if percent else value)
    return tuple(found)


def check_places(
    box: Sequence[Place] = (), points: Sequence[Place] = (), not_points: Sequence[Place] = ()
) -> None:
    """Raise `MatteError` if places are none, whatever the size of their photo."""
    for places, count, name, form in (
        (box, 4, "box", "x,y,width,height"),
        (points, 2, "point", "x,y"),
        (not_points, 2, "not-point", "x,y"),
    ):
        for place in places:
            lengths_of(place, (100,) * count, name, form)


def check_subject(subject: object) -> None:
    """Raise `MatteError` if this is no choice of a subject."""
    if subject not in get_args(SubjectChoice):
        raise MatteError(
            f"no subject '{subject}': {suggest(str(subject), get_args(SubjectChoice))}"
        )


def places_of(value: object) -> tuple[str, ...]:
    """Understand one or several places as texts.

    Raises
    ------
    MatteError
        If it is neither a text nor a list.
    """
    if not isinstance(value, (str, list)):
        raise MatteError(f"'{value}' is no place: use a text or a list")
    try:
        return tuple(_text(place) for place in _listed(value))
    except TypeError:
        raise MatteError(f"'{value}' is no list of places") from None


def _listed(places: Any) -> list[Place]:
    """Give a list of places, of which there may be one that is not in a list."""
    if places is None:
        return []
    if isinstance(places, str):
        return [part for part in places.replace("\n", ";").split(";") if part.strip()]
    if not isinstance(places, Iterable):
        raise MatteError(f"'{places}' is no place: use numbers, or a text such as '120,80'")
    # Arrays and tensors, whole or in a list, are lists of numbers.
    places = [place.tolist() if hasattr(place, "tolist") else place for place in places]
    if places and all(_is_length(part) for part in places):
        return [places]
    return places


def _is_length(part: Any) -> bool:
    if isinstance(part, str):
        return "," not in part
    return isinstance(part, (int, float, np.number))


def _text(place: Any) -> str:
    if not isinstance(place, Iterable) or isinstance(place, str):
        return str(place)
    return ",".join(f"{part:g}" if isinstance(part, float) else str(part) for part in place)
