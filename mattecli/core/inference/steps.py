"""What is done with each photo on its way, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mattecli.core.imaging.pixels import Picture
from mattecli.core.inference.assessment import Assessment
from mattecli.core.inference.jobs import Job
from mattecli.core.matting.full_size import NetworkMatte
from mattecli.core.matting.hints import Hints


@dataclass
class Item:
    """A photo whose matte is there: what its results are made of."""

    job: Job
    picture: Picture
    found: NetworkMatte
    hints: Hints | None = None


@dataclass
class Outcome:
    """How one photo ended: ok, empty (nothing found), skipped or failed; see `Assessment`.

    Attributes
    ----------
    is_lost : bool
        Whether it failed because its process ended.
    """

    job: Job
    status: str
    reason: str = ""
    seconds: float = 0.0
    size: tuple[int, int] | None = None
    assessment: Assessment | None = None
    preview: np.ndarray | None = field(default=None, repr=False)
    warnings: tuple[str, ...] = ()
    is_lost: bool = False


@dataclass
class Steps:
    """What is done with each photo before and after the network; runs in worker threads.

    Attributes
    ----------
    decode : callable
        Reads one photo.
    finish : callable
        Turns a photo and its matte into files.
    hints : callable
        Reads what is said of a photo, if anything is.
    detailed : callable
        Tells whether the network takes a detail pass of a photo, if it has one.
    """

    decode: Callable[[Job], Picture]
    finish: Callable[[Item], Outcome]
    hints: Callable[[Job, Picture], Hints | None] = lambda job, picture: None
    detailed: Callable[[Job], bool] = lambda job: False
