"""When frames of animations are shown, and how often all of them: read, and fit to a format."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from PIL import Image

# Milliseconds that times are multiples of, and that a frame is shown at least: browsers and FFmpeg
# take less of a GIF, and none of any, for the usual.
_UNIT, _LEAST, _USUAL = {"GIF": 10}, {"GIF": 20}, 100
_MOST_ROUNDS = 65535


def duration_of(image: Image.Image) -> float:
    """Give the milliseconds that the current frame of an image is shown."""
    said = image.info.get("duration", 0) or 0
    return said if round(said) >= _LEAST.get(image.format or "", 1) else _USUAL


def plays_of(image: Image.Image) -> int:
    """Give how often an animation plays, 0 forever."""
    if image.format != "GIF":
        return image.info.get("loop", 0)
    # A GIF says how often it plays again.
    again = image.info.get("loop")
    return 1 if again is None else again and again + 1


def looping(form: str, plays: int) -> dict[str, int]:
    """Give Pillow's option for an animation that plays so often, 0 forever."""
    if form == "GIF":
        return {} if plays == 1 else {"loop": min(max(0, plays - 1), _MOST_ROUNDS)}
    return {"loop": min(plays, _MOST_ROUNDS)}


def shown(form: str, times: Sequence[Fraction]) -> list[tuple[int, int]]:
    """Fit times to what a format can say; no error adds up over frames.

    Of frames that follow one another faster than that, the one that is seen longest stays.

    Parameters
    ----------
    form : str
        Pillow's name of it.
    times : sequence of Fraction
        Of each frame in seconds, and of the end.

    Returns
    -------
    list of (int, int)
        Number and milliseconds of each frame that stays.
    """
    unit, least = _UNIT.get(form, 1), _LEAST.get(form, 1)
    places = [unit * round(1000 * (time - times[0]) / unit) for time in times]
    groups: list[list[int]] = []
    for number, place in enumerate(places[:-1]):
        fits = place + least <= places[-1]
        if not groups or (fits and place - places[groups[-1][0]] >= least):
            groups.append([])
        groups[-1].append(number)
    begins = [places[group[0]] for group in groups]
    ends = [*begins[1:], max(places[-1], begins[-1] + least)]
    stay = [max(group, key=lambda number: times[number + 1] - times[number]) for group in groups]
    return [(number, end - begin) for number, begin, end in zip(stay, begins, ends, strict=True)]
