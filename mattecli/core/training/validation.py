"""How good a network is on photos it does not train on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from torch import nn

from mattecli.core.dataset.sample_cache import check_size
from mattecli.core.dataset.sources import Source
from mattecli.core.errors import reason_of
from mattecli.core.imaging.mask_reading import read_mask
from mattecli.core.imaging.reading import read_color
from mattecli.core.inference.preview import preview_row
from mattecli.core.matting.placing import resize
from mattecli.core.metrics.pointwise import mse, sad
from mattecli.core.runtime.torch_model import TorchModel
from mattecli.core.training.stopping import Stop, Stopped


@dataclass
class Validation:
    """What a validation found.

    Attributes
    ----------
    metrics : dict
        ``sad`` in thousands of pixels, and ``mse``; empty if no photo could be validated.
    skipped : int
        Photos that could not be read, over all processes.
    reasons : list of str
        Why not, of those of this process.
    rows : list of uint8 ndarray
        Photo, alpha and cutout side by side, of the first photos of this process.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    skipped: int = 0
    reasons: list[str] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)


def validate(
    network: nn.Module, pairs: list[Source], stop: Stop, *, previews: int = 0
) -> Validation:
    """Mean SAD and MSE over whole images at the photos' own size, shared out over processes.

    Mattes are enlarged to the photo's size, not refined, so the values are those of
    ``matte predict --refine none``. A photo that is damaged is left out and does not end a run.

    Raises
    ------
    Stopped
        If a stop was asked for.
    """
    processes = stop.processes
    model = TorchModel(network, processes.device)
    # Sources of pairs have a matte for every image.
    files = [(image, truth) for source in pairs for image, truth in source.files if truth]
    validated = Validation()
    sums = [0.0, 0.0, 0.0, 0.0]
    for image, truth in files[processes.rank :: processes.world]:
        if stop.asked():
            sums[3] = 1.0
            break
        try:
            color, matte = read_color(image), read_mask(truth).alpha
            check_size(image, color, truth, matte)
        # Decoders, a disk, a file that is gone by now: none of it may end a run of days.
        except Exception as error:
            validated.reasons.append(reason_of(error, image))
            continue
        (alpha,) = model.infer([model.prepare(color)])
        alpha = resize(alpha, *matte.shape)
        sums = [sums[0] + sad(alpha, matte), sums[1] + mse(alpha, matte), sums[2] + 1, 0.0]
        if len(validated.rows) < previews:
            validated.rows.append(preview_row(color, alpha))
    sums = processes.total(sums)
    if sums[3]:
        raise Stopped
    validated.skipped = len(files) - round(sums[2])
    if sums[2]:
        validated.metrics = {"sad": sums[0] / sums[2], "mse": sums[1] / sums[2]}
    return validated
