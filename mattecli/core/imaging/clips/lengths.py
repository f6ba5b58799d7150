"""What a clip's header promises of its length, and what came: most files end without a word."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.packet import Packet

# Seconds by which sound may be shorter than promised: a packet of any codec is, and filling is.
_SOUND_SLACK = 0.1
# Part of its length by which a header may be wrong.
_SLACK = 0.005


class Lengths:
    """Follows the packets of some streams.

    Parameters
    ----------
    container : av.InputContainer
    rate : Fraction
        Frames a second of the video.
    """

    def __init__(self, container: Any, rate: Fraction) -> None:
        self._container = container
        self._rate = rate
        # Of each stream: first time, end, time before and longest step, in its own units.
        self._seen: dict[int, tuple[int, int, int, int]] = {}
        self._streams: dict[int, Any] = {}

    def saw(self, packet: Packet) -> None:
        """Take note of a packet, its times those of the file."""
        time = packet.dts if packet.pts is None else packet.pts
        if time is None:
            return
        index = packet.stream.index
        first, end, before, step = self._seen.get(index, (time, time, time, 0))
        step = max(step, abs(time - before))
        self._seen[index] = min(first, time), max(end, time + (packet.duration or 0)), time, step
        self._streams[index] = packet.stream

    def problems(self) -> list[str]:
        """Say what ends earlier than its header says."""
        found: dict[str, str] = {}
        promised = False
        ends = [Fraction(0)]
        for index, (first, end, _, step) in self._seen.items():
            stream = self._streams[index]
            is_video = stream.type == "video"
            base = stream.time_base
            declared, counts_from_zero = self._declared(stream)
            have = float((end if counts_from_zero else end - first) * base)
            ends.append((end - first) * base)
            promised |= declared > 0
            slack = max(float(step * base), float(1.5 / self._rate) if is_video else _SOUND_SLACK)
            if have < (1 - _SLACK) * declared - slack:
                name = "it" if is_video else "its sound"
                found.setdefault(
                    stream.type, f"{name} ends after {have:.1f} of {declared:.1f} seconds"
                )
        whole = (self._container.duration or 0) / 1e6
        if self._says_whole() and not promised:
            have = float(max(ends))
            if have < (1 - _SLACK) * whole - _SOUND_SLACK - float(1.5 / self._rate):
                found.setdefault("video", f"it ends after {have:.1f} of {whole:.1f} seconds")
        # Where the video is cut off, so is the sound.
        return [found.get("video") or found["audio"]] if found else []

    def _says_whole(self) -> bool:
        """Tell whether the container's length is from its header, and not from what is there."""
        return self._container.format.name.split(",")[0] in ("matroska", "flv")

    def _declared(self, stream: Any) -> tuple[float, bool]:
        """Seconds of a stream as its header says, 0 if it does not, and whether counted from 0."""
        name = self._container.format.name.split(",")[0]
        if name == "matroska":
            parts = stream.metadata.get("DURATION", "0").split(":")
            try:
                return sum(float(part) * 60**i for i, part in enumerate(reversed(parts))), True
            except ValueError:
                return 0.0, True
        if name == "mov":
            return float((stream.duration or 0) * stream.time_base), False
        if name == "avi" and stream.type == "video":
            return float(stream.frames / self._rate), False
        return 0.0, False
