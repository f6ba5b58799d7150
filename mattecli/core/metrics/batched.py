"""SAD, MSE, MAD and Grad of a batch on a CUDA device; the same numbers as `score` gives."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from mattecli.core.metrics.gradient import REACH, SLOPE, SMOOTH
from mattecli.core.metrics.pixels import white


def score_batch(
    predictions: np.ndarray,
    truths: np.ndarray,
    regions: np.ndarray | None,
    device: torch.device,
) -> np.ndarray:
    """All errors that need no components, in double precision like the reference.

    Parameters
    ----------
    predictions, truths : ndarray, shape (B, H, W), uint8 or uint16
        Of one dtype.
    regions : ndarray of bool, shape (B, H, W), or None for the whole images
    device : torch.device
        One that has float64: CUDA or the CPU, not MPS.

    Returns
    -------
    ndarray, shape (B, 4), float64
        SAD, MSE, MAD and Grad of each image, with the units of `Scores`.
    """
    p, t = (
        # Through int32, since torch has next to no arithmetic for uint16.
        torch.from_numpy(mattes.astype(np.int32)).to(device).double() / white(mattes)
        for mattes in (predictions, truths)
    )
    weight = torch.ones_like(p) if regions is None else torch.from_numpy(regions).to(p)
    pixels = weight.sum(dim=(1, 2)).clamp(min=1)
    difference = (p - t).abs() * weight
    absolute = difference.sum(dim=(1, 2))
    squares = difference.square().sum(dim=(1, 2))
    slopes = ((_slopes(p) - _slopes(t)).square() * weight).sum(dim=(1, 2))
    columns = (absolute / 1000, squares / pixels, absolute / pixels, slopes / 1000)
    return torch.stack(columns, dim=1).cpu().numpy()


def _slopes(mattes: torch.Tensor) -> torch.Tensor:
    """Amplitudes of the Gaussian derivative of each matte stretched to [0, 1]; 0 if constant."""
    low, high = mattes.amin(dim=(1, 2), keepdim=True), mattes.amax(dim=(1, 2), keepdim=True)
    span = torch.where(high > low, high - low, torch.inf)
    padded = F.pad(((mattes - low) / span)[:, None], (REACH,) * 4, mode="replicate")
    smooth, slope = (torch.from_numpy(kernel).to(mattes) for kernel in (SMOOTH, SLOPE))
    across = F.conv2d(F.conv2d(padded, smooth.view(1, 1, -1, 1)), slope.view(1, 1, 1, -1))
    down = F.conv2d(F.conv2d(padded, slope.view(1, 1, -1, 1)), smooth.view(1, 1, 1, -1))
    return torch.hypot(across, down)[:, 0]
