"""How good a network is on photos it does not train on."""

from __future__ import annotations

import torch
from torch import nn

from mattecli.core.dataset.sources import Source
from mattecli.core.imaging.placing import resize
from mattecli.core.imaging.reading import read_alpha, read_color
from mattecli.core.inference.predictor import Predictor
from mattecli.core.metrics.pointwise import mse, sad


def validate(network: nn.Module, pairs: list[Source], device: torch.device) -> dict[str, float]:
    """Mean SAD and MSE over whole images at the photos' own size.

    What the network itself does is measured: mattes are enlarged, not refined, so the figures are
    those of ``matte predict --refine none``.
    """
    predictor = Predictor(network, device)
    sads, mses = [], []
    for image, truth in (files for source in pairs for files in source.files):
        color, matte = read_color(image), read_alpha(truth)
        (alpha,) = predictor.run([predictor.shrink(color)])
        alpha = resize(alpha, *matte.shape)
        sads.append(sad(alpha, matte))
        mses.append(mse(alpha, matte))
    return {"sad": sum(sads) / len(sads), "mse": sum(mses) / len(mses)}
