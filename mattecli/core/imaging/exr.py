"""OpenEXR files: linear light in half floats, premultiplied, as compositing programs want it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.extras import needs_extra
from mattecli.core.imaging.colors import linear_to_srgb, srgb_to_linear
from mattecli.core.imaging.opening import check_pixels
from mattecli.core.imaging.pixels import MAX_PIXELS, Picture, to_bits, to_unit


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


def read_exr(path: Path, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read linear light as sRGB in 16 bits; light beyond 1 becomes white.

    Parameters
    ----------
    path : Path
        With the channels RGB, RGBA or Y; colors are premultiplied, as the format has them.

    Raises
    ------
    MatteError
        If it cannot be read, has other channels or too many pixels, or OpenEXR is missing.
    """
    openexr = import_openexr()
    try:
        low, high = openexr.File(str(path), header_only=True).header()["dataWindow"]
        width, height = (int(b) - int(a) + 1 for a, b in zip(low, high, strict=True))
        check_pixels(path, (width, height), max_pixels)
        with openexr.File(str(path)) as file:
            channels = {name: channel.pixels for name, channel in file.channels().items()}
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise MatteError(f"cannot read {path}: {error}") from None
    planes = next((channels[name] for name in ("RGBA", "RGB", "Y") if name in channels), None)
    if planes is None:
        raise MatteError(f"{path} has channels {', '.join(channels)}, and no RGB, RGBA or Y")
    planes = np.nan_to_num(planes.astype(np.float32), posinf=1, neginf=0)
    if planes.ndim == 2:
        planes = np.repeat(planes[..., None], 3, axis=2)
    light, alpha = planes[..., :3], None
    if planes.shape[2] == 4:
        opacity = np.clip(planes[..., 3:], 0, 1)
        light = light / np.maximum(opacity, 1e-6)
        alpha = to_bits(opacity[..., 0], 16)
    return Picture(to_bits(linear_to_srgb(np.clip(light, 0, 1)), 16), alpha)


def import_openexr() -> Any:
    """Import OpenEXR.

    Raises
    ------
    MatteError
        If it is not installed.
    """
    with needs_extra("'.exr' files", "exr"):
        import OpenEXR
    return OpenEXR
