"""The endless training set: sample number n is a pure function of n and the seed."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mattecli.core.dataset import augmentation
from mattecli.core.dataset.fine_structure import cut_openwork, grow_hair
from mattecli.core.dataset.glass import turn_to_glass
from mattecli.core.dataset.sample_cache import SampleCache
from mattecli.core.dataset.sources import Source
from mattecli.core.errors import MatteError
from mattecli.core.imaging.pixels import to_bits, to_unit
from mattecli.core.matting.compositing import composite


@dataclass
class Mixture:
    """How often what is drawn.

    Attributes
    ----------
    recompose : float
        Share of photo/matte pairs whose subject is put on another background (none with `crops`).
    second_subject : float
        Share of composites with another subject behind the first (alpha is their union), and of
        photos without mattes with one before what they show.
    empty : float
        Share of samples that are a background alone, with alpha zero.
    hair, openwork : float
        Shares of composites whose subject gets hair, or holes, that are drawn.
    glass : float
        Share of composites whose subject is turned to glass.
    """

    recompose: float = 0.35
    second_subject: float = 0.15
    empty: float = 0.04
    hair: float = 0.25
    openwork: float = 0.08
    glass: float = 0.03

    def __post_init__(self) -> None:
        """Refuse what is no share.

        Raises
        ------
        MatteError
        """
        for name, share in vars(self).items():
            if not 0 <= share <= 1:
                raise MatteError(f"mixture.{name} must be from 0 to 1, not {share}")


class TrainingSet(Dataset):
    """Photos with mattes and composites made on the fly.

    Without backgrounds, pairs are used as they are and cutouts cannot be used.

    Items are dictionaries of tensors: ``image`` 3xSxS float32 in [0, 1], ``alpha`` 1xSxS in [0, 1],
    ``known`` 1xSxS, 1.0 where that alpha is right and 0.0 where nobody knows, ``foreground`` and
    ``background`` 3xSxS, ``composed``, 1.0 where the image shows
    alpha * foreground + (1 - alpha) * background, perhaps degraded, else 0.0, and ``unlabeled``,
    bool, True for photos without mattes, of which nothing is known; these have ``unvaried``, too,
    3xSxS uint8, the image before its colors vary. Without `varies_colors` all images are uint8, 255
    for 1.0, the ``image`` of what is composed is left to the device, and nothing is ``unvaried``.

    S is one of `sizes`, drawn once for `batch_group_size` samples in a row, which are a batch.
    With `crops`, pairs are cut at their own size: see :func:`augmentation.square_crop`.

    Attributes
    ----------
    varies_colors : bool
        Whether colors, sharpness and noise vary here; else that is left to the device, which bytes
        reach with a quarter of the traffic.
    """

    def __init__(
        self,
        sources: list[Source],
        backgrounds: Source | None,
        *,
        sizes: tuple[int, ...],
        batch_group_size: int = 1,
        seed: int = 0,
        mixture: Mixture | None = None,
        crops: tuple[int, ...] = (),
        cache: SampleCache | None = None,
    ) -> None:
        self.sources = sources
        self.backgrounds = backgrounds
        self.sizes = sizes
        self.batch_group_size = batch_group_size
        self.seed = seed
        self.mixture = mixture or Mixture()
        self.crops = crops
        self.cache = cache or SampleCache(None, 2 * max(sizes))
        self.whole = SampleCache(None, 2**31)
        self.varies_colors = True
        self.files = sum(len(source.files) for source in sources)
        weights = np.array([source.weight for source in sources], float)
        self.shares = weights / weights.sum()
        #: Weights of the sources whose subjects can be put elsewhere.
        self.subjects = weights * [source.kind != "photos" for source in sources]

    def __len__(self) -> int:
        return 2**62

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.seed, number))
        size = self.size_of(number)
        if self.backgrounds is not None and rng.random() < self.mixture.empty:
            return self._empty(size, rng)
        source = self.sources[rng.choice(len(self.sources), p=self.shares)]
        image, alpha = source.files[int(rng.integers(len(source.files)))]
        if source.kind == "cutouts":
            return self._composed(self.cache.cutout(image, alpha), size, rng)
        if source.kind == "photos":
            return self._unlabeled(self.cache.background(image), size, rng)
        assert alpha is not None
        known = source.known.get(image)
        if self.crops:
            return self._untouched(self.whole.photo(image, alpha, known), size, rng)
        if self.backgrounds is None or not self.mixture.recompose:
            return self._photo(self.cache.photo(image, alpha, known), size, rng)
        sample = self.cache.pair(image, alpha, known)
        if rng.random() < self.mixture.recompose:
            return self._composed(_trim(sample[..., [5, 6, 7, 3]]), size, rng)
        return self._photo(sample[..., :5], size, rng)

    def composes(self) -> bool:
        """Tell whether some samples are composites whose layers are known."""
        if self.backgrounds is None:
            return False
        cutouts = any(source.kind == "cutouts" for source in self.sources)
        return cutouts or bool(self.mixture.recompose and not self.crops)

    def size_of(self, number: int) -> int:
        """Give the side of a sample, which all of its batch have."""
        # One more number than the samples' own generators have, so that none of them is this one.
        rng = np.random.default_rng((self.seed, number // self.batch_group_size, len(self.sizes)))
        return int(rng.choice(self.sizes))

    def _untouched(
        self, sample: np.ndarray, size: int, rng: np.random.Generator
    ) -> dict[str, Tensor]:
        side = int(rng.choice(self.crops))
        return self._pair(augmentation.square_crop(sample, side, size, rng))

    def _unlabeled(
        self, photo: np.ndarray, size: int, rng: np.random.Generator
    ) -> dict[str, Tensor]:
        """Cut a window of a photo, now and then with a subject more, that nothing is known of."""
        window = augmentation.random_crop(photo, size, rng)
        if self.subjects.any() and rng.random() < self.mixture.second_subject:
            color, alpha = augmentation.place_subject(self._any_cutout(rng), size, rng)
            window = to_bits(composite(alpha, color, to_unit(window)), 8)
        nothing = np.zeros((size, size, 2), np.uint8)
        item = self._varied(np.dstack([window, nothing]), rng)
        item["unlabeled"] = torch.tensor(True)
        if self.varies_colors:
            item["unvaried"] = torch.from_numpy(np.ascontiguousarray(window)).permute(2, 0, 1)
        return item

    def _photo(self, sample: np.ndarray, size: int, rng: np.random.Generator) -> dict[str, Tensor]:
        return self._varied(augmentation.random_crop(sample, size, rng), rng)

    def _varied(self, sample: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        if not self.varies_colors:
            return self._pair(sample)
        image = self._degrade(self._jitter(to_unit(sample[..., :3]), rng), rng)
        return self._pair(sample, image)

    def _pair(self, sample: np.ndarray, image: np.ndarray | None = None) -> dict[str, Tensor]:
        """Make an item of a photo, HxWx5 uint8, perhaps with other colors."""
        image = sample[..., :3] if image is None else image
        # A mask that was resized: what is not white has a part that is unknown.
        known = np.where(sample[..., 4] > 252, np.uint8(255), np.uint8(0))
        return self._item(image, sample[..., 3], image, image, composed=False, known=known)

    def _empty(self, size: int, rng: np.random.Generator) -> dict[str, Tensor]:
        background = self._background(size, rng)
        image = self._degrade(background, rng)
        alpha = np.zeros((size, size), np.float32)
        return self._item(image, alpha, background, background, composed=False)

    def _composed(
        self, cutout: np.ndarray, size: int, rng: np.random.Generator
    ) -> dict[str, Tensor]:
        background = self._background(size, rng)
        second = rng.random() < self.mixture.second_subject
        if second:
            color, behind = augmentation.place_subject(self._any_cutout(rng), size, rng)
            color = self._jitter(color, rng, 0.6)
        foreground, alpha = augmentation.place_subject(cutout, size, rng)
        foreground = self._jitter(foreground, rng, 0.6)
        if rng.random() < self.mixture.glass:
            foreground, alpha, background = turn_to_glass(foreground, alpha, background, rng)
        elif rng.random() < self.mixture.openwork:
            alpha = cut_openwork(alpha, rng)
        if rng.random() < self.mixture.hair:
            foreground, alpha = grow_hair(foreground, alpha, rng)

        if second:
            # Two subjects are one foreground: its alpha is the union, its color their own mixture.
            own, alpha = alpha, alpha + (1 - alpha) * behind
            foreground = composite(own / np.maximum(alpha, 1e-6), foreground, color)
        if not self.varies_colors:
            return self._item(background, alpha, foreground, background, composed=True)
        image = composite(alpha, foreground, background).astype(np.float32, copy=False)
        np.clip(image, 0, 1, out=image)
        image = self._degrade(image, rng)
        return self._item(image, alpha, foreground, background, composed=True)

    def _jitter(
        self, image: np.ndarray, rng: np.random.Generator, strength: float = 1.0
    ) -> np.ndarray:
        return augmentation.jitter_color(image, rng, strength) if self.varies_colors else image

    def _degrade(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return augmentation.degrade(image, rng) if self.varies_colors else image

    def _item(
        self,
        image: np.ndarray,
        alpha: np.ndarray,
        foreground: np.ndarray,
        background: np.ndarray,
        *,
        composed: bool,
        known: np.ndarray | None = None,
    ) -> dict[str, Tensor]:
        known = np.full(alpha.shape, 255, np.uint8) if known is None else known
        planes = {"image": image, "alpha": alpha, "known": known}
        planes |= {"foreground": foreground, "background": background}
        # Layers that are the same array stay the same tensor.
        tensors = {id(plane): self._tensor(plane) for plane in planes.values()}
        item = {name: tensors[id(plane)] for name, plane in planes.items()}
        return item | {
            "composed": torch.tensor(float(composed)),
            "unlabeled": torch.tensor(False),
        }

    def _tensor(self, plane: np.ndarray) -> Tensor:
        """Turn HxW[xC], in bytes or from 0 to 1, to a CxHxW view whose channels stay last."""
        if self.varies_colors:
            plane = to_unit(plane) if plane.dtype == np.uint8 else plane.astype(np.float32)
        else:
            plane = plane if plane.dtype == np.uint8 else to_bits(plane, 8)
        plane = plane[..., None] if plane.ndim == 2 else plane
        return torch.from_numpy(np.ascontiguousarray(plane)).permute(2, 0, 1)

    def _any_cutout(self, rng: np.random.Generator) -> np.ndarray:
        source = self.sources[rng.choice(len(self.sources), p=self.subjects / self.subjects.sum())]
        image, alpha = source.files[int(rng.integers(len(source.files)))]
        if source.kind == "cutouts":
            return self.cache.cutout(image, alpha)
        assert alpha is not None
        return _trim(self.cache.pair(image, alpha, source.known.get(image))[..., [5, 6, 7, 3]])

    def _background(self, size: int, rng: np.random.Generator) -> np.ndarray:
        if rng.random() < 0.12:
            return self._plain_background(size, rng)
        assert self.backgrounds is not None
        path, _ = self.backgrounds.files[int(rng.integers(len(self.backgrounds.files)))]
        crop = augmentation.random_crop(self.cache.background(path), size, rng)
        if rng.random() < 0.35:
            # Depth of field: what is behind a subject is often out of focus.
            sigma = size * np.exp(rng.uniform(np.log(0.003), np.log(0.03)))
            crop = cv2.GaussianBlur(crop, (0, 0), sigma)
        return self._jitter(to_unit(crop), rng)

    def _plain_background(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Draw a studio's wall or a product's paper: one color that runs softly into another."""
        corners = rng.uniform(0, 1, 3) + rng.uniform(-0.15, 0.15, (2, 2, 3))
        if rng.random() < 0.5:
            corners = corners.mean(axis=2, keepdims=True).repeat(3, axis=2)
        corners = np.clip(corners, 0, 1).astype(np.float32)
        return cv2.resize(corners, (size, size), interpolation=cv2.INTER_LINEAR)


def _trim(rgba: np.ndarray) -> np.ndarray:
    """Cut HxWx4 down to where alpha is not zero, and a pixel around; an empty matte stays whole.

    That pixel tells where the subject ends by itself, and not at the border of its picture.
    """
    rows, columns = (np.flatnonzero((rgba[..., 3] > 2).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return rgba
    top, left = max(0, rows[0] - 1), max(0, columns[0] - 1)
    return rgba[top : rows[-1] + 2, left : columns[-1] + 2]
