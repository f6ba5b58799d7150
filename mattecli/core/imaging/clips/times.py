"""The clock of a clip, brought to start at 0 and to have no holes that are none."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

# As the program ffmpeg does it: a stream whose clock may jump by design is put together again
# where it jumps by more than ten seconds, any other file's where it does by more than 30 hours.
_JUMP = Fraction(10)
_IMPOSSIBLE = Fraction(30 * 3600)
#: Containers made for broadcasts, that are cut and joined without another look at their clocks.
_BROADCAST = frozenset({"mpegts", "mpeg"})


class Clock:
    """Gives packets new times; those of all streams move together, so sound stays in step.

    Parameters
    ----------
    origin : Fraction
        Time in seconds that becomes 0.
    container : str
        FFmpeg's name of the container.

    Attributes
    ----------
    jumps : int
        How often the clock jumped and was put together again.
    """

    def __init__(self, origin: Fraction, container: str) -> None:
        self._offset = origin
        self._limit = _JUMP if is_broadcast(container) else _IMPOSSIBLE
        # Of each stream the last time it had and the one that should come next, in its own units.
        self._expected: dict[int, tuple[int, int]] = {}
        self.jumps = 0

    def place(self, packet: Any, *, strictly: bool) -> None:
        """Move a packet's times.

        Parameters
        ----------
        packet : av.Packet
        strictly : bool
            Whether each decoding time has to be later than the one before, as muxers want it.
        """
        base = packet.time_base
        before = self._expected.get(packet.stream.index)
        given = packet.pts if packet.dts is None else packet.dts
        if given is None:
            # Of video the decoder knows the order, and the reader the times.
            time = 0 if before is None else before[1]
            if strictly:
                packet.pts = packet.dts = time
        else:
            time = given - round(self._offset / base)
            if before is not None and abs((time - before[1]) * base) > self._limit:
                self._offset += (time - before[1]) * base
                self.jumps += 1
                time = given - round(self._offset / base)
            if strictly and before is not None and time <= before[0]:
                time = max(before[0] + 1, before[1])
            self._shift(packet, time - given)
        self._expected[packet.stream.index] = time, time + (packet.duration or 0)

    @staticmethod
    def _shift(packet: Any, by: int) -> None:
        for name in ("pts", "dts"):
            if getattr(packet, name) is not None:
                setattr(packet, name, getattr(packet, name) + by)


def is_broadcast(container: str) -> bool:
    """Tell whether a container is made for broadcasts, of which parts get lost on their way."""
    return container in _BROADCAST
