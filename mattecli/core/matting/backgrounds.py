"""Backgrounds as the user names them: a color, or the path of a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mattecli.core.errors import not_found
from mattecli.core.imaging.colors import is_color, parse_color
from mattecli.core.imaging.pixels import to_8_bit
from mattecli.core.imaging.reading import read_picture, to_srgb
from mattecli.core.matting.outputs import flatten


def load_background(text: str) -> np.ndarray:
    """Turn a color into float32 RGB of shape (3,), or the path of a picture into uint8 H×W×3.

    As everywhere, what is transparent lies on white.
    """
    path = Path(text)
    # What is neither is a misspelt file if it has a suffix, and a misspelt colour if not.
    if is_color(text) or not (path.suffix or path.exists()):
        return parse_color(text)
    if not path.exists():
        raise not_found(path)
    return to_8_bit(flatten(to_srgb(read_picture(path)), np.ones(3, np.float32)))
