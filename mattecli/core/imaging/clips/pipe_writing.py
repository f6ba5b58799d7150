"""Frames that go to standard output, to programs such as ffmpeg."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.clips.opening import reason
from mattecli.core.imaging.clips.reading import Frame, import_av
from mattecli.core.imaging.clips.sound import Sound
from mattecli.core.imaging.writing import write_standard_output

if TYPE_CHECKING:
    from av.packet import Packet

#: What is written to standard output: frames in the container NUT, or nothing but their bytes.
NUT, RAW = ".nut", ".raw"
PIPES = (NUT, RAW)
# NUT takes sound in any codec; these are what programs read from it.
_KEPT = frozenset(
    {"aac", "mp3", "opus", "vorbis", "flac", "ac3", "eac3", "pcm_s16le", "pcm_s24le", "pcm_f32le"}
)


class PipeWriter:
    """Frames on their way to standard output; a context manager that completes them.

    Parameters
    ----------
    form : str
        One of `PIPES`.
    like : ClipReader
        Whose size, times and sound they have.
    channels : int
        1 for mattes, 3 for colors, 4 for both.
    bits : int
        Of a channel, 8 or 16.

    Raises
    ------
    OutputUnusable
        Here and in all methods, if standard output is closed, also by the one who reads.
    """

    def __init__(self, form: str, like: Any, *, channels: int, bits: int) -> None:
        self._av, self._like, self.bits = import_av(), like, bits
        names = {8: {1: "gray", 3: "rgb24", 4: "rgba"}}
        names[16] = {1: "gray16le", 3: "rgb48le", 4: "rgba64le"}
        self._pixels = names[bits][channels]
        self._container: Any = None
        self._sounds: dict[int, Sound] = {}
        if form == NUT:
            self._open()

    def _open(self) -> None:
        like = self._like
        self._file = _StandardOutput()
        self._container = self._av.open(self._file, "w", format="nut")
        self._stream = self._container.add_stream("rawvideo", rate=like.rate)
        context = self._stream.codec_context
        context.width, context.height, context.pix_fmt = like.width, like.height, self._pixels
        context.time_base = self._stream.time_base = like.time_base
        context.sample_aspect_ratio = like.pixel_shape
        for stream in like.audio:
            self._sounds[stream.index] = Sound(self._av, self._container, stream, _KEPT, "aac")

    def convert(self, array: np.ndarray, like: Frame) -> Any:
        """Make of an array of shape (H, W), (H, W, 3) or (H, W, 4) what `write` takes."""
        array = np.ascontiguousarray(array)
        if self._container is None:
            return array.tobytes()
        frame = self._av.VideoFrame.from_ndarray(array, format=self._pixels)
        frame.pts, frame.time_base = like.time, self._like.time_base
        return frame

    def write(self, frame: Any) -> None:
        """Write the next frame."""
        if self._container is None:
            write_standard_output(frame)
        else:
            with self._telling():
                self._container.mux(self._stream.encode(frame))

    def write_audio(self, packet: Packet) -> None:
        """Write a packet of sound, where there is a place for it."""
        if self._container is not None:
            with self._telling():
                self._sounds[packet.stream.index].write(packet)
            return
        note = "its sound is left out, as bare frames have none"
        if note not in self._like.notes:
            self._like.notes.append(note)

    def __enter__(self) -> PipeWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._container is None:
            return
        if kind is not None:
            # Nobody is there to read the rest, or shall take it for all.
            self._file.is_open = False
            with suppress(Exception):
                self._container.close()
            return
        with self._telling():
            self._container.mux(self._stream.encode(None))
            for sound in self._sounds.values():
                sound.finish()
                self._like.notes += sound.notes
                self._like.problems += sound.problems
            self._container.close()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Raise what was wrong with standard output, where PyAV says that something was."""
        try:
            yield
        except Exception as error:
            if self._file.error is not None:
                raise self._file.error from None
            raise MatteError(f"cannot write frames to standard output: {reason(error)}") from None


class _StandardOutput:
    """A file for PyAV that can only be written to."""

    def __init__(self) -> None:
        self.is_open = True
        self.error: MatteError | None = None

    def write(self, data: bytes) -> int:
        try:
            if self.is_open:
                write_standard_output(data)
        except MatteError as error:
            self.is_open, self.error = False, error
            raise
        return len(data)
