"""Options of one request: those of ``matte predict`` that make sense for a photo, as text."""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import Any, Literal, get_args, get_origin

import numpy as np

from mattecli.core.errors import MatteError, suggest
from mattecli.core.imaging.colors import parse_color
from mattecli.core.imaging.layered import check_library
from mattecli.core.imaging.writing import LAYERED, check_format
from mattecli.core.inference.options import (
    EdgeOptions,
    FrameOptions,
    Kind,
    OutputOptions,
    PredictOptions,
)
from mattecli.core.inference.run import Settings, settings_of
from mattecli.core.inference.specifying import output_spec
from mattecli.core.matting.backgrounds import parse_blur

_TAKEN: dict[type, tuple[str, ...]] = {
    PredictOptions: ("refine",),
    OutputOptions: (
        "image_format",
        "bits",
        "compression",
        "quality",
        "background",
        "crop",
        "margin",
        "keep_metadata",
        "matte_color",
    ),
    FrameOptions: tuple(field.name for field in dataclasses.fields(FrameOptions)),
    EdgeOptions: tuple(field.name for field in dataclasses.fields(EdgeOptions)),
}
#: Pixels of a background or a canvas, which a request may have beside a photo of any size.
MOST_ADDED_PIXELS = 25_000_000
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclasses.dataclass(frozen=True)
class PhotoOption:
    """An option that a request may have.

    Attributes
    ----------
    name : str
        As requests spell it.
    field : str
        As the dataclass `group` does.
    kind : type
        bool, int, float or str.
    choices : tuple of str
        What it may be, if that is limited.
    least, most : float or None
        Limits of a number.
    """

    name: str
    group: type
    field: str
    kind: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None

    def parse(self, text: str) -> Any:
        """Turn the text of a request into a value.

        Raises
        ------
        MatteError
            If it is none.
        """
        if self.choices:
            if text not in self.choices:
                raise MatteError(f"no {self.name} '{text}': {suggest(text, self.choices)}")
            return text
        if self.kind is bool:
            if text.lower() not in _TRUE + _FALSE:
                raise MatteError(f"{self.name} is true or false, not '{text}'")
            return text.lower() in _TRUE
        return text if self.kind is str else self._number(text)

    def _number(self, text: str) -> float:
        try:
            value = self.kind(text)
        except ValueError:
            value = math.nan
        low = -math.inf if self.least is None else self.least
        high = math.inf if self.most is None else self.most
        # Not `math.isfinite`, for which whole numbers may be too long.
        if not (low <= value <= high and abs(value) < math.inf):
            between = f"from {low:g} to {high:g}" if math.isfinite(high) else f"from {low:g} on"
            kind = "a whole number" if self.kind is int else "a number"
            raise MatteError(f"{self.name} is {kind} {between}, not '{text}'")
        return value


def _declared() -> dict[str, PhotoOption]:
    options = {}
    for group, names in _TAKEN.items():
        hints = typing.get_type_hints(group)
        for field in dataclasses.fields(group):
            if field.name not in names:
                continue
            kinds = [kind for kind in get_args(hints[field.name]) if kind is not type(None)]
            kind = kinds[0] if kinds and get_origin(hints[field.name]) is not Literal else None
            kind = kind or hints[field.name]
            choices = get_args(kind) if get_origin(kind) is Literal else ()
            flags = field.metadata["flags"]
            name = flags[0].removeprefix("--") if flags else field.name
            name = name.replace("-", "_")
            options[name] = PhotoOption(
                name,
                group,
                field.name,
                str if choices else kind,
                field.default,
                field.metadata["help"],
                choices,
                field.metadata.get("min"),
                field.metadata.get("max"),
            )
    return options


#: The options by their names in requests.
PHOTO_OPTIONS = _declared()
#: Hints that are texts, and those that are files of a form; see `hints_of`.
HINT_OPTIONS = {
    "box": "x,y,width,height in pixels or percent, several with ; between: outside is background.",
    "points": "x,y on the subject, several with ; between.",
    "not_points": "x,y on what is not subject, several with ; between.",
    "subject": "Which of several subjects is meant: all, largest or center.",
}
HINT_FILES = ("keep", "drop", "trimap", "guide")


def settings_for(
    kind: Kind, given: dict[str, str], max_pixels: int, background: np.ndarray | None = None
) -> Settings:
    """Understand what is wanted of a photo.

    Parameters
    ----------
    kind : Kind
        What to make of it; a cutout that has a background becomes a composite.
    given : dict of str
        Options by name.
    background : ndarray, optional
        See `OutputSpec`; a picture that came with the request.

    Raises
    ------
    MatteError
        If there is no such option, a value is none, or they contradict one another.
    """
    values: dict[type, dict[str, Any]] = {group: {} for group in _TAKEN}
    for name, text in given.items():
        if name not in PHOTO_OPTIONS:
            raise MatteError(f"no option '{name}': {suggest(name, PHOTO_OPTIONS)}")
        option = PHOTO_OPTIONS[name]
        values[option.group][option.field] = option.parse(text)
    color = values[OutputOptions].pop("background", None)
    if color is not None and background is not None:
        raise MatteError("a background is a color or a picture, not both")
    # Never a file of this machine, which the command line would take as well.
    behind = background if color is None else parse_blur(color) or parse_color(color)
    if kind is Kind.cutout and behind is not None:
        kind = Kind.composite
    elif behind is not None:
        raise MatteError(f"an {kind.value} has no background")
    output = OutputOptions(save=[kind], **values[OutputOptions])
    if output.bits not in (8, 16):
        raise MatteError("bits is 8 or 16")
    suffix = f".{output.image_format or 'png'}"
    check_format(suffix, output.bits, transparent=kind is Kind.cutout, layered=True)
    check_library(suffix)
    if suffix in LAYERED and kind not in (Kind.cutout, Kind.composite):
        raise MatteError(f"'{suffix}' files hold cutouts and composites, with their layers")
    refine = PredictOptions(**values[PredictOptions]).refine
    frame = FrameOptions(**values[FrameOptions])
    if frame.places and output.crop:
        raise MatteError("crop and canvas, pad or scale_subject contradict one another")
    edges = EdgeOptions(**values[EdgeOptions])
    largest = min(max_pixels, MOST_ADDED_PIXELS)
    spec = output_spec(output, frame, edges, max_canvas=largest, max_pixels=max_pixels)
    spec = dataclasses.replace(spec, background=behind)
    return settings_of(output, refine, suffix, spec, max_pixels)
