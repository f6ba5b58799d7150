"""Random changes to training samples that leave alpha exact.

Geometry moves image and alpha together; everything else touches colors only. All functions take
the sample's own random generator, so a sample is a pure function of its number and the seed.
"""

from __future__ import annotations

import cv2
import numpy as np

from mattecli.core.dataset.scene import cut_sides
from mattecli.core.imaging.pixels import to_bits, to_unit
from mattecli.core.imaging.reading import read_picture
from mattecli.core.imaging.writing import encode

Rng = np.random.Generator


def random_crop(sample: np.ndarray, size: int, rng: Rng) -> np.ndarray:
    """Cut a random window out of HxWxC uint8 and bring it to `size` x `size`.

    Three of ten windows are the whole picture, since that is what prediction sees; the others
    cover 35 to 100% of it. Shapes are squashed to the square by up to a third beyond the
    picture's own aspect, and flipped half of the time.
    """
    height, width = sample.shape[:2]
    if rng.random() < 0.3:
        window_height, window_width = height, width
    else:
        area = rng.uniform(0.35, 1.0) * height * width
        aspect = np.exp(rng.uniform(np.log(0.67), np.log(1.5)))
        window_width = min(width, max(8, round(np.sqrt(area * aspect))))
        window_height = min(height, max(8, round(area / window_width)))
    top = rng.integers(0, height - window_height + 1)
    left = rng.integers(0, width - window_width + 1)
    window = sample[top : top + window_height, left : left + window_width]
    window = resize_to(window, (size, size))
    return window[:, ::-1] if rng.random() < 0.5 else window


def square_crop(sample: np.ndarray, side: int, size: int, rng: Rng) -> np.ndarray:
    """Cut a random `side` x `side` square out of HxWxC uint8, resize it to `size`, perhaps flip it.

    A picture that is smaller than the square is first enlarged, keeping its shape. This is all
    that HAttMatting does to its training images (with sides 512, 640 and 800 and size 512).
    """
    height, width = sample.shape[:2]
    if min(height, width) < side:
        scale = side / min(height, width)
        sample = resize_to(sample, (round(width * scale), round(height * scale)))
        height, width = sample.shape[:2]
    top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
    square = resize_to(sample[top : top + side, left : left + side], (size, size))
    return square[:, ::-1] if rng.random() < 0.5 else square


def resize_to(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize HxW[xC] to `size` (width, height): area averaging down, bilinear up."""
    shrinking = size[0] * size[1] < array.shape[0] * array.shape[1]
    method = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    # OpenCV resizes at most four channels at a time.
    parts = [
        cv2.resize(np.ascontiguousarray(array[..., i : i + 4]), size, interpolation=method)
        for i in range(0, array.shape[2], 4)
    ]
    return np.dstack(parts)


def jitter_color(image: np.ndarray, rng: Rng, strength: float = 1.0) -> np.ndarray:
    """Random gain a channel, brightness, contrast, gamma and saturation; float32 RGB in [0, 1]."""
    gain = 1 + strength * rng.uniform(-0.08, 0.08, 3)
    contrast = 1 + strength * rng.uniform(-0.25, 0.25)
    brightness = strength * rng.uniform(-0.12, 0.12)
    saturation = 1 + strength * rng.uniform(-0.4, 0.4)
    # All of it is linear in the color: grey is a weighted sum, contrast turns around 0.5.
    saturate = saturation * np.eye(3) + (1 - saturation) * np.array([0.299, 0.587, 0.114])
    matrix = np.column_stack(
        [contrast * gain[:, None] * saturate, np.full(3, 0.5 - 0.5 * contrast + brightness)]
    )
    image = cv2.transform(np.ascontiguousarray(image), matrix)
    np.clip(image, 0, 1, out=image)
    if rng.random() < 0.3:
        image = image ** np.float32(np.exp(strength * rng.uniform(-0.4, 0.4)))
    return image


def degrade(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Degrade a picture as cameras and the web do: grey, dim light, softness, noise, JPEG.

    Float32 RGB in [0, 1]; each happens now and then.
    """
    if rng.random() < 0.12:
        image = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() < 0.08:
        # Dark clothes before a dark room: what is left are small differences, and noise below.
        image = image ** np.float32(rng.uniform(1.0, 1.8)) * np.float32(rng.uniform(0.15, 0.6))
    if rng.random() < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.25:
        noise = rng.standard_normal(image.shape, np.float32)
        image = np.clip(image + noise * np.float32(rng.uniform(0.005, 0.03)), 0, 1)
    if rng.random() < 0.3:
        quality = int(rng.integers(35, 95))
        jpeg = encode(to_bits(image, 8), ".jpg", quality=quality)
        image = to_unit(read_picture(jpeg).color)
    return image


def place_subject(cutout: np.ndarray, size: int, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """Put an RGBA cutout somewhere on an empty square, at some scale, perhaps cut by the frame.

    Parameters
    ----------
    cutout : uint8, HxWx4
        Straight color that runs on below the transparent part, so that resizing shows no rim.

    Returns
    -------
    foreground : float32, size x size x 3, in [0, 1]
    alpha : float32, size x size, in [0, 1]
    """
    if rng.random() < 0.5:
        cutout = cutout[:, ::-1]
    # As in the builder's scenes, a straight cut lies at the border of the frame, never inside it.
    # Cutouts are trimmed, so what is round or stands on its feet touches their borders too.
    cut = cut_sides(cutout[..., 3], 0.3)
    scale = size * np.exp(rng.uniform(np.log(0.4), np.log(1.6))) / max(cutout.shape[:2])
    stretch = np.exp(rng.uniform(-0.15, 0.15))
    width = max(2, round(cutout.shape[1] * scale * stretch))
    height = max(2, round(cutout.shape[0] * scale / stretch))
    for side, (near, far) in zip((width, height), cut, strict=True):
        if near and far and side < size:
            width, height = (max(2, round(part * size / side)) for part in (width, height))
    cutout = resize_to(cutout, (width, height))
    angle = rng.normal(0, 8) if rng.random() < 0.4 and not any(map(any, cut)) else 0.0
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    for axis, side in enumerate((width, height)):
        matrix[axis, 2] += _start(side, size, *cut[axis], rng)

    frame = (size, size)
    color = cv2.warpAffine(cutout[..., :3], matrix, frame, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(cutout[..., 3], matrix, frame)
    return color.astype(np.float32) / 255, alpha.astype(np.float32) / 255


def _start(side: int, size: int, near: bool, far: bool, rng: Rng) -> float:
    """Where a subject of this side begins in a frame of `size`, so that cuts are out of sight."""
    if near and far:
        return rng.uniform(size - side, 0)
    hidden = rng.uniform(0, 0.3) * side
    if near:
        return -hidden
    if far:
        return size - side + hidden
    # Its center lies anywhere in the picture's middle.
    return size * rng.uniform(0.2, 0.8) - side / 2
