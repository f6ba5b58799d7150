"""Photos of which some end their process: a decoder of theirs reads memory that is not there."""

from __future__ import annotations

import ctypes
import multiprocessing
import os

from mattecli.core.dataset import sample_check
from mattecli.core.dataset.check_task import CheckTask
from mattecli.core.dataset.sample_check import SampleCheck
from mattecli.core.executing.tasks import OneByOne
from mattecli.core.inference import run
from mattecli.core.inference.photo_task import PhotoEngine, PhotoTask

CRASHES = b"\xff\xd8 this crashes a decoder"

_read_picture = run.read_picture


def read_picture(source, *arguments):
    if source.read_bytes() == CRASHES:
        ctypes.string_at(0)
    return _read_picture(source, *arguments)


class CrashingPhotos(PhotoTask):
    """Crashes as told above, but only in workers."""

    def open(self, cpus: int) -> PhotoEngine:
        # Children of pytest are told from it by their parent, workers of Ray by their environment.
        assert multiprocessing.parent_process() is not None or "RAY_JOB_ID" in os.environ
        run.read_picture = read_picture
        return super().open(cpus)


class CrashingChecks(CheckTask):
    """Crashes as told above, but only in workers."""

    def open(self, cpus: int) -> OneByOne[str, SampleCheck]:
        assert multiprocessing.parent_process() is not None
        sample_check.read_picture = read_picture
        return super().open(cpus)
