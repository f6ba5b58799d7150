"""Pictures as Python programs hold them: arrays, tensors, Pillow's images, paths, bytes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from mattecli.core.errors import MatteError
from mattecli.core.imaging.mask_reading import mask_of_image, mask_of_picture, read_mask
from mattecli.core.imaging.masks import Mask
from mattecli.core.imaging.opening import NamedBytes, name_of
from mattecli.core.imaging.pixels import MAX_PIXELS, Picture, to_bits
from mattecli.core.imaging.reading import matte_of, picture_of, read_picture, to_srgb
from mattecli.core.objects.paths import located

if TYPE_CHECKING:
    import torch

#: A path, the bytes of a file, a Pillow image, an array of shape (H, W), (H, W, 1), (H, W, 3) or
#: (H, W, 4), or a tensor of shape (H, W), (C, H, W) or (1, C, H, W). Numbers are uint8, uint16 or
#: floats in [0, 1]; channels are RGB or RGBA with straight colors, in sRGB.
ImageLike: TypeAlias = "str | Path | bytes | Image.Image | np.ndarray | torch.Tensor"


def as_picture(
    image: ImageLike, max_pixels: int = MAX_PIXELS, *, as_numbers: bool = False
) -> Picture:
    """Turn anything that holds a picture into an upright one in sRGB.

    Parameters
    ----------
    as_numbers : bool
        Whether its colors are numbers, as those of trimaps, which no profile changes.

    Raises
    ------
    MatteError
        If it is no picture.
    """
    if isinstance(image, (str, Path, bytes)):
        source = _source(image)
        picture = read_picture(source, max_pixels, as_numbers=as_numbers)
        _warn(name_of(source), picture.notes)
        return picture if as_numbers else to_srgb(picture)
    if isinstance(image, Image.Image):
        if not all(image.size):
            raise MatteError(f"a picture has pixels, not {image.width}x{image.height} of them")
        picture = picture_of(image)
        return picture if as_numbers else to_srgb(picture)
    array = image if isinstance(image, np.ndarray) else _from_tensor(image)
    return _from_array(array)


def as_mask(image: ImageLike) -> np.ndarray:
    """Turn anything that holds a mask or matte into uint8 or uint16 H×W, as `read_mask` does.

    How numbers are understood that are not simply alpha is said as a warning of Python's. Floats
    are alpha, and pass.

    Raises
    ------
    MatteError
        If it is no picture, or no mask.
    """
    if isinstance(image, (str, Path, bytes)):
        source = _source(image)
        mask = read_mask(source, lenient=True)
        _warn(name_of(source), (mask.note,))
        return mask.alpha
    if isinstance(image, Image.Image):
        mask = mask_of_image(image, lenient=True)
    else:
        array = image if isinstance(image, np.ndarray) else _from_tensor(image)
        picture = _from_array(array)
        mask = (
            Mask(matte_of(picture)) if array.dtype.kind in "bf" else mask_of_picture(picture, True)
        )
    _warn("the mask", (mask.note,))
    return mask.alpha


def _source(image: str | Path | bytes) -> Path | bytes:
    """Name bytes in memory, which have not come through standard input."""
    if not isinstance(image, bytes):
        return located(image)
    return image if isinstance(image, NamedBytes) else NamedBytes(image, "the given file")


def _warn(name: str, notes: tuple[str, ...]) -> None:
    for note in filter(None, notes):
        warnings.warn(f"{name}: {note}", stacklevel=4)


def _from_array(array: np.ndarray) -> Picture:
    # Bytes in another order than this machine's are the same numbers.
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype == bool:
        array = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype.kind == "f":
        if array.size and not (array.min() >= 0 and array.max() <= 1):
            raise MatteError(
                f"an array of floats has values in [0, 1], not {array.min():g} to {array.max():g}"
            )
        array = to_bits(array.astype(np.float32), 16)
    shape = array.shape
    if array.ndim == 2:
        array = array[..., None]
    if (
        array.dtype not in (np.uint8, np.uint16)
        or array.ndim != 3
        or array.shape[2] not in (1, 3, 4)
        or not array.size
    ):
        raise MatteError(
            "a picture is an array of shape (H, W), (H, W, 3) or (H, W, 4) of uint8, uint16 or "
            f"floats, not {shape} of {array.dtype}"
        )
    color = np.repeat(array, 3, axis=2) if array.shape[2] == 1 else array[..., :3]
    alpha = np.ascontiguousarray(array[..., 3]) if array.shape[2] == 4 else None
    return Picture(np.ascontiguousarray(color), alpha)


def _from_tensor(tensor: Any) -> np.ndarray:
    """Tensors have their channels first; only those of PyTorch are known."""
    if not (hasattr(tensor, "detach") and hasattr(tensor, "cpu")):
        raise MatteError(
            "a picture is a path, bytes, a Pillow image, a NumPy array or a PyTorch tensor, "
            f"not {type(tensor).__name__}"
        )
    tensor = tensor.detach().cpu()
    tensor = tensor.float() if tensor.is_floating_point() else tensor
    tensor = tensor[0] if tensor.ndim == 4 and len(tensor) == 1 else tensor
    if tensor.ndim == 3:
        if tensor.shape[0] not in (1, 3, 4):
            raise MatteError(f"a picture is a tensor of shape (C, H, W), not {tuple(tensor.shape)}")
        tensor = tensor.permute(1, 2, 0)
    return tensor.numpy()
