"""Files with layers, for editing: the subject over what is behind it, in ORA and PSD."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mattecli.core.extras import needs_extra
from mattecli.core.imaging.exr import import_openexr
from mattecli.core.imaging.opening import opened
from mattecli.core.imaging.pixels import to_8_bit, to_bits, to_unit
from mattecli.core.imaging.writing import encode

_THUMBNAIL = 256
# Names of the layers.
_BEHIND, _SHADOW, _SUBJECT = "Photo", "Shadow", "Subject"


def encode_layers(
    suffix: str,
    behind: np.ndarray,
    subject: np.ndarray,
    alpha: np.ndarray,
    merged: np.ndarray,
    shadow: np.ndarray | None = None,
) -> bytes:
    """Encode a subject over what is behind it.

    In a PSD the subject's layer has its colors everywhere and alpha as its mask, which can be
    painted on, and so has that of its shadow; OpenRaster knows no masks, so there alpha is the
    layer's own.

    Parameters
    ----------
    suffix : str
        One of `LAYERED`.
    behind, subject : ndarray of shape (H, W, 3), uint8 or uint16
        Colors of the layers.
    alpha : float32 ndarray of shape (H, W), in [0, 1]
    merged : ndarray of shape (H, W, 3) or (H, W, 4), uint8 or uint16
        What programs show that know no layers.
    shadow : float32 ndarray of shape (H, W), in [0, 1], optional
        How dark what is behind gets: a layer between the two.

    Raises
    ------
    MatteError
        If psd-tools is needed and not installed.
    """
    behind, subject, merged = map(to_8_bit, (behind, subject, merged))
    write = _ora if suffix == ".ora" else _psd
    dark = None if shadow is None else to_bits(shadow, 8)
    return write(behind, subject, to_bits(alpha, 8), merged, dark)


def has_our_layers(path: Path) -> bool:
    """Tell whether a file is one of the layers that `encode_layers` writes.

    Raises
    ------
    MatteError
        If it cannot be read, or psd-tools is needed and not installed.
    """
    if path.suffix.lower() == ".psd":
        # Pillow passes over layers that have a mask.
        with opened(path) as file:
            names = [layer.name for layer in _psd_tools().PSDImage.open(file)]
        return names in ([_BEHIND, _SUBJECT], [_BEHIND, _SHADOW, _SUBJECT])
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            return {_place_of(_BEHIND), _place_of(_SUBJECT)} <= {*archive.namelist()}
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError):
        return False


def check_library(suffix: str) -> None:
    """Raise `MatteError` if what writes files of this suffix is not installed."""
    if suffix == ".psd":
        _psd_tools()
    if suffix == ".exr":
        import_openexr()


def _ora(
    behind: np.ndarray,
    subject: np.ndarray,
    alpha: np.ndarray,
    merged: np.ndarray,
    dark: np.ndarray | None,
) -> bytes:
    """Follow the OpenRaster specification, version 0.0.3."""
    # It brings a whole client of http along.
    from xml.sax.saxutils import quoteattr

    height, width = alpha.shape
    layers = {_SUBJECT: np.dstack([subject, alpha])}
    if dark is not None:
        layers[_SHADOW] = np.dstack([np.zeros_like(subject), dark])
    layers[_BEHIND] = behind
    lines = [
        "<?xml version='1.0' encoding='UTF-8'?>",
        f'<image version="0.0.3" w="{width}" h="{height}"><stack>',
        *(
            f'<layer name={quoteattr(name)} src="{_place_of(name)}" x="0" y="0" />'
            for name in layers
        ),
        "</stack></image>",
    ]
    small = Image.fromarray(merged)
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        # What it is stands first and is not packed, so that its first bytes tell.
        file.writestr("mimetype", "image/openraster")
        file.writestr("stack.xml", "\n".join(lines))
        for name, layer in layers.items():
            file.writestr(_place_of(name), encode(layer, ".png"))
        file.writestr("mergedimage.png", encode(merged, ".png"))
        file.writestr("Thumbnails/thumbnail.png", encode(np.asarray(small), ".png"))
    return buffer.getvalue()


def _place_of(layer: str) -> str:
    return f"data/{layer.lower()}.png"


def _psd(
    behind: np.ndarray,
    subject: np.ndarray,
    alpha: np.ndarray,
    merged: np.ndarray,
    dark: np.ndarray | None,
) -> bytes:
    psd_tools = _psd_tools()
    if merged.shape[2] == 4:
        # Of a cutout: with what is behind it, as all layers are seen.
        share = to_unit(alpha)[..., None]
        ground = behind if dark is None else behind * (1 - to_unit(dark))[..., None]
        merged = np.rint(subject * share + ground * (1 - share)).astype(np.uint8)
    file = psd_tools.PSDImage.frompil(Image.fromarray(merged[..., :3]))
    file.create_pixel_layer(Image.fromarray(behind), name=_BEHIND)
    if dark is not None:
        black = file.create_pixel_layer(Image.fromarray(np.zeros_like(subject)), name=_SHADOW)
        black.create_mask(Image.fromarray(dark))
    layer = file.create_pixel_layer(Image.fromarray(subject), name=_SUBJECT)
    layer.create_mask(Image.fromarray(alpha))
    buffer = io.BytesIO()
    file.save(buffer)
    return buffer.getvalue()


def _psd_tools() -> Any:
    with needs_extra("writing '.psd' files", "psd"):
        import psd_tools
    return psd_tools
