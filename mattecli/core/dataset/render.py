"""From the numbers of a sample to its pictures."""

from __future__ import annotations

import cv2
import numpy as np

from mattecli.core.dataset.compositing import composite
from mattecli.core.dataset.layers import Layer, LayerReader, adjust, place, resample
from mattecli.core.dataset.material import Foreground
from mattecli.core.dataset.recipe import Recipe
from mattecli.core.imaging.colors import linear_to_srgb, srgb_to_linear
from mattecli.core.imaging.reading import to_bits, to_unit


def render(record: dict, recipe: Recipe, reader: LayerReader) -> dict[str, np.ndarray]:
    """Make the pictures of a sample.

    The image is composed of the very numbers that `fg`, `bg` and `alpha` hold, so that
    ``image = αF + (1−α)B`` is exact to rounding.

    Parameters
    ----------
    record : dict
        What `draw` decided, or the sample's line in a manifest.

    Returns
    -------
    dict
        ``image``, ``fg``, ``bg`` (H×W×3) and ``alpha`` (H×W), uint8 or uint16 by the recipe's bits,
        and ``trimap`` (H×W uint8: 0, 128 or 255): those of the recipe's `outputs`.
    """
    resampling = recipe.background.resampling
    frame = tuple(record["size"])
    background = _render_background(record["background"], frame, recipe, reader)
    layers = []
    for how in record["layers"]:
        layer = reader.foreground(Foreground(how["name"], how["color"], how["alpha"], how["photo"]))
        if "place" in how:
            layer = place(layer, how["place"], frame, resampling)
        layers.append(Layer(adjust(layer.color, how["adjust"]), layer.alpha))
    subject = unite(layers)
    pictures = {
        "image": compose(subject, background, recipe),
        "alpha": subject.alpha,
        "fg": subject.color,
        "bg": background,
    }
    if "trimap" in recipe.outputs:
        pictures["trimap"] = make_trimap(subject.alpha, *record["trimap"])
    return {name: pictures[name] for name in recipe.outputs}


def _render_background(
    how: dict, frame: tuple[int, int], recipe: Recipe, reader: LayerReader
) -> np.ndarray:
    whole = resample(
        reader.background(how["file"]), tuple(how["size"]), recipe.background.resampling
    )
    x, y = how["crop"]
    background = whole[y : y + frame[1], x : x + frame[0]]
    if how["flip"]:
        background = background[:, ::-1]
    return adjust(np.ascontiguousarray(background), how["adjust"])


def unite(layers: list[Layer]) -> Layer:
    """Lay foregrounds over each other, back to front, into one.

    The alpha of two is ``α₂ + (1−α₂) α₁``, and the colour what both show in these shares.
    """
    if len(layers) == 1:
        return layers[0]
    bits = 8 * layers[0].color.dtype.itemsize
    color, alpha = to_unit(layers[0].color), to_unit(layers[0].alpha)
    for layer in layers[1:]:
        front = to_unit(layer.alpha)
        alpha = front + (1 - front) * alpha
        share = np.divide(front, alpha, out=np.zeros_like(alpha), where=alpha > 0)
        color = composite(share, to_unit(layer.color), color)
    return Layer(to_bits(color, bits), to_bits(alpha, bits))


def compose(subject: Layer, background: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Compose in whole numbers, rounding as the recipe says."""
    top = np.iinfo(background.dtype).max
    # At 8 bits no sum lies nearer than 1/510 to a half, so float32 rounds like exact numbers do;
    # truncation has to see the very digits that the published scripts saw.
    exact = recipe.bits == 16 or recipe.rounding == "truncate"
    alpha = subject.alpha.astype(np.float64 if exact else np.float32) / top
    if recipe.light == "linear":
        layers = (srgb_to_linear(to_unit(array)) for array in (subject.color, background))
        mixed = linear_to_srgb(np.clip(composite(alpha, *layers), 0, 1)) * top
    else:
        mixed = composite(alpha, subject.color, background)
    if recipe.rounding == "nearest":
        mixed = np.rint(mixed, out=mixed)
    return mixed.astype(background.dtype)


def make_trimap(alpha: np.ndarray, grow: int, shrink: int) -> np.ndarray:
    """Mark as unknown (128) the band around all that is neither opaque nor transparent.

    It reaches `grow` pixels beyond where alpha is above 0 and `shrink` pixels into where it is
    full, as trimaps are drawn for training since Deep Image Matting (CVPR 2017).
    """
    top = np.iinfo(alpha.dtype).max
    outside, inside = (
        cv2.distanceTransform((alpha == value).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
        for value in (0, top)
    )
    trimap = np.full(alpha.shape, 128, np.uint8)
    trimap[outside > grow] = 0
    trimap[inside > shrink] = 255
    return trimap
