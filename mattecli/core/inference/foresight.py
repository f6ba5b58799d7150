"""What a run would read and write, from the headers of files alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from mattecli.core.imaging.opening import check_pixels
from mattecli.core.imaging.reading import image_size
from mattecli.core.inference.inputs import Address
from mattecli.core.inference.jobs import Job
from mattecli.core.inference.run import Settings
from mattecli.core.matting.framing import frame_of
from mattecli.core.matting.outputs import GREY, TRANSPARENT, OutputSpec
from mattecli.core.objects.paths import ObjectPath

# What a file has beside its pixels, and what a packed one may be longer than these by.
_BESIDE = 1 << 16


class Foresight(NamedTuple):
    """What is known of a photo before it is decoded.

    Attributes
    ----------
    size : str
        In pixels, or that it is not known.
    pixels : int
    most : int
        Bytes of its results if nothing of them could be packed.
    replaced : int
        Results that are there already.
    """

    size: str
    pixels: int
    most: int
    replaced: int


def foresee(job: Job, settings: Settings) -> Foresight:
    """Look at the header of a photo.

    Raises
    ------
    MatteError
        If it cannot be read, or is too large.
    """
    replaced = replaced_by(job)
    if isinstance(job.source, Address):
        return Foresight("size not known", 0, 0, replaced)
    width, height = image_size(job.source)
    check_pixels(job.source, (width, height), settings.max_pixels)
    most = _BESIDE * len(job.outputs)
    for _, part in settings.parts():
        most += _most_bytes(width, height, part.outputs)
    return Foresight(f"{width}x{height}", width * height, most, replaced)


def replaced_by(job: Job) -> int:
    """Count the results of a job that are there already."""
    return sum(path.is_file() for path in job.outputs.values())


def _most_bytes(width: int, height: int, spec: OutputSpec) -> int:
    """Give the bytes of what is made of a photo, none of it packed."""
    channels = sum(1 if kind in GREY else 4 if kind in TRANSPARENT else 3 for kind in spec.kinds)
    if spec.framing is not None:
        # The subject is as large as its photo at most.
        (height, width), _ = frame_of((height, width), spec.framing)
    return width * height * channels * spec.bits // 8


def free_bytes(job: Job) -> int | None:
    """Give the room on the disk that a job writes to; None if it writes elsewhere."""
    place = next(iter(job.outputs.values())).absolute()
    if str(next(iter(job.outputs.values()))) == "-" or isinstance(place, ObjectPath):
        return None
    while not place.is_dir() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(Path(place)).free
