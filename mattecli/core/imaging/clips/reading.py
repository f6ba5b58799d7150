"""Clips, decoded: frames upright and in order, their times, and the sound that goes with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.extras import needs_extra
from mattecli.core.imaging.clips.colors import EXACT, EXACT_8_BIT, colors_of
from mattecli.core.imaging.clips.decoding import Decoding
from mattecli.core.imaging.clips.lengths import Lengths
from mattecli.core.imaging.clips.opening import reason
from mattecli.core.imaging.clips.sound import has_sound
from mattecli.core.imaging.clips.times import Clock
from mattecli.core.imaging.clips.turning import turning_of
from mattecli.core.imaging.pixels import MAX_PIXELS

if TYPE_CHECKING:
    from av.packet import Packet

CLIP_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"}
    | {".wmv", ".flv", ".3gp", ".ogv"}
)
_BROADCAST_SUFFIXES = frozenset({".ts", ".mts", ".m2ts"})
# Seconds by which sound begins too early because encoders fill it up in front.
_SHORT = Fraction(1, 10)
# More frames a second than these are a mistake of the header.
_MOST_RATE = 10_000


def is_clip(path: str | Path) -> bool:
    """Tell by its suffix whether a file is a clip."""
    return Path(path).suffix.lower() in CLIP_SUFFIXES


def is_clip_file(path: Path) -> bool:
    """Tell whether a file that is there is a clip; ``.ts`` and ``.mts`` are programs, too."""
    if not is_clip(path) or path.suffix.lower() not in _BROADCAST_SUFFIXES:
        return is_clip(path)
    try:
        with path.open("rb") as file:
            start = file.read(5)
    except OSError:
        return False
    # Packets of a broadcast begin with this byte, those of a disc have a time in front of it.
    return 0x47 in (*start[:1], *start[4:])


def import_av() -> Any:
    """Import PyAV.

    Raises
    ------
    MatteError
        If it is not installed.
    """
    with needs_extra("cutting clips", "video"):
        import av
    return av


class Frame(NamedTuple):
    """One frame of a clip.

    Attributes
    ----------
    color : ndarray of shape (H, W, 3), uint8 or uint16
        Upright RGB; 16 bits where the clip has more than 8.
    time, duration : int
        In units of the clip's `time_base`; a duration of 0 is not known.
    alpha : ndarray of shape (H, W), dtype of `color`, or None
        The clip's own alpha channel; `color` is straight.
    """

    color: np.ndarray
    time: int
    duration: int
    alpha: np.ndarray | None = None


class ClipReader:
    """A clip that is open for reading; a context manager.

    Attributes
    ----------
    path : Path
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
    colors : Colors
        Those of the first frame.
    audio : list of av.AudioStream
        Those that can be decoded.
    metadata : dict of str
    problems : list of str
        What was wrong, but not so much that `frames` had to end, once it has come to its end.
    notes : list of str
        What is no fault of the clip, but does not stay as it was.

    Raises
    ------
    MatteError
        If PyAV is missing, or the file is no clip, damaged, or has more than `max_pixels` a frame.
    """

    def __init__(self, path: Path, max_pixels: int = MAX_PIXELS) -> None:
        av = import_av()
        self._av, self.path = av, path
        self.problems: list[str] = []
        self.notes: list[str] = []
        self._decoding, first = self._open(max_pixels)
        self.colors = colors_of(first, path)
        self._container = self._decoding.container
        self._stream = stream = self._decoding.stream
        rates = (stream.average_rate, stream.guessed_rate)
        self.rate = next((rate for rate in rates if rate and 0 < rate < _MOST_RATE), Fraction(25))
        self.time_base: Fraction = stream.time_base or 1 / self.rate
        self.frame_count = stream.frames or self._count_by_duration()
        self._start = (first.pts or 0) * self.time_base
        self._set_shape(first)
        self._ignores_alpha = self._has_idle_alpha(first)
        sound = self._container.streams.audio
        self.audio = [stream for stream in sound if has_sound(stream)]
        if len(self.audio) < len(sound):
            self.problems.append("there is no decoder for its sound")
        self.metadata: dict[str, str] = dict(self._container.metadata)
        self._note(self._decoding.note, self._turning.lost)

    def _open(self, max_pixels: int) -> tuple[Decoding, Any]:
        """Open the file, and decode its first frame beforehand."""
        probe = Decoding(self._av, self.path, max_pixels)
        with closing(probe):
            first = probe.first()
        return Decoding(self._av, self.path, max_pixels), first

    def frames(self, take_audio: Callable[[Packet], None] | None = None) -> Iterator[Frame]:
        """Decode frame after frame, once; packets of sound are given to `take_audio` on the way.

        What starts first, frames or sound, starts at 0; sound that starts less than a tenth of a
        second before the first frame, as encoders make it, is cut there. Times are strictly
        increasing, also where those of the file are not or are missing.

        Raises
        ------
        MatteError
            If the clip is damaged or cut off.
        """
        origin = self._origin(bool(take_audio))
        clock = Clock(origin, self._container.format.name)
        step = max(1, round(1 / (self.rate * self.time_base)))
        last: int | None = None
        given: int | None = None
        count: Counter[str] = Counter()
        sound = self.audio if take_audio else []
        take = take_audio and self._without_lead(origin, take_audio)
        lengths = Lengths(self._container, self.rate)
        for frame in self._decoding.frames(clock, sound, take, lengths):
            time = frame.pts
            if time is not None:
                count["backward"] += given is not None and time < given
                given = time
            if time is None or (last is not None and time <= last):
                time = 0 if last is None else last + step
            color, alpha = self._upright(frame)
            yield Frame(color, time, frame.duration or 0, alpha)
            last = time
            count["all"] += 1
            count["damaged"] += frame.is_corrupt
            count["interlaced"] += frame.interlaced_frame
            count["resized"] += (frame.width, frame.height) != self._stored
        count["jumps"] = clock.jumps
        self._sum_up(count, lengths)

    def __enter__(self) -> ClipReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._decoding.close()

    def _set_shape(self, first: Any) -> None:
        self._turning = turning_of(first)
        shape = self._stream.sample_aspect_ratio
        shape = shape if shape and shape > 0 else Fraction(1)
        self.width, self.height = self._stored = first.width, first.height
        self.pixel_shape = shape
        if self._turning.quarters % 2:
            self.width, self.height, self.pixel_shape = first.height, first.width, 1 / shape

    def _has_idle_alpha(self, first: Any) -> bool:
        """Tell whether alpha is the byte of 32-bit AVI files that Windows leaves 0 and ignores."""
        if self._container.format.name != "avi" or not _has_alpha(first):
            return False
        return not first.to_ndarray(format="rgba")[..., 3].any()

    def _origin(self, with_sound: bool) -> Fraction:
        """Find the time in seconds that becomes 0."""
        known = [one for one in self.audio if one.start_time is not None] if with_sound else []
        # These are times of the sound itself, not of what its decoder throws away in front.
        starts = [one.start_time * one.time_base for one in known]
        earliest = min([self._start, *starts])
        if self._start - earliest <= _SHORT:
            return self._start
        # A multiple of the video's unit, so that frames and sound move alike.
        return floor(earliest / self.time_base) * self.time_base

    def _without_lead(
        self, origin: Fraction, take: Callable[[Packet], None]
    ) -> Callable[[Packet], None]:
        """Leave out packets of sound that lie before 0, where its stream begins before."""
        leading = {
            one.index
            for one in self.audio
            if one.start_time is not None and one.start_time * one.time_base < origin
        }

        def take_rest(packet: Packet) -> None:
            if packet.stream.index in leading and packet.pts is not None:
                if packet.pts + (packet.duration or 0) / 2 < 0:
                    return
                leading.discard(packet.stream.index)
            take(packet)

        return take_rest

    def _upright(self, frame: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """Color and alpha; a frame of another size than the first is resized to it."""
        is_deep = max(component.bits for component in frame.format.components) > 8
        has_alpha = _has_alpha(frame) and not self._ignores_alpha
        name = (
            ("rgba64le" if is_deep else "rgba") if has_alpha else "rgb48le" if is_deep else "rgb24"
        )
        try:
            array = frame.to_ndarray(
                width=self._stored[0],
                height=self._stored[1],
                format=name,
                src_colorspace=colors_of(frame, self.path).scaler_matrix,
                interpolation=EXACT if is_deep else EXACT_8_BIT,
            )
        except (self._av.FFmpegError, ValueError) as error:
            kind = frame.format.name
            raise MatteError(
                f"cannot convert {kind} frames of {self.path}: {reason(error)}"
            ) from None
        array = self._turning.apply(array)
        if not has_alpha:
            return array, None
        return np.ascontiguousarray(array[..., :3]), np.ascontiguousarray(array[..., 3])

    def _count_by_duration(self) -> int | None:
        if self._stream.duration:
            return round(self._stream.duration * self.time_base * self.rate)
        if self._container.duration:
            return round(Fraction(self._container.duration, self._av.time_base) * self.rate)
        return None

    def _sum_up(self, count: Counter[str], lengths: Lengths) -> None:
        """Say what was wrong, and what is not as it was, from numbers of frames."""
        for found, text in (
            (count["damaged"], f"{{}} of its {count['all']} frames are damaged"),
            (self._decoding.lost, "packets of it that could not be decoded: {}"),
            (count["backward"], "frames whose time runs backward, put at the mean rate: {}"),
        ):
            if found:
                self.problems.append(text.format(found))
        self.problems += lengths.problems()
        size = "{}x{}".format(*self._stored)
        for found, text in (
            (count["jumps"], "jumps of its clock, closed: {}"),
            (count["interlaced"], "interlaced frames, cut without deinterlacing: {}"),
            (count["resized"], f"frames of another size, scaled to {size}: {{}}"),
        ):
            if found:
                self._note(text.format(found))

    def _note(self, *notes: str) -> None:
        self.notes += [note for note in notes if note]


def _has_alpha(frame: Any) -> bool:
    form = frame.format
    return form.has_palette or any(component.is_alpha for component in form.components)
