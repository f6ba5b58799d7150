"""What ``import mattecli`` offers: the commands for pictures that are in memory, or in files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.accepting import ImageLike, as_mask, as_picture
from mattecli.core.imaging.pixels import Picture, check_bits, to_bits, to_unit
from mattecli.core.imaging.trimaps import trimap_of
from mattecli.core.inference.hint_values import HintKeywords
from mattecli.core.inference.options import Precision, Refine
from mattecli.core.inference.session import Session
from mattecli.core.matting.backgrounds import load_background
from mattecli.core.matting.flattening import flatten
from mattecli.core.matting.layout import Layout, check_transparent, compose
from mattecli.core.matting.outputs import OutputSpec, render_outputs
from mattecli.core.matting.placing import parse_position
from mattecli.core.metrics.pixels import comparable
from mattecli.core.metrics.regions import region_mask
from mattecli.core.metrics.scores import Scores, score

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "ImageLike",
    "MatteError",
    "Scores",
    "Session",
    "composite",
    "cutout",
    "evaluate",
    "predict",
]

_WHITE = np.ones(3, np.float32)


class PredictKeywords(HintKeywords, total=False):
    """Keywords of `predict`."""

    refine: Refine
    size: int | None
    two_pass: bool
    weights: str | Path | None
    device: str
    precision: Precision


class LayoutKeywords(TypedDict, total=False):
    """Keywords of `composite` that say how cutout and background come together."""

    canvas: Literal["foreground", "background"]
    fit: Literal["cover", "contain", "stretch"] | None
    scale: float
    linear: bool
    match: bool
    shadow: bool


def predict(
    image: ImageLike,
    *,
    refine: Refine = "fast",
    size: int | None = None,
    two_pass: bool = True,
    weights: str | Path | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    **hints: Unpack[HintKeywords],
) -> np.ndarray:
    """Find the alpha matte of a photo.

    The network is loaded at the first call and kept for later ones.

    Parameters
    ----------
    image : path, bytes, PIL.Image.Image, numpy.ndarray or torch.Tensor
        Arrays have the shape (H, W, 3) and tensors (3, H, W); numbers are uint8, uint16 or floats
        in [0, 1]. Orientation and color profile of files and Pillow's images are applied. What is
        transparent already stays so.
    refine : {"fast", "best", "none"}
        How the matte is brought to the photo's size; for ``best`` the network first takes a
        larger pass over what is uncertain, which takes half a second.
    size : int, optional
        Long side in pixels at which the network sees the photo.
    two_pass : bool
        Whether the network may see a photo more than once, and at last a crop of what is uncertain.
    weights : str or path, optional
        A weights file, any network as ``.onnx``, or a name that ``matte weights`` lists; by default
        the bundled weights.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    precision : {"auto", "fp32", "fp16", "bf16", "int8"}
    **hints
        ``box``, ``points``, ``not_points``, ``keep``, ``drop``, ``trimap``, ``guide`` and
        ``subject``: see `Session.alpha`.

    Returns
    -------
    float32 ndarray of shape (H, W), in [0, 1]

    Raises
    ------
    MatteError
        If something is no picture, weights or device are not there, or a hint lies outside of the
        photo or has not its proportions.
    """
    session = Session(
        image,
        refine=refine,
        size=size,
        two_pass=two_pass,
        weights=weights,
        device=device,
        precision=precision,
    )
    return session.alpha(**hints)


def cutout(
    image: ImageLike,
    alpha: ImageLike | None = None,
    *,
    crop: float | None = None,
    bits: Literal[8, 16] = 8,
    **prediction: Unpack[PredictKeywords],
) -> np.ndarray:
    """Cut the subject out of a photo, with colors that are free of its old background.

    Parameters
    ----------
    image
        See `predict`.
    alpha : as `image`, optional
        A matte of the photo's size; by default it is predicted.
    crop : float, optional
        Crop to the subject and leave room around it, as a share of its longer side.
    bits : {8, 16}
        Depth of the result.
    **prediction
        Keywords of `predict`, which count where `alpha` is not given.

    Returns
    -------
    uint8 or uint16 ndarray of shape (H, W, 4)
        RGBA with straight colors, as ``PIL.Image.fromarray`` takes it.

    Raises
    ------
    MatteError
        As `predict`, or if the sizes of photo and matte differ.
    """
    for name in prediction.keys() - PredictKeywords.__annotations__.keys():
        raise TypeError(f"cutout() got an unexpected keyword argument '{name}'")
    picture = as_picture(image)
    if alpha is None:
        unit = predict(image, **prediction)
    else:
        unit = to_unit(as_mask(alpha))
        if unit.shape != picture.color.shape[:2]:
            sizes = [f"{shape[1]}x{shape[0]}" for shape in (unit.shape, picture.color.shape)]
            raise MatteError(f"the matte is {sizes[0]} but its photo {sizes[1]}")
    return render_outputs(_opaque(picture).color, unit, OutputSpec(bits=bits, crop=crop))["cutout"]


def composite(
    cutout: ImageLike,
    background: ImageLike,
    *,
    position: str | tuple[float, float] = "center",
    bits: Literal[8, 16] = 8,
    **layout: Unpack[LayoutKeywords],
) -> np.ndarray:
    """Lay a cutout onto a color or another picture.

    Parameters
    ----------
    cutout : path, bytes, PIL.Image.Image, numpy.ndarray or torch.Tensor
        With transparency and straight colors, as `cutout` gives it.
    background : str, or as `cutout`
        A color such as ``white`` or ``#f4f1ea``, or a picture.
    canvas : {"foreground", "background"}
        Whose frame the result has; a color takes on the cutout's.
    fit : {"cover", "contain", "stretch"}, optional
        How the other one is fitted into that frame; by default ``cover``, or ``contain`` into the
        background's.
    scale : float
        Factor on the size of the cutout after fitting.
    position : str or tuple of float
        ``center``, ``top``, ``bottom-left``…, or shares of the free room (x, y).
    linear : bool
        Mix light instead of sRGB values.
    match, shadow : bool
        Bring the cutout's light nearer to the background; draw a shadow where it stands.
    bits : {8, 16}
        Depth of the result.

    Returns
    -------
    uint8 or uint16 ndarray of shape (height, width, 3)

    Raises
    ------
    MatteError
        If something is no picture, the cutout has no transparency, or a keyword has no such value.
    """
    check_bits(bits)
    picture = as_picture(cutout)
    check_transparent(picture)
    if isinstance(background, str):
        behind = load_background(background)
    else:
        behind = _opaque(as_picture(background)).color
    place = parse_position(position) if isinstance(position, str) else position
    return to_bits(compose(picture, behind, Layout(position=place, **layout)), bits)


def evaluate(
    prediction: ImageLike,
    truth: ImageLike,
    *,
    trimap: ImageLike | None = None,
    region: Literal["whole", "unknown", "detail"] | None = None,
) -> Scores:
    """Score a matte against the truth.

    Parameters
    ----------
    prediction, truth : path, bytes, PIL.Image.Image, numpy.ndarray or torch.Tensor
        Mattes, or cutouts, whose alpha counts.
    trimap : as `truth`, optional
        Only its unknown pixels (128, or label 1) count, unless `region` says otherwise.
    region : {"whole", "unknown", "detail"}, optional
        Pixels that count: all, the trimap's unknown ones, or those near soft pixels and edges of
        the truth.

    Returns
    -------
    Scores
        SAD, MSE, MAD, Grad and Conn, scaled as the field's tables are; lower is better.

    Raises
    ------
    MatteError
        If something is no picture, sizes differ, ``unknown`` comes without a trimap, or no pixel
        counts.
    """
    region = region or ("whole" if trimap is None else "unknown")
    if region == "unknown" and trimap is None:
        raise MatteError("the region 'unknown' needs a trimap")
    pair = comparable(as_mask(prediction), as_mask(truth))
    unknown = None if trimap is None else trimap_of(as_picture(trimap, as_numbers=True))
    counted = region_mask(region, pair[1], unknown)
    if counted is not None and not counted.any():
        raise MatteError(f"no pixel in the region '{region}'")
    return score(*pair, counted)


def _opaque(picture: Picture) -> Picture:
    """Lay what is transparent onto white, as the network knows no transparency."""
    return Picture(flatten(picture, _WHITE), picture.alpha)
