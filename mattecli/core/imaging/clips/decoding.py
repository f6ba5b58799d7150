"""Decoding a clip packet by packet, with every complaint of FFmpeg turned into one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mattecli.core.errors import MatteError
from mattecli.core.imaging.clips.lengths import Lengths
from mattecli.core.imaging.clips.opening import (
    alpha_decoder,
    decoder_limit,
    open_clip,
    reason,
    video_of,
)
from mattecli.core.imaging.clips.times import Clock, is_broadcast

if TYPE_CHECKING:
    from av.packet import Packet


class Damaged(MatteError):
    """A clip cannot be decoded to its end."""


class Decoding:
    """The video of a clip that is being decoded, and the packets of its sound.

    Attributes
    ----------
    container : av.InputContainer
    stream : av.VideoStream
    note : str
        What else the file holds that is left out.
    lost : int
        Packets of video that could not be decoded so far.

    Raises
    ------
    MatteError
        If the file is no clip, or has more than `max_pixels` a frame.
    """

    def __init__(self, av: Any, path: Path, max_pixels: int, container: Any = None) -> None:
        self._av, self._path, self._max_pixels = av, path, max_pixels
        self.lost = self._count = 0
        self.container = container or open_clip(av, path, max_pixels)
        try:
            self.stream, self.note = video_of(av, self.container, path)
            self._check_size(self.stream)
            self._decoder = alpha_decoder(av, self.stream, path) or self.stream.codec_context
        except BaseException:
            self.container.close()
            raise
        self._decoder.thread_type = "AUTO"
        # A decoder would make room for a frame of any size before anyone sees it.
        self._decoder.options = {"max_pixels": str(decoder_limit(max_pixels))}
        self._loses_parts = is_broadcast(self.container.format.name)

    def first(self) -> Any:
        """Decode one frame, which alone says its size, its colors and how it is turned."""
        for frame in self.frames(None, []):
            return frame
        raise MatteError(f"{self._path} holds no frame that can be decoded")

    def frames(
        self,
        clock: Clock | None,
        sound: list[Any],
        take_sound: Callable[[Packet], None] | None = None,
        lengths: Lengths | None = None,
    ) -> Iterator[Any]:
        """Give frame after frame, their times as they are after `clock`.

        Parameters
        ----------
        clock : Clock, optional
        sound : list of av.AudioStream
        take_sound : callable, optional
            Gets their packets on the way.
        lengths : Lengths, optional
            Told of all packets.

        Raises
        ------
        MatteError
            If the clip is damaged.
        """
        for packet in self._packets([self.stream, *sound]):
            is_sound = packet.stream is not self.stream
            # There is none in what stands for a frame that was dropped, and none at the end.
            if not packet.size:
                continue
            if lengths and not packet.is_corrupt:
                lengths.saw(packet)
            if clock:
                clock.place(packet, strictly=is_sound)
            if is_sound:
                if take_sound:
                    take_sound(packet)
            elif packet.is_corrupt and not self._loses_parts:
                raise self._damaged("a packet is cut off")
            else:
                yield from self._decode(packet)
        yield from self._decode(None)

    def close(self) -> None:
        """Close the file."""
        self.container.close()

    def _packets(self, streams: list[Any]) -> Iterator[Packet]:
        packets = self.container.demux(streams)
        while True:
            with self._telling():
                try:
                    packet = next(packets, None)
                except EOFError:
                    return
            if packet is None:
                return
            yield packet

    def _decode(self, packet: Packet | None) -> Iterator[Any]:
        try:
            with self._telling():
                frames = self._decoder.decode(packet)
        except MatteError:
            # What was recorded from the air begins and breaks off anywhere.
            if not self._loses_parts:
                raise
            self.lost += 1
            return
        for frame in frames:
            self._check_size(frame)
            self._count += 1
            yield frame

    def _check_size(self, of: Any) -> None:
        if of.width * of.height > self._max_pixels:
            raise MatteError(
                f"{self._path} has {of.width}x{of.height} pixels a frame, more than the "
                f"limit of {self._max_pixels / 1e6:g} megapixels"
            )

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except (self._av.FFmpegError, ValueError, OverflowError, MemoryError) as error:
            raise self._damaged(reason(error)) from None

    def _damaged(self, why: str) -> Damaged:
        where = f"after {self._count} frames" if self._count else "at its first frame"
        return Damaged(f"{self._path} is damaged {where}: {why}")
