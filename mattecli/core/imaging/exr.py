"""OpenEXR files: linear light in half floats, premultiplied, as compositing programs want it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mattecli.core.extras import needs_extra
from mattecli.core.imaging.colors import srgb_to_linear
from mattecli.core.imaging.pixels import to_unit


def encode_exr(array: np.ndarray) -> bytes:
    """Encode an image in sRGB as half floats of linear light.

    Parameters
    ----------
    array : ndarray of shape (H, W), (H, W, 3) or (H, W, 4), uint8 or uint16
        Grey is taken as numbers, such as alpha, and not as light. Straight colors of RGBA become
        premultiplied ones, as the format has them.

    Raises
    ------
    MatteError
        If OpenEXR is not installed.
    """
    openexr = import_openexr()
    unit = to_unit(array)
    if unit.ndim == 2:
        channels: dict[str, Any] = {"Y": unit.astype(np.float16)}
    else:
        light = srgb_to_linear(unit[..., :3])
        if unit.shape[2] == 4:
            light = light * unit[..., 3:]
        name = "RGBA" if unit.shape[2] == 4 else "RGB"
        planes = np.dstack([light, unit[..., 3:]]).astype(np.float16)
        channels = {name: np.ascontiguousarray(planes)}
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    # The library writes to files only.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "picture.exr")
        with openexr.File(header, channels) as file:
            file.write(str(path))
        return path.read_bytes()


def import_openexr() -> Any:
    """Import OpenEXR.

    Raises
    ------
    MatteError
        If it is not installed.
    """
    with needs_extra("writing '.exr' files", "exr"):
        import OpenEXR
    return OpenEXR
