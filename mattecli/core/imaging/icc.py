"""ICC profiles of RGB and of grey: what they do to colors, whatever they are called."""

from __future__ import annotations

import io
import struct
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from mattecli.core.imaging.colors import linear_to_srgb

# Colors that stand for all: every combination of these values, and all greys.
_STEPS = (0, 16, 64, 128, 192, 255)
# Profiles of sRGB by different makers differ by rounding.
_NEAR = 1
# Rows that are converted at once.
_STRIP = 64
# Linear sRGB to XYZ under D50, the connection space of profiles (IEC 61966-2-1, Bradford).
_SRGB_TO_XYZ = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
_FULL = 65536


def is_of_grey(icc: bytes) -> bool:
    """Tell whether a profile describes grey pictures: its header names the space."""
    return icc[16:20] == b"GRAY"


@lru_cache(maxsize=16)
def is_srgb(icc: bytes) -> bool:
    """Tell whether a profile leaves colors as they are when they are converted to sRGB."""
    levels = np.array(_STEPS, np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    before = (greys if is_of_grey(icc) else np.concatenate([cube, greys]))[None]
    after = convert_8_bit(before, icc)
    return after is not None and bool(np.abs(after.astype(int) - before).max() <= _NEAR)


def convert_8_bit(color: np.ndarray, icc: bytes) -> np.ndarray | None:
    """Convert uint8 colors of shape (H, W, 3) to sRGB; None if the profile is broken.

    Under a profile of grey pictures all channels are the same.
    """
    if is_of_grey(icc):
        color = np.ascontiguousarray(color[..., 0])
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        image = ImageCms.profileToProfile(
            Image.fromarray(color), profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):
        return None
    return np.array(image)


def convert_16_bit(color: np.ndarray, icc: bytes) -> np.ndarray | None:
    """Convert uint16 colors of shape (H, W, 3) to sRGB without passing through 8 bits.

    Returns
    -------
    uint16 ndarray of shape (H, W, 3), or None
        None if the profile is made of tables, or is broken.
    """
    if is_of_grey(icc):
        table = _greys_in_srgb(icc)
        return None if table is None else np.repeat(table[color[..., :1]], 3, axis=2)
    found = _curves_and_primaries(icc)
    if found is None:
        return None
    curves, to_srgb = found
    result = np.empty_like(color)
    for top in range(0, len(color), _STRIP):
        strip = color[top : top + _STRIP]
        light = np.stack([curves[i][strip[..., i]] for i in range(3)], axis=-1)
        srgb = linear_to_srgb(np.clip(light @ to_srgb.T, 0, 1))
        result[top : top + _STRIP] = np.rint(srgb * (_FULL - 1))
    return result


@lru_cache(maxsize=4)
def _curves_and_primaries(icc: bytes) -> tuple[list[np.ndarray], np.ndarray] | None:
    """Give light for each of 65536 values of three channels, and the matrix to linear sRGB."""
    try:
        tags = _tags(icc)
        # Tables take precedence over curves and primaries.
        if b"A2B0" in tags or b"D2B0" in tags or icc[20:24] != b"XYZ ":
            return None
        curves = [_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")]
        primaries = [_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    except (KeyError, ValueError, IndexError, struct.error):
        return None
    matrix = np.linalg.inv(_SRGB_TO_XYZ) @ np.stack(primaries, axis=1)
    if not all(np.isfinite(curve).all() for curve in curves):
        return None
    return curves, matrix.astype(np.float32)


@lru_cache(maxsize=4)
def _greys_in_srgb(icc: bytes) -> np.ndarray | None:
    """Give the sRGB value of each of 65536 values of grey, uint16."""
    if icc[20:24] != b"XYZ ":
        return None
    try:
        light = _curve(_tags(icc)[b"kTRC"])
    except (KeyError, ValueError, IndexError, struct.error):
        return None
    return np.rint(linear_to_srgb(light) * (_FULL - 1)).astype(np.uint16)


def _tags(icc: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", icc, 128)
    tags = {}
    for i in range(min(count, 100)):
        name, start, length = struct.unpack_from(">4sII", icc, 132 + 12 * i)
        tags[name] = icc[start : start + length]
    return tags


def _xyz(tag: bytes) -> np.ndarray:
    if tag[:4] != b"XYZ ":
        raise ValueError("no XYZ")
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536


def _curve(tag: bytes) -> np.ndarray:
    """Sample a tone curve (ICC.1, curveType and parametricCurveType) at 65536 places."""
    x = np.linspace(0, 1, _FULL)
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return x.astype(np.float32)
        values = np.array(struct.unpack_from(f">{count}H", tag, 12))
        if count == 1:
            return (x ** (values[0] / 256)).astype(np.float32)
        return np.interp(x, np.linspace(0, 1, count), values / (_FULL - 1)).astype(np.float32)
    if tag[:4] != b"para":
        raise ValueError("no curve")
    (kind,) = struct.unpack_from(">H", tag, 8)
    count = (1, 3, 4, 5, 7)[kind]
    return _parametric(x, kind, [v / 65536 for v in struct.unpack_from(f">{count}i", tag, 12)])


def _parametric(x: np.ndarray, kind: int, numbers: list[float]) -> np.ndarray:
    g, a, b, c, d, e, f = 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
    if kind == 0:
        (g,) = numbers
    elif kind in (1, 2):
        g, a, b = numbers[:3]
        e = f = numbers[3] if kind == 2 else 0.0
        d = -b / a if a else 0.0
    else:
        g, a, b, c, d = numbers[:5]
        e, f = numbers[5:] if kind == 4 else (0.0, 0.0)
    with np.errstate(invalid="ignore"):
        y = np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f)
    return np.clip(y, 0, 1).astype(np.float32)
