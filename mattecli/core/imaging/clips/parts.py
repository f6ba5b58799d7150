"""A part of a clip, as if it were all of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from mattecli.core.errors import MatteError
from mattecli.core.imaging.clips.reading import Frame

if TYPE_CHECKING:
    from av.packet import Packet

# Sound lies in a file up to so many seconds behind the frames that it belongs to.
_SOUND_BEHIND = 1


class Range(NamedTuple):
    """A part of a clip in seconds; `end` itself is no part of it, and None is the clip's end."""

    start: Fraction = Fraction(0)
    end: Fraction | None = None

    @property
    def is_all(self) -> bool:
        """Whether it is the whole clip."""
        return self == Range()

    @classmethod
    def parse(cls, start: str | None, end: str | None) -> Range:
        """Understand times: seconds, M:SS or H:MM:SS.

        Raises
        ------
        MatteError
            If one is none, or the end comes before the start.
        """
        found = cls(parse_time(start) if start else Fraction(0), parse_time(end) if end else None)
        if found.end is not None and found.end <= found.start:
            raise MatteError(f"--end {end} is not behind --start {start or 0}")
        return found


def parse_time(text: str) -> Fraction:
    """Understand ``75.5``, ``1:15.5`` and ``0:01:15.5`` as seconds.

    Raises
    ------
    MatteError
        If it is none of them.
    """
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d+)?", text):
        raise MatteError(f"'{text}' is no time: use seconds, M:SS or H:MM:SS")
    seconds = Fraction(0)
    for part in text.split(":"):
        seconds = 60 * seconds + Fraction(part)
    return seconds


class ClipPart:
    """A part of an open clip; what it does not have itself is the clip's.

    Parameters
    ----------
    clip : ClipReader, AnimationReader or FrameFolder
    part : Range
    """

    def __init__(self, clip: Any, part: Range) -> None:
        self._clip, self._part = clip, part
        self.frame_count = self._count()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clip, name)

    def frames(self, take_audio: Callable[[Packet], None] | None = None) -> Iterator[Frame]:
        """Decode the part's frames; its start becomes 0.

        Sound is cut between packets, some hundredths of a second long.

        Raises
        ------
        MatteError
            If the clip is damaged up to there, or ends before the part starts.
        """
        start, end = self._part
        unit = self._clip.time_base
        first = -(-start // unit)
        given = False

        def take(packet: Packet) -> None:
            assert packet.time_base is not None and take_audio is not None
            if packet.pts is None:
                return
            time = packet.pts * packet.time_base
            if time < start or (end is not None and time >= end):
                return
            packet.pts -= round(start / packet.time_base)
            packet.dts = packet.pts
            take_audio(packet)

        for frame in self._clip.frames(take if take_audio else None):
            time = frame.time * unit
            if end is not None and time >= end:
                if not take_audio or not self._clip.audio or time >= end + _SOUND_BEHIND:
                    break
            elif time >= start:
                given = True
                yield frame._replace(time=int(frame.time - first))
        if not given:
            raise MatteError(f"{self._clip.path} has no frame from --start {float(start):g} s on")

    def _count(self) -> int | None:
        count, rate = self._clip.frame_count, self._clip.rate
        if count is None:
            return None
        stop = count if self._part.end is None else min(count, -(-self._part.end * rate // 1))
        return max(0, int(stop - -(-self._part.start * rate // 1)))
