"""The compositing equation, the only one in the program."""

from __future__ import annotations

from typing import Any

import numpy as np


def composite(alpha: Any, foreground: Any, background: Any) -> Any:
    """Lay `foreground` over `background`: ``αF + (1−α)B``.

    Works on NumPy arrays and on torch tensors alike, in the floating type of `alpha` and without
    rounding: who stores integers decides how to round.

    Parameters
    ----------
    alpha : float array or tensor, range [0, 1]
        NumPy: H×W, or anything that broadcasts. Torch: anything that broadcasts, such as
        B×1×H×W against B×3×H×W.
    foreground, background : array or tensor
        Straight (not premultiplied) colors in any range, such as H×W×3, or a single color of
        shape (3,). An H×W `alpha` in NumPy is spread over their channels.

    Returns
    -------
    array or tensor
        The composite, in the range of `foreground` and `background`.
    """
    if isinstance(alpha, np.ndarray) and alpha.ndim == 2:
        color_axes = max(np.ndim(foreground), np.ndim(background))
        if color_axes in (1, 3):
            alpha = alpha[..., None]
    return alpha * foreground + (1 - alpha) * background
