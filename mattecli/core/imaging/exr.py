"""OpenEXR files: linear light in half floats, premultiplied, as compositing programs want it."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.extras import needs_extra
from mattecli.core.imaging.colors import linear_to_srgb, srgb_to_linear
from mattecli.core.imaging.exr_header import ExrHeader, read_header
from mattecli.core.imaging.masks import check_numbers
from mattecli.core.imaging.opening import check_pixels, name_of
from mattecli.core.imaging.pixels import MAX_PIXELS, Picture, to_16_bit, to_bits, to_unit
from mattecli.core.imaging.quiet import without_lines

# x and y of red, green, blue and white.
_REC709 = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329)


def encode_exr(array: np.ndarray, maker: str | None = None) -> bytes:
    """Encode an image in sRGB as half floats of linear light.

    Parameters
    ----------
    array : ndarray of shape (H, W), (H, W, 3) or (H, W, 4), uint8 or uint16
        Grey is taken as numbers, such as alpha, and not as light. Straight colors of RGBA become
        premultiplied ones, as the format has them.
    maker : str, optional
        Noted in the header; see `exr_software`.

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
    if maker is not None:
        header["software"] = maker
    # The library writes to files only.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "picture.exr")
        with openexr.File(header, channels) as file:
            file.write(str(path))
        return path.read_bytes()


def read_exr(
    file: BinaryIO, source: Path | bytes, max_pixels: int = MAX_PIXELS, *, as_numbers: bool = False
) -> Picture:
    """Read linear light as sRGB in 16 bits; light beyond 1 becomes white.

    The picture is the display window of the first part, as programs show it: what the file does not
    hold of it is black, and transparent where there is alpha.

    Parameters
    ----------
    file : BinaryIO
        With the channels R, G and B or Y, and perhaps A, by which colors are multiplied.
    as_numbers : bool
        Take color as numbers, of which 1 is white, and not as light; alone A will do, too.

    Raises
    ------
    MaskError
        If numbers are none, such as nan.
    MatteError
        If it is damaged, of another kind or too large, or OpenEXR is missing.
    """
    openexr = import_openexr(f"{name_of(source)} is an OpenEXR picture and")
    header = read_header(file)
    check_pixels(source, (header.frame.width, header.frame.height), max_pixels)
    check_pixels(source, (header.held.width, header.held.height), max_pixels)
    # The library makes room for all pixels before it misses any.
    if file.seek(0, io.SEEK_END) < header.least_bytes:
        raise _damaged(source)
    names = _color_channels(header, source, as_numbers=as_numbers)
    _check(header, source)
    file.seek(0)
    with _damage(source):
        # Not its `File`, which reads all channels, and prints on standard output what is damaged.
        opened = openexr.InputFile(file)
        planes = {name: _plane(opened, name, header) for name in {*names, "A"} & {*header.channels}}
    if as_numbers:
        # What colors are below a matte does not matter: programs divide by an alpha of 0.
        for name in ["A"] if "A" in planes and len(names) == 3 else planes:
            check_numbers(planes[name])
    planes = {name: _in_frame(plane, header) for name, plane in planes.items()}
    alpha = np.clip(planes["A"], 0, 1) if "A" in planes else None
    color = np.dstack([planes[name] for name in names] * (3 // len(names)))
    opacity = None if alpha is None else to_bits(alpha, 16)
    if as_numbers:
        return Picture(to_16_bit(color), None if names == ["A"] else opacity)
    if alpha is not None:
        color /= np.maximum(alpha, 1e-6)[..., None]
    return Picture(to_bits(linear_to_srgb(np.clip(color, 0, 1)), 16), opacity)


def exr_size(file: BinaryIO) -> tuple[int, int]:
    """Read (width, height) of the frame from the header."""
    frame = read_header(file).frame
    return frame.width, frame.height


def exr_has_alpha(file: BinaryIO) -> bool:
    """Tell from the header whether there is an alpha channel."""
    return "A" in read_header(file).channels


def exr_software(file: BinaryIO) -> str:
    """Read from the header which program made the file; empty if it does not say."""
    return read_header(file).software


@contextlib.contextmanager
def _damage(source: Path | bytes) -> Iterator[None]:
    """Say of a damaged file what that means, as the library knows it as a stream only."""
    try:
        with without_lines(b"<Python Stream>: (EXR_"):
            yield
    except OSError:
        raise _damaged(source) from None


def _damaged(source: Path | bytes) -> MatteError:
    return MatteError(f"{name_of(source)}: the picture is damaged or cut off")


def _color_channels(header: ExrHeader, source: Path | bytes, *, as_numbers: bool) -> list[str]:
    """Name the channels that are read as color."""
    held = list(header.channels)
    chroma = {"RY", "BY"} & {*held}
    for names in (["R", "G", "B"], ["Y"], *([["A"]] if as_numbers else [])):
        if {*names} <= {*held} and not chroma:
            return names
    raise MatteError(
        f"{name_of(source)} has the channels {', '.join(held[:8])}, and no R, G and B or Y: save "
        "it with these in its first layer"
    )


def _check(header: ExrHeader, source: Path | bytes) -> None:
    """Refuse what would be read wrong."""
    name = name_of(source)
    if set(header.channels.values()) != {(1, 1)}:
        raise MatteError(f"{name} holds channels of less than its size: save it with whole ones")
    if not np.allclose(header.primaries or _REC709, _REC709, atol=0.002):
        raise MatteError(f"{name} has other primaries than sRGB: convert it to linear sRGB first")


def _plane(opened: Any, name: str, header: ExrHeader) -> np.ndarray:
    import Imath

    pixels = opened.channel(name, Imath.PixelType(Imath.PixelType.FLOAT))
    return np.frombuffer(pixels, np.float32).reshape(header.held.height, header.held.width)


def _in_frame(plane: np.ndarray, header: ExrHeader) -> np.ndarray:
    """Put what a file holds of a channel where it is in the frame, as float32."""
    plane = np.nan_to_num(plane, posinf=1, neginf=0)
    frame, held = header.frame, header.held
    if frame == held:
        return plane
    left, top = held.left - frame.left, held.top - frame.top
    placed = np.zeros((frame.height, frame.width), np.float32)
    shown = plane[
        max(0, -top) : max(0, frame.height - top), max(0, -left) : max(0, frame.width - left)
    ]
    top, left = max(0, top), max(0, left)
    placed[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
    return placed


def import_openexr(what: str = "'.exr' files") -> Any:
    """Import OpenEXR.

    Raises
    ------
    MatteError
        If it is not installed.
    """
    with needs_extra(what, "exr"):
        import OpenEXR
    return OpenEXR
