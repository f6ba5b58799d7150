"""From the numbers of a sample to its pictures."""

from __future__ import annotations

import cv2
import numpy as np

from mattecli.core.dataset.layers import Layer, LayerReader, adjust, place, resample
from mattecli.core.dataset.material import Foreground
from mattecli.core.dataset.recipe import Recipe
from mattecli.core.imaging.colors import linear_to_srgb, srgb_to_linear
from mattecli.core.imaging.pixels import to_bits, to_unit
from mattecli.core.matting.compositing import composite


def render(record: dict, recipe: Recipe, reader: LayerReader) -> dict[str, np.ndarray]:
    """Make the pictures of a sample: see `lay_out`, `compose` and `pictures_of`."""
    subject, background = lay_out(record, recipe, reader)
    (image,) = compose([(subject, background)], recipe)
    return pictures_of(record, subject, background, image, recipe)


def lay_out(record: dict, recipe: Recipe, reader: LayerReader) -> tuple[Layer, np.ndarray]:
    """Make the subject, its layers united, and the background of a sample.

    Parameters
    ----------
    record : dict
        What `draw` decided, or the sample's line in a manifest.
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
    return unite(layers), background


def pictures_of(
    record: dict, subject: Layer, background: np.ndarray, image: np.ndarray, recipe: Recipe
) -> dict[str, np.ndarray]:
    """Give the pictures of a sample that the recipe's `outputs` name.

    The image is composed of the very numbers that `fg`, `bg` and `alpha` hold, so that
    ``image = αF + (1−α)B`` is exact to rounding.

    Returns
    -------
    dict
        ``image``, ``fg``, ``bg`` (H×W×3) and ``alpha`` (H×W), uint8 or uint16 by the recipe's bits,
        and ``trimap`` (H×W uint8: 0, 128 or 255).
    """
    pictures = {"image": image, "alpha": subject.alpha, "fg": subject.color, "bg": background}
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

    The alpha of two is ``α₂ + (1−α₂) α₁``, and the color what both show in these shares.
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


def compose(
    layers: list[tuple[Layer, np.ndarray]], recipe: Recipe, device: str = "cpu"
) -> list[np.ndarray]:
    """Compose subjects and backgrounds in whole numbers, rounding as the recipe says.

    On another device than the CPU all those of one size are composed at once, to the same result.
    In linear light, whose powers differ between devices, the CPU composes.
    """
    if device == "cpu" or recipe.light == "linear":
        return [_compose(subject, background, recipe) for subject, background in layers]
    import torch

    by_size: dict[tuple[int, ...], list[int]] = {}
    for number, (_, background) in enumerate(layers):
        by_size.setdefault(background.shape, []).append(number)
    images: dict[int, np.ndarray] = {}
    real, dtype = _precision(recipe), layers[0][1].dtype if layers else None
    for numbers in by_size.values():
        stacks = [
            torch.from_numpy(np.stack(arrays).astype(real)).to(device)
            for arrays in (
                [layers[n][0].alpha[..., None] for n in numbers],
                [layers[n][0].color for n in numbers],
                [layers[n][1] for n in numbers],
            )
        ]
        mixed = composite(stacks[0] / np.iinfo(dtype).max, *stacks[1:])
        mixed = mixed.round() if recipe.rounding == "nearest" else mixed
        images |= zip(numbers, mixed.cpu().numpy().astype(dtype), strict=True)
    return [images[number] for number in range(len(layers))]


def _compose(subject: Layer, background: np.ndarray, recipe: Recipe) -> np.ndarray:
    top = np.iinfo(background.dtype).max
    alpha = subject.alpha.astype(_precision(recipe)) / top
    if recipe.light == "linear":
        layers = (srgb_to_linear(to_unit(array)) for array in (subject.color, background))
        mixed = linear_to_srgb(np.clip(composite(alpha, *layers), 0, 1)) * top
    else:
        mixed = composite(alpha, subject.color, background)
    if recipe.rounding == "nearest":
        mixed = np.rint(mixed, out=mixed)
    return mixed.astype(background.dtype)


def _precision(recipe: Recipe) -> type:
    # At 8 bits no sum lies nearer than 1/510 to a half, so float32 rounds like exact numbers do;
    # truncation has to see the very digits that the published scripts saw.
    exact = recipe.bits == 16 or recipe.rounding == "truncate"
    return np.float64 if exact else np.float32


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
