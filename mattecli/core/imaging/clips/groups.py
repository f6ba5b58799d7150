"""Encoded groups of frames on the disk, from which a clip that was broken off goes on."""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.clips.reading import import_av
from mattecli.core.storage import clear_errors, write_whole

if TYPE_CHECKING:
    from av.packet import Packet

#: Frames of a group: some seconds, as players want key frames anyway.
GROUP = 120

_NAMED = "run.txt"
# Of a packet: times, each with a flag whether there is one, size, whether it is a key frame, and
# how many pieces of side data follow, each with its kind, length and content.
_HEAD = struct.Struct("<qqq3B?IB")
_SIDE = struct.Struct("<BI")


class GroupStore:
    """Packets of whole groups of one run, in a hidden folder beside its result.

    A group counts once its state is there, which is written last, whole.

    Parameters
    ----------
    result : Path
        What the run makes; of several files one.
    run : str
        What the result depends on, in any form: groups of other runs are thrown away.
    resume : bool
        Whether groups of an earlier run of the same kind count.

    Attributes
    ----------
    count : int
        Whole groups.
    thrown_away : bool
        Whether there were groups of another run.

    Raises
    ------
    MatteError
        If the folder cannot be written to.
    """

    def __init__(self, result: Path, run: str, *, resume: bool) -> None:
        # The name does not grow with that of the result, which may have the full 255 bytes.
        digest = zlib.crc32(os.fsencode(result.name))
        self.folder = result.parent / f".matte-{digest:08x}.part"
        self.count = 0
        self._files: dict[int, Any] = {}
        named = self.folder / _NAMED
        is_same = False
        with suppress(OSError, UnicodeDecodeError):
            is_same = named.read_text(encoding="utf-8") == run
        if resume and is_same:
            while self._is_whole(self.count):
                self.count += 1
        self.thrown_away = resume and not is_same and self._state(0).exists()
        if not self.count:
            self.discard()
        with clear_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(named, run.encode())

    def keep(self, track: int, packet: Packet) -> None:
        """Append a packet to the group that is being written, to one of its files."""
        pieces = [(_kind_number(side.data_type), bytes(side)) for side in packet.iter_sidedata()]
        times = (packet.pts, packet.dts, packet.duration)
        head = _HEAD.pack(
            *(time or 0 for time in times),
            *(time is not None for time in times),
            packet.is_keyframe,
            packet.size,
            len(pieces),
        )
        with clear_errors(self.folder):
            if track not in self._files:
                self._files[track] = self._packets(self.count, track).open("wb")
            file = self._files[track]
            file.write(head)
            for kind, piece in pieces:
                file.write(_SIDE.pack(kind, len(piece)) + piece)
            file.write(bytes(packet))

    def commit(self, state: dict[str, np.ndarray]) -> None:
        """Complete the group with what it takes to go on behind it."""
        lengths = []
        with clear_errors(self.folder):
            for track in sorted(self._files):
                file = self._files[track]
                lengths.append(file.tell())
                file.flush()
                os.fsync(file.fileno())
                file.close()
            self._files.clear()
            temporary = self._state(self.count).with_suffix(".tmp")
            with temporary.open("wb") as whole:
                np.savez(whole, lengths=np.array(lengths, np.int64), **state)  # type: ignore[arg-type]
                whole.flush()
                os.fsync(whole.fileno())
            temporary.replace(self._state(self.count))
        self.count += 1

    def state(self, group: int) -> dict[str, np.ndarray]:
        """Give what `commit` took."""
        with np.load(self._state(group), allow_pickle=False) as found:
            return {name: found[name] for name in found.files if name != "lengths"}

    def packets(self, group: int, track: int, time_base: Fraction) -> Iterator[Packet]:
        """Give the packets of a group again.

        Parameters
        ----------
        time_base : Fraction
            That of the packets that were kept.
        """
        av = import_av()
        with clear_errors(self.folder), self._packets(group, track).open("rb") as file:
            while head := file.read(_HEAD.size):
                *times, has_pts, has_dts, has_duration, is_key, size, pieces = _HEAD.unpack(head)
                sides = []
                for _ in range(pieces):
                    kind, length = _SIDE.unpack(file.read(_SIDE.size))
                    side = av.packet.PacketSideData(kind, length)
                    side.update(file.read(length))
                    sides.append(side)
                packet = av.Packet(file.read(size))
                packet.time_base = time_base
                packet.pts = times[0] if has_pts else None
                packet.dts = times[1] if has_dts else None
                packet.duration = times[2] if has_duration else None
                packet.is_keyframe = is_key
                for side in sides:
                    packet.set_sidedata(side)
                yield packet

    def discard(self) -> None:
        """Remove everything."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Leave whole groups alone for a later run; remove everything if there are none."""
        with ExitStack() as stack:
            for file in self._files.values():
                stack.callback(file.close)
        self._files.clear()
        if not self.count:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _is_whole(self, group: int) -> bool:
        try:
            with np.load(self._state(group), allow_pickle=False) as found:
                lengths = found["lengths"]
            return all(
                self._packets(group, track).stat().st_size == length
                for track, length in enumerate(lengths)
            )
        # Whatever is wrong with it, it is encoded anew.
        except Exception:
            return False

    def _state(self, group: int) -> Path:
        return self.folder / f"{group:06}.npz"

    def _packets(self, group: int, track: int) -> Path:
        return self.folder / f"{group:06}.{track}.packets"


def _kind_number(name: str) -> int:
    """Give FFmpeg's number of a kind of side data."""
    from av.packet import packet_sidedata_type_from_literal

    try:
        return int(packet_sidedata_type_from_literal(name))  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        raise MatteError(f"packets hold side data of an unknown kind, {name}: {error}") from None
