"""How a clip's frames are turned before they are shown."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np


class Turning(NamedTuple):
    """Quarter turns counterclockwise, after mirroring left to right.

    `lost` says in words what of the turning that leaves out; empty if nothing.
    """

    quarters: int = 0
    mirrored: bool = False
    lost: str = ""

    def apply(self, array: np.ndarray) -> np.ndarray:
        """Turn an image of shape (H, W, …)."""
        if self.mirrored:
            array = array[:, ::-1]
        return np.ascontiguousarray(np.rot90(array, self.quarters))


def turning_of(frame: Any) -> Turning:
    """Read the display matrix of a decoded frame.

    ISO/IEC 14496-12, 8.3.2: the matrix a, b, u, c, d, v, … maps (x, y) to (ax + cy, bx + dy), with
    y downward.
    """
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV refuses all of a frame's side data where it does not know a part, such as EXIF.
        return Turning(round(frame.rotation / 90) % 4)
    if data is None or len(bytes(data)) < 36:
        return Turning()
    a, b, _, c, d = (int(number) for number in np.frombuffer(bytes(data), np.int32)[:5])
    if a * d == b * c:
        return Turning(lost="its display matrix says nothing of how it is turned, and is ignored")
    mirrored = a * d < b * c
    if mirrored:
        a, b = -a, -b
    degrees = -math.degrees(math.atan2(b, a))
    quarters = round(degrees / 90)
    lost = ""
    if abs(degrees - 90 * quarters) > 1:
        lost = f"it is turned by {degrees:.0f} degrees, of which {90 * quarters} are kept"
    return Turning(quarters % 4, mirrored, lost)
