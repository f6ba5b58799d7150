"""How good a network is on photos it does not train on."""

from __future__ import annotations

import numpy as np
from torch import nn

from mattecli.core.dataset.sources import Source
from mattecli.core.imaging.mask_reading import read_mask
from mattecli.core.imaging.reading import read_color
from mattecli.core.inference.preview import preview_row
from mattecli.core.matting.placing import resize
from mattecli.core.metrics.pointwise import mse, sad
from mattecli.core.runtime.torch_model import TorchModel
from mattecli.core.training.processes import Processes


def validate(
    network: nn.Module, pairs: list[Source], processes: Processes, *, previews: int = 0
) -> tuple[dict[str, float], list[np.ndarray]]:
    """Mean SAD and MSE over whole images at the photos' own size, shared out over processes.

    Mattes are enlarged to the photo's size, not refined, so the values are those of
    ``matte predict --refine none``.

    Returns
    -------
    metrics : dict
        ``sad`` in thousands of pixels, and ``mse``.
    rows : list of uint8 ndarray
        Photo, alpha and cutout side by side, of the first `previews` photos of this process.
    """
    model = TorchModel(network, processes.device)
    # Sources of pairs have a matte for every image.
    files = [(image, truth) for source in pairs for image, truth in source.files if truth]
    sums = [0.0, 0.0]
    rows: list[np.ndarray] = []
    for image, truth in files[processes.rank :: processes.world]:
        color, matte = read_color(image), read_mask(truth).alpha
        (alpha,) = model.infer([model.prepare(color)])
        alpha = resize(alpha, *matte.shape)
        sums = [sums[0] + sad(alpha, matte), sums[1] + mse(alpha, matte)]
        if len(rows) < previews:
            rows.append(preview_row(color, alpha))
    sums = processes.total(sums)
    return {"sad": sums[0] / len(files), "mse": sums[1] / len(files)}, rows
