"""Frames that come through standard input, from programs such as ffmpeg."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mattecli.core.errors import MatteError
from mattecli.core.imaging.clips.decoding import Damaged, Decoding
from mattecli.core.imaging.clips.lengths import Lengths
from mattecli.core.imaging.clips.opening import decoder_limit, reason
from mattecli.core.imaging.clips.reading import ClipReader, Frame
from mattecli.core.imaging.clips.times import Clock
from mattecli.core.imaging.pixels import MAX_PIXELS

if TYPE_CHECKING:
    from av.packet import Packet

# What streams that say themselves what they hold begin with, and FFmpeg's names for them.
_STARTS = {b"YUV4MPEG2 ": "yuv4mpegpipe", b"nut/multimedia container\0": "nut"}
_LONGEST_HEADER = 4096
_LONGEST_START = max(map(len, _STARTS))


class RawFrames(NamedTuple):
    """What frames without a header are: size, frames a second, FFmpeg's name of their pixels."""

    width: int
    height: int
    rate: Fraction
    pixels: str

    @classmethod
    def parse(cls, text: str) -> RawFrames:
        """Understand ``1280x720@30:rgb24``, ``…@30000/1001`` and ``…@25``, which is rgb24.

        Raises
        ------
        MatteError
            If it is none of them.
        """
        form = r"(\d{1,5})x(\d{1,5})@(\d+(?:\.\d+)?(?:/\d+)?)(?::(\w+))?"
        found = re.fullmatch(form, text)
        wrong = f"'{text}' is no description of frames: use one such as 1280x720@30:rgb24"
        if found is None or "0" in (found[1].lstrip("0") or "0", found[2].lstrip("0") or "0"):
            raise MatteError(wrong)
        number, _, divisor = found[3].partition("/")
        if not Fraction(number) or (divisor and not int(divisor)):
            raise MatteError(wrong)
        rate = Fraction(number) / int(divisor or 1)
        return cls(int(found[1]), int(found[2]), rate, found[4] or "rgb24")


def standard_input_is_clip() -> bool:
    """Tell whether what comes through standard input says that it is a stream of frames."""
    start = _peek()
    return any(start.startswith(known) for known in _STARTS)


class PipedReader(ClipReader):
    """The frames that come through standard input, in YUV4MPEG2, NUT, or without any header.

    Sound is left out.

    Parameters
    ----------
    raw : RawFrames, optional
        What frames without a header are.
    """

    def __init__(self, raw: RawFrames | None = None, max_pixels: int = MAX_PIXELS) -> None:
        self._raw = raw
        super().__init__(Path("-"), max_pixels)
        if self.audio:
            self.notes.append("its sound is left out, as it came through a pipe")
        self.audio = []

    def frames(self, take_audio: Callable[[Packet], None] | None = None) -> Iterator[Frame]:
        """Decode frame after frame, once; there is no sound."""
        count = 0
        for frame in super().frames():
            count += 1
            yield frame
        if self._piped.breaks_off(count):
            self.problems.append("it breaks off within a frame")

    def _open(self, max_pixels: int) -> tuple[Decoding, Any]:
        self._piped = _PipedDecoding(self._av, max_pixels, self._raw)
        return self._piped, self._piped.first()


class _PipedDecoding(Decoding):
    """A decoder of what can be read only once: the first frame is kept for the one who comes."""

    def __init__(self, av: Any, max_pixels: int, raw: RawFrames | None) -> None:
        self._file = _StandardInput(_input())
        container = _opened(av, self._file, raw, max_pixels)
        super().__init__(av, Path("standard input"), max_pixels, container)
        self._running: Iterator[Any] = iter(())
        self._is_cut = False

    def first(self) -> Any:
        """Decode one frame."""
        self._running = super().frames(None, [])
        for frame in self._running:
            self._first = frame
            return frame
        raise MatteError("standard input holds no frame that can be decoded")

    def frames(
        self,
        clock: Clock | None,
        sound: list[Any],
        take_sound: Callable[[Packet], None] | None = None,
        lengths: Lengths | None = None,
    ) -> Iterator[Any]:
        """Give the first frame again, and then all others; times begin at 0."""
        begin = self._first.pts or 0
        self._first.pts = 0
        yield self._first
        for frame in self._whole():
            if frame.pts is not None:
                frame.pts -= begin
            yield frame

    def _whole(self) -> Iterator[Any]:
        """Give the frames that follow, also where the stream ends within one."""
        try:
            yield from self._running
        except Damaged:
            if not self._file.is_at_end:
                raise
            self._is_cut = True
            with suppress(Damaged):
                yield from self._decode(None)

    def breaks_off(self, count: int) -> bool:
        """Tell whether there is more than so many frames, which FFmpeg does not always say."""
        if self.container.format.name != "yuv4mpegpipe":
            return self._is_cut
        form = self._first.format
        samples = sum(component.width * component.height for component in form.components)
        frame = self._file.frame_header_length + samples * -(-form.components[0].bits // 8)
        return self._file.count > self._file.header_length + count * frame


class _StandardInput:
    """A file for PyAV that can only be read."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._start = b""
        self.count = 0
        self.is_at_end = False

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.count += len(data)
        self.is_at_end = not data
        if len(self._start) < _LONGEST_HEADER:
            self._start += data[:_LONGEST_HEADER]
        return data

    @property
    def header_length(self) -> int:
        """Bytes of the first line."""
        return self._start.find(b"\n") + 1

    @property
    def frame_header_length(self) -> int:
        """Bytes of the line that begins the first frame, which may have parameters."""
        return self._start.find(b"\n", self.header_length) + 1 - self.header_length


def _input() -> Any:
    if sys.stdin is None or sys.stdin.closed:
        raise MatteError("standard input is closed: pipe frames into it, or name a file")
    return sys.stdin.buffer


def _peek() -> bytes:
    """Look at what comes first, and leave it there."""
    if sys.stdin is None or sys.stdin.closed:
        return b""
    file = sys.stdin.buffer
    if hasattr(file, "peek"):
        return file.peek(_LONGEST_START)[:_LONGEST_START]
    start = file.read(_LONGEST_START)
    file.seek(-len(start), 1)
    return start


def _opened(av: Any, file: _StandardInput, raw: RawFrames | None, max_pixels: int) -> Any:
    options = {"max_pixels": str(decoder_limit(max_pixels))}
    if raw is None:
        start = _peek()
        form = next((name for known, name in _STARTS.items() if start.startswith(known)), None)
        if form is None:
            raise MatteError(
                "standard input is no stream of frames: use ffmpeg's -f nut or -f yuv4mpegpipe, or "
                "--raw for frames without a header"
            )
    else:
        form = "rawvideo"
        if raw.width * raw.height > max_pixels:
            raise MatteError(
                f"frames of {raw.width}x{raw.height} pixels are more than the limit of "
                f"{max_pixels / 1e6:g} megapixels"
            )
        options = {"video_size": f"{raw.width}x{raw.height}", "framerate": str(raw.rate)}
        options["pixel_format"] = raw.pixels
    try:
        return av.open(file, format=form, options=options)
    except (av.FFmpegError, OSError, ValueError) as error:
        what = f" as frames of {raw.pixels}" if raw else ""
        raise MatteError(f"cannot read standard input{what}: {reason(error)}") from None
