"""Keeping decoders quiet: what they print is no message of ours, and tears a log of JSON."""

from __future__ import annotations

import contextlib
import ctypes
import os
import tempfile
import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import IO, Any

import cv2
from PIL import Image

_lock = threading.Lock()
_users = 0
_levels: list[Any] = []


@contextlib.contextmanager
def quiet_decoders() -> Iterator[None]:
    """Silence OpenCV's log and libtiff's errors while any thread is in such a block.

    What goes wrong comes back as an error of the decoder all the same. Both settings belong to the
    whole process, so the last thread to leave puts back what the first one found.
    """
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            _levels[:] = [_opencv_level(_SILENT), _libtiff_handler(None)]
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _opencv_level(_levels[0])
                _libtiff_handler(_levels[1])


@contextlib.contextmanager
def without_lines(start: bytes) -> Iterator[None]:
    """Keep lines that begin so, which a library prints itself, from the process's standard error.

    All else that is written meanwhile, by whatever thread, is passed on when the last one leaves.
    """
    global _held, _writers
    with _lock:
        if _writers == 0:
            with contextlib.suppress(OSError):  # there is no standard error
                _held = (os.dup(2), tempfile.TemporaryFile())  # noqa: SIM115
                os.dup2(_held[1].fileno(), 2)
        _writers += 1
    try:
        yield
    finally:
        with _lock:
            _writers -= 1
            if _writers == 0 and _held is not None:
                kept, written = _held
                _held = None
                os.dup2(kept, 2)
                os.close(kept)
                with written:
                    written.seek(0)
                    lines = [line for line in written if not line.startswith(start)]
                with contextlib.suppress(OSError):
                    os.write(2, b"".join(lines))


_writers = 0
_held: tuple[int, IO[bytes]] | None = None
_SILENT = 0


def _opencv_level(level: Any) -> Any:
    """Set OpenCV's level of logging and give the one before."""
    try:
        return cv2.utils.logging.setLogLevel(level)
    except AttributeError:  # a build without logging
        return level


def _libtiff_handler(handler: Any) -> Any:
    """Set the function that prints the errors of Pillow's libtiff and give the one before."""
    setter = _libtiff_setter()
    return setter(handler) if setter else None


@lru_cache(maxsize=1)
def _libtiff_setter() -> Any:
    """Find libtiff among the libraries that Pillow is linked with; None where it cannot be seen."""
    try:
        setter = ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler
    except (AttributeError, OSError):
        return None
    setter.restype, setter.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    return setter
