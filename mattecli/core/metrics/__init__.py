"""The errors of a matte against the truth, as the field's tables state them, and their statistics.

The definitions follow the public Composition-1k evaluation (Xu et al., "Deep Image Matting", CVPR
2017), and agree with its MATLAB code to a relative 1e-5.
"""

from mattecli.core.metrics.connectivity import connectivity_error
from mattecli.core.metrics.gradient import gradient_error
from mattecli.core.metrics.pointwise import mad, mse, sad
from mattecli.core.metrics.scores import Scores, score

__all__ = ["Scores", "connectivity_error", "gradient_error", "mad", "mse", "sad", "score"]
