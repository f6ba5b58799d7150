"""Colors by name, and light in linear numbers."""

from __future__ import annotations

import difflib
from pathlib import Path

import numpy as np
from PIL import ImageColor

from mattecli.core.errors import MatteError


def parse_color(text: str) -> np.ndarray:
    """Turn ``white``, ``#fff``, ``#ffffff`` or ``rgb(255, 255, 255)`` into float32 RGB in [0, 1].

    Raises
    ------
    MatteError
        If there is no such color.
    """
    try:
        channels = ImageColor.getrgb(text)
    except ValueError:
        close = difflib.get_close_matches(text, ImageColor.colormap, n=1)
        hint = f"did you mean '{close[0]}'?" if close else "use a name such as white, or #rrggbb"
        raise MatteError(f"'{text}' is no color: {hint}") from None
    if len(channels) == 4 and channels[3] != 255:
        opaque = "#" + "".join(f"{value:02x}" for value in channels[:3])
        raise MatteError(f"'{text}' is transparent, a color here is opaque: use '{opaque}'")
    return np.array(channels[:3], np.float32) / 255


def is_color(text: str) -> bool:
    """Tell whether `text` is meant as a color, whether or not `parse_color` takes it."""
    if text.lower().startswith(("#", "rgb(", "rgba(", "hsl(", "hsla(", "hsv(", "hsva(")):
        return not Path(text).exists()
    try:
        parse_color(text)
    except MatteError:
        return False
    return True


def srgb_to_linear(values: np.ndarray) -> np.ndarray:
    """Turn sRGB values in [0, 1] into amounts of light (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(light: np.ndarray) -> np.ndarray:
    """Turn amounts of light in [0, 1] into sRGB values; the inverse of `srgb_to_linear`."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
