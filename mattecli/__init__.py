"""Image matting: alpha mattes and clean cutouts, without a trimap.

>>> import mattecli as matte
>>> alpha = matte.predict("photo.jpg")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mattecli.version import __version__ as __version__

__all__ = ["MatteError", "Scores", "Session", "composite", "cutout", "evaluate", "predict"]

if TYPE_CHECKING:
    from mattecli.api import MatteError, Scores, Session, composite, cutout, evaluate, predict


def __getattr__(name: str) -> Any:
    # Not before it is needed: importing NumPy and PyTorch takes seconds, and `matte --help` has
    # no use for them.
    if name in __all__:
        from mattecli import api

        return getattr(api, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
