"""Mattes of photos in memory, at the photos' own size."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mattecli.core.inference.passes import (
    PassPlanner,
    PhotoPasses,
    blend,
    infer_batch,
    network_matte,
)
from mattecli.core.matting.full_size import refine_found, wants_detail
from mattecli.core.runtime import loading
from mattecli.core.runtime.model import MattingModel

if TYPE_CHECKING:
    import torch


class Predictor:
    """Takes photos of any size and gives mattes of that size.

    Parameters
    ----------
    model : MattingModel
    two_pass, scale
        See `PassPlanner`.
    """

    def __init__(self, model: MattingModel, *, two_pass: bool = True, scale: float = 1.0) -> None:
        self.model = model
        self.planner = PassPlanner(model, two_pass=two_pass, scale=scale)

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        device: str = "auto",
        precision: str = "auto",
        size: int | None = None,
        *,
        two_pass: bool = True,
        max_concurrency: int = 1,
    ) -> Predictor:
        """Load weights onto a device; see `load_model` for the parameters and errors."""
        model = loading.load_model(weights, device, precision, size, max_concurrency)
        return cls(model, two_pass=two_pass)

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.model.device

    @property
    def device_type(self) -> str:
        """``cpu``, ``cuda`` or ``mps``."""
        return self.model.device_type

    def at_scale(self, scale: float) -> Predictor:
        """Give the same model in a single pass, with inputs so many times as large."""
        return Predictor(self.model, two_pass=False, scale=scale)

    def network_mattes(self, images: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Run all passes on uint8 H×W×3 photos; crops of one size share a batch.

        Returns
        -------
        list of pairs, one for every photo
            The photo at the network's size, uint8 h×w×3, and its matte, float32 h×w in [0, 1].
        """
        photos = [self.planner.start(image) for image in images]
        self.complete(photos)
        return [(photo.seen, blend(photo)) for photo in photos]

    def complete(self, photos: list[PhotoPasses]) -> None:
        """Take photos through all passes that are left; crops of one size share a batch."""
        waiting = [photo for photo in photos if not photo.is_done]
        while waiting:
            by_size: dict[tuple[int, ...], list[PhotoPasses]] = defaultdict(list)
            for photo in waiting:
                by_size[photo.next_crop.shape].append(photo)
            for batch in by_size.values():
                mattes = infer_batch(self.model, batch)
                for photo, matte in zip(batch, mattes, strict=True):
                    self.planner.advance(photo, matte)
            waiting = [photo for photo in waiting if not photo.is_done]

    def predict(self, images: list[np.ndarray], level: str = "fast") -> list[np.ndarray]:
        """Predict the mattes of uint8 H×W×3 photos, refined to the size of each photo.

        Parameters
        ----------
        level : {"none", "fast", "best"}
            See `refine`.

        Returns
        -------
        list of float32 ndarray of shape (H, W), in [0, 1]
        """
        detailed = wants_detail(level)
        photos = [self.planner.start(image, detailed=detailed) for image in images]
        self.complete(photos)
        return [
            refine_found(image, network_matte(photo), level)
            for image, photo in zip(images, photos, strict=True)
        ]
