"""Learning from photos without mattes: where other networks agree, their mattes are the truth.

The teachers see every sample as it is cut, before its colors vary, so that the network learns what
they make of every view of a photo and not one matte by heart (Beyer et al., "Knowledge
distillation: A good teacher is patient and consistent", CVPR 2022).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mattecli.core.dataset.sources import split_weight
from mattecli.core.runtime.loading import load_model

#: Gives alpha, Bx1xHxW in [0, 1], of images, Bx3xHxW in [0, 1].
Teacher = Callable[[Tensor], Tensor]

# Teachers agree on the subject where none is farther from their mean than this, both blurred over
# such a share of the side.
_AGREED, _BLUR = 0.15, 1 / 16
# Where they disagree, their mean counts where it is outside of these, as 0 or 1. With the bundled
# network as the first of three, on 60 photos of everyday things, the others were right in 80% of
# the pixels where they were sure and it was not, but in half of those where it was sure of the
# opposite (weights/EXPERIMENTS.md, C).
_UNDECIDED = (0.35, 0.65)
# On a GPU so many samples go through a teacher at once, never fewer: cuDNN compiles kernels for
# every new shape of a batch.
_AT_ONCE = 16


class Teachers:
    """Networks whose mattes are learned from.

    Parameters
    ----------
    teachers : list of (callable, float)
        See `Teacher`, with their weights in the mean. The first one's edges are learned.
    """

    def __init__(self, teachers: list[tuple[Teacher, float]]) -> None:
        self.teachers = teachers

    @torch.no_grad()
    def teach(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Fill in ``alpha`` and ``known`` of those samples of a batch that have no matte.

        Parameters
        ----------
        batch : dict of Tensor
            ``image`` Bx3xHxW, ``alpha`` and ``known`` Bx1xHxW, in [0, 1], and ``unlabeled``, B
            bool, True for K samples, on the device. The teachers see ``unvaried``, Kx3xHxW in
            [0, 1], or if that is not there the images.
        """
        index = batch["unlabeled"].nonzero()[:, 0]
        if not len(index):
            return batch
        images = batch["unvaried"] if "unvaried" in batch else batch["image"][index]
        alphas = [_in_parts(teacher, images) for teacher, _ in self.teachers]
        alpha, known = agreement(alphas, [weight for _, weight in self.teachers])
        taught = {"alpha": batch["alpha"].clone(), "known": batch["known"].clone()}
        taught["alpha"][index] = alpha
        taught["known"][index] = known.to(taught["known"])
        return batch | taught


def agreement(alphas: list[Tensor], weights: list[float]) -> tuple[Tensor, Tensor]:
    """Say what several networks together know of a photo.

    Parameters
    ----------
    alphas : list of Tensor, Bx1xHxW in [0, 1]
    weights : list of float

    Returns
    -------
    alpha : Tensor, Bx1xHxW
        The first one where all see the same subject; elsewhere 1 or 0, as the mean decides.
    known : bool Tensor, Bx1xHxW
        False where they disagree and the mean decides nothing.
    """
    mean = sum(w * alpha for w, alpha in zip(weights, alphas, strict=True)) / sum(weights)
    side = max(1, round(_BLUR * max(mean.shape[-2:])) // 2 * 2 + 1)
    apart = torch.stack([_blurred(alpha - mean, side).abs() for alpha in alphas]).amax(dim=0)
    agreed = apart < _AGREED
    low, high = _UNDECIDED
    alpha = torch.where(agreed, alphas[0], (mean > (low + high) / 2).to(mean))
    return alpha, agreed | (mean < low) | (mean > high)


def load_teachers(specifications: list[str], device: torch.device) -> Teachers | None:
    """Load ``NETWORK`` or ``NETWORK=WEIGHT``, each a name or a file; None if there are none.

    Raises
    ------
    MatteError
        If there is no such network, or it cannot run there.
    """
    if not specifications:
        return None
    parts = [split_weight(specification) for specification in specifications]
    return Teachers([(load_teacher(str(name), device), weight) for name, weight in parts])


def load_teacher(network: str, device: torch.device) -> Teacher:
    """Load a network that teaches on a device, by name or as a file."""
    model = load_model(network, device=str(device))

    def teacher(images: Tensor) -> Tensor:
        photos = (255 * images).round().byte().movedim(1, -1).cpu().numpy()
        alphas = np.stack(model.infer([model.prepare(photo) for photo in photos]))
        alpha = torch.from_numpy(alphas)[:, None].to(images)
        return functional.interpolate(
            alpha, size=images.shape[-2:], mode="bilinear", align_corners=False
        )

    return teacher


def _in_parts(teacher: Teacher, images: Tensor) -> Tensor:
    """Give the alpha of any number of images, some at a time."""
    found = []
    for part in images.split(_AT_ONCE):
        missing = _AT_ONCE - len(part) if images.device.type == "cuda" else 0
        filled = torch.cat([part, part[:1].expand(missing, -1, -1, -1)])
        found.append(teacher(filled)[: len(part)].float())
    return torch.cat(found)


def _blurred(difference: Tensor, side: int) -> Tensor:
    return functional.avg_pool2d(
        difference, side, stride=1, padding=side // 2, count_include_pad=False
    )
