"""Clips, decoded: frames upright and in order, their times, and the sound that goes with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mattecli.core.errors import MatteError, missing
from mattecli.core.imaging.pixels import MAX_PIXELS

if TYPE_CHECKING:
    from av.packet import Packet

CLIP_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"}
    | {".wmv", ".flv", ".3gp", ".ogv"}
)
# Players take what names no colour matrix for that of high definition from this height on.
_HIGH_DEFINITION = 720
_UNSPECIFIED, _BT709 = 2, 1


def is_clip(path: str | Path) -> bool:
    """Tell by its suffix whether a file is a clip."""
    return Path(path).suffix.lower() in CLIP_SUFFIXES


def import_av() -> Any:
    """Import PyAV.

    Raises
    ------
    MatteError
        If it is not installed.
    """
    try:
        import av
    except ImportError:
        raise MatteError("clips need the package av: pip install 'mattecli[video]'") from None
    return av


class Frame(NamedTuple):
    """One frame of a clip.

    Attributes
    ----------
    color : ndarray of shape (H, W, 3), uint8 or uint16
        Upright RGB; 16 bits where the clip has more than 8.
    time, duration : int
        In units of the clip's `time_base`; a duration of 0 is not known.
    """

    color: np.ndarray
    time: int
    duration: int


class ClipReader:
    """A clip that is open for reading; a context manager.

    Attributes
    ----------
    width, height : int
        Of the upright frames.
    pixel_shape : Fraction
        Width over height of a pixel of the upright frames.
    rate : Fraction
        Frames a second, on average.
    time_base : Fraction
        Seconds of a unit of time.
    frame_count : int or None
        What the file says, or its duration suggests.
    audio : list of av.AudioStream
        Those that can be decoded.
    metadata : dict of str
    problems : list of str
        What was wrong, but not so much that `frames` had to end, once it has come to its end.

    Raises
    ------
    MatteError
        If PyAV is missing, or the file is no clip, damaged, or has more than `max_pixels` a frame.
    """

    def __init__(self, path: Path, max_pixels: int = MAX_PIXELS) -> None:
        self._av = import_av()
        self._path = path
        with self._open() as container:
            stream = self._video_of(container)
            if stream.width * stream.height > max_pixels:
                raise MatteError(
                    f"{path} has {stream.width}x{stream.height} pixels a frame, more than the "
                    f"limit of {max_pixels / 1e6:g} megapixels"
                )
            # Only a decoded frame says how it is turned.
            try:
                first = next(container.decode(stream))
            except (self._av.FFmpegError, StopIteration) as error:
                raise self._damaged(0, error) from None
            self._quarter_turns = round(first.rotation / 90) % 4
        self._container = self._open()
        self._stream = stream = self._video_of(self._container)
        stream.thread_type = "AUTO"
        shape = stream.sample_aspect_ratio or Fraction(1)
        self.width, self.height = self._stored = first.width, first.height
        self.pixel_shape = shape
        if self._quarter_turns % 2:
            self.width, self.height, self.pixel_shape = first.height, first.width, 1 / shape
        self.rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        self.time_base: Fraction = stream.time_base or 1 / self.rate
        self.frame_count = stream.frames or self._count_by_duration()
        sound = self._container.streams.audio
        self.audio = [stream for stream in sound if stream.codec_context is not None]
        self.problems: list[str] = []
        if len(self.audio) < len(sound):
            self.problems.append("there is no decoder for its sound")
        self.metadata: dict[str, str] = dict(self._container.metadata)

    def frames(self, take_audio: Callable[[Packet], None] | None = None) -> Iterator[Frame]:
        """Decode frame after frame, once; packets of sound are given to `take_audio` on the way.

        Times are strictly increasing, also where those of the file are not or are missing.

        Raises
        ------
        MatteError
            If the clip is damaged or cut off.
        """
        step = max(1, round(1 / (self.rate * self.time_base)))
        last: int | None = None
        count = damaged = 0
        try:
            for packet in self._container.demux(
                [self._stream, *(self.audio if take_audio else [])]
            ):
                if packet.stream is not self._stream:
                    if take_audio and packet.dts is not None:
                        take_audio(packet)
                    continue
                if packet.is_corrupt:
                    raise self._av.error.InvalidDataError(0, "a packet is cut off")
                for frame in packet.decode():
                    time = frame.pts
                    if time is None or (last is not None and time <= last):
                        time = 0 if last is None else last + step
                    yield Frame(self._upright(frame), time, frame.duration or 0)
                    last = time
                    count += 1
                    damaged += frame.is_corrupt
        except self._av.FFmpegError as error:
            raise self._damaged(count, error) from None
        if damaged:
            self.problems.append(f"{damaged} of its {count} frames are damaged")
        # Matroska files end without a word where they are cut off.
        declared, end = self._declared_seconds(), float((last or 0) * self.time_base)
        if end < 0.9 * declared - float(1 / self.rate):
            self.problems.append(f"it ends after {end:.1f} of {declared:.1f} seconds")

    def __enter__(self) -> ClipReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def _open(self) -> Any:
        if not self._path.is_file():
            raise missing(self._path)
        try:
            return self._av.open(str(self._path))
        except (self._av.FFmpegError, OSError) as error:
            raise MatteError(f"cannot read {self._path}: {_reason(error)}") from None

    def _video_of(self, container: Any) -> Any:
        stream = container.streams.best("video")
        if stream is None or stream.codec_context is None:
            raise MatteError(f"{self._path} holds no video that can be decoded")
        return stream

    def _upright(self, frame: Any) -> np.ndarray:
        """uint8 or uint16 H×W×3; a frame of another size than the first is resized to it."""
        is_deep = max(component.bits for component in frame.format.components) > 8
        untagged = frame.colorspace == _UNSPECIFIED and frame.height >= _HIGH_DEFINITION
        array = frame.to_ndarray(
            width=self._stored[0],
            height=self._stored[1],
            format="rgb48le" if is_deep else "rgb24",
            src_colorspace=_BT709 if untagged else None,
        )
        return np.ascontiguousarray(np.rot90(array, self._quarter_turns))

    def _count_by_duration(self) -> int | None:
        if self._stream.duration:
            return round(self._stream.duration * self.time_base * self.rate)
        if self._container.duration:
            return round(Fraction(self._container.duration, self._av.time_base) * self.rate)
        return None

    def _declared_seconds(self) -> float:
        """Give the length of the video that a Matroska file's header names; otherwise 0."""
        parts = self._stream.metadata.get("DURATION", "0").split(":")
        try:
            return sum(float(part) * 60**i for i, part in enumerate(reversed(parts)))
        except ValueError:
            return 0.0

    def _damaged(self, count: int, error: Exception) -> MatteError:
        where = f"after {count} frames" if count else "at its first frame"
        return MatteError(f"{self._path} is damaged {where}: {_reason(error)}")


def _reason(error: BaseException) -> str:
    return " ".join(
        (getattr(error, "strerror", None) or str(error) or type(error).__name__).split()
    )
