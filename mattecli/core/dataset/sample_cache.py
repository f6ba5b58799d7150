"""Decoded samples at training size on disk, so that no step waits for a decoder."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import cv2
import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.mask_reading import read_mask
from mattecli.core.imaging.pixels import to_bits, to_unit
from mattecli.core.imaging.reading import read_color, read_picture, to_srgb
from mattecli.core.matting.foreground import estimate_foreground
from mattecli.core.storage import clear_errors, whole_file

# Bytes of the disk that are left to others.
_LEAVE = 2**28


class SampleCache:
    """Reads training files at reduced size and, given a folder, keeps them there as raw arrays.

    A disk that fills up ends the keeping, not the reading: a cache may grow larger than its set.

    Parameters
    ----------
    folder : Path or None
        Where arrays are kept; None decodes every time.
    long_side : int
        Larger pictures are reduced to this long side (area resampling) when first read.

    Attributes
    ----------
    reserved : int
        Bytes of the disk that the run itself is going to write.
    """

    def __init__(self, folder: Path | None, long_side: int) -> None:
        self.folder = folder
        self.long_side = long_side
        self.reserved = 0

    def pair(self, image: Path, alpha: Path, known: Path | None = None) -> np.ndarray:
        """Photo, matte, what of it is known and estimated foreground, HxWx8 uint8.

        Channels are RGB, alpha, known (255 where `known` is no file), RGB of F. F is estimated
        because a photo's own colors carry its old background into composites.
        """
        files = [image, alpha] if known is None else [image, alpha, known]
        return self._cached("pair", files, lambda: self._read_pair(image, alpha, known))

    def photo(self, image: Path, alpha: Path, known: Path | None = None) -> np.ndarray:
        """Give the first five channels of :meth:`pair`, which are much cheaper to make."""
        files = [image, alpha] if known is None else [image, alpha, known]
        return self._cached("photo", files, lambda: self._read_photo(image, alpha, known))

    def cutout(self, path: Path, alpha: Path | None = None) -> np.ndarray:
        """Cutout (an RGBA file, or foreground and matte) trimmed to its subject, HxWx4 uint8."""
        files = [path] if alpha is None else [path, alpha]
        return self._cached("cutout", files, lambda: self._read_cutout(path, alpha))

    def background(self, path: Path) -> np.ndarray:
        """RGB image, HxWx3 uint8."""
        return self._cached("background", [path], lambda: self._reduce(read_color(path)))

    def _cached(self, kind: str, files: list[Path], read) -> np.ndarray:
        if self.folder is None:
            return read()
        facts = [(str(f.resolve()), f.stat().st_mtime_ns, f.stat().st_size) for f in files]
        key = hashlib.sha256(repr((kind, self.long_side, facts)).encode()).hexdigest()[:32]
        path = self.folder / f"{key}.npy"
        if not path.exists():
            array = read()
            with clear_errors(path):
                self.folder.mkdir(parents=True, exist_ok=True)
            if self.lacks_room(array.nbytes):
                return array
            with whole_file(path, durable=False) as partial, partial.open("wb") as file:
                np.save(file, array)
        return np.load(path, mmap_mode="r")

    def lacks_room(self, wanted: int = 0) -> bool:
        """Tell whether the disk has no room for so many bytes more."""
        if self.folder is None or not self.folder.is_dir():
            return False
        return shutil.disk_usage(self.folder).free < wanted + self.reserved + _LEAVE

    def _reduce(self, array: np.ndarray) -> np.ndarray:
        height, width = array.shape[:2]
        scale = self.long_side / max(height, width)
        if scale >= 1:
            return array
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        return cv2.resize(array, size, interpolation=cv2.INTER_AREA)

    def _read_photo(self, image: Path, alpha: Path, known: Path | None) -> np.ndarray:
        color, matte = read_color(image), read_mask(alpha).alpha
        check_size(image, color, alpha, matte)
        layers = [self._reduce(color), self._reduce(to_bits(to_unit(matte), 8))]
        if known is None:
            layers.append(np.full_like(layers[1], 255))
        else:
            mask = read_mask(known).alpha
            check_size(image, color, known, mask)
            layers.append(self._reduce(to_bits(to_unit(mask), 8)))
        return np.dstack(layers)

    def _read_pair(self, image: Path, alpha: Path, known: Path | None) -> np.ndarray:
        sample = self._read_photo(image, alpha, known)
        color, matte = np.ascontiguousarray(sample[..., :3]), sample[..., 3]
        clean = estimate_foreground(to_unit(color), to_unit(matte))
        return np.dstack([sample, to_bits(clean, 8)])

    def _read_cutout(self, path: Path, alpha: Path | None) -> np.ndarray:
        picture = to_srgb(read_picture(path))
        if alpha is not None:
            bits = 8 * picture.color.dtype.itemsize
            picture.alpha = to_bits(to_unit(read_mask(alpha).alpha), bits)
            check_size(path, picture.color, alpha, picture.alpha)
        if picture.alpha is None:
            raise MatteError(
                f"{path}: no alpha channel; training on cutouts needs RGBA files, "
                "photos with mattes go into image/ and alpha/ folders"
            )
        rows, columns = (np.flatnonzero(picture.alpha.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            raise MatteError(f"{path}: this cutout is fully transparent")
        if picture.alpha.max() == 1:
            raise MatteError(
                f"{path}: its alpha is 0 and 1 of {np.iinfo(picture.alpha.dtype).max}, "
                "a mask of labels: write 1 as white"
            )
        trimmed = np.dstack([picture.color, picture.alpha])[
            rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1
        ]
        # Resized premultiplied: what lies hidden under alpha 0 must not bleed into the edge.
        opacity = to_unit(trimmed[..., 3:])
        reduced = self._reduce(np.dstack([to_unit(trimmed[..., :3]) * opacity, opacity]))
        on_black, opacity = np.ascontiguousarray(reduced[..., :3]), reduced[..., 3]
        straight = np.clip(on_black / np.maximum(opacity, 1e-6)[..., None], 0, 1)
        # Nor may the black there bleed when the cutout is resized again.
        below = estimate_foreground(on_black, opacity)
        color = np.where(opacity[..., None] > 1 / 255, straight, below)
        return to_bits(np.dstack([color, opacity]), 8)


def check_size(image: Path, color: np.ndarray, alpha: Path, matte: np.ndarray) -> None:
    """Refuse a matte of another size than its photo.

    Raises
    ------
    MatteError
    """
    if color.shape[:2] != matte.shape:
        raise MatteError(
            f"{image} is {color.shape[1]}x{color.shape[0]} but {alpha} is "
            f"{matte.shape[1]}x{matte.shape[0]}: photo and matte must have one size"
        )
