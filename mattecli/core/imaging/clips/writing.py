"""Clips, encoded: with transparency where the container can hold it, with the sound of another."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.clips.codecs import CONTAINERS, Encoding
from mattecli.core.imaging.clips.colors import EXACT, Colors
from mattecli.core.imaging.clips.opening import MADE_BY, reason
from mattecli.core.imaging.clips.reading import Frame, import_av
from mattecli.core.imaging.clips.sound import Sound
from mattecli.core.imaging.metadata import MAKER
from mattecli.core.imaging.scheduling import leave_real_time

if TYPE_CHECKING:
    from av.packet import Packet


_LIMITED = 1
# Seconds from decoding a frame to showing it that no clip has.
_TOO_LONG_AHEAD = 86_400
# ProRes names no other transfer functions of the same curve than this one.
_BT709_CURVES = frozenset({6, 14, 15})


class ClipWriter:
    """A clip that is being written; a context manager that completes it.

    Frames are encoded in groups, each by an encoder of its own, so that packets of whole groups can
    be kept, and put in the place of frames by a later run.

    Times, average rate, shape of pixels and sound are those of `like`, whose `notes` and `problems`
    take in what of them could not be kept.

    Parameters
    ----------
    path : Path
        Of any name.
    suffix : str
        One of `CONTAINERS`.
    like : ClipReader or AnimationReader
    transparent : bool
        Whether frames have an alpha channel.
    encoding : Encoding, optional
    keep_metadata : bool
        Whether title, date, place and the like of the other clip are kept.
    colors : Colors, optional
        What the RGB of frames is meant in, if not in that of the other clip.
    silent : bool
        Whether the sound is left out.

    Attributes
    ----------
    time_base : Fraction
        That of packets that are encoded.
    keep : callable or None
        Gets every packet that is encoded.

    Raises
    ------
    MatteError
        Here and in all methods, if the clip cannot be encoded.
    """

    def __init__(
        self,
        path: Path,
        suffix: str,
        like: Any,
        *,
        transparent: bool,
        encoding: Encoding | None = None,
        keep_metadata: bool = False,
        colors: Colors | None = None,
        silent: bool = False,
    ) -> None:
        encoding = encoding or Encoding()
        encoding.check(suffix, transparent=transparent)
        self._av = import_av()
        self._form, self._suffix, self._like = CONTAINERS[suffix], suffix, like
        form, self._codec = self._form, encoding.codec_in(suffix)
        self._colors = (colors or like.colors).written()
        self._options = encoding.options(self._codec, transparent=transparent)
        self.time_base = like.time_base
        self.keep: Callable[[Packet], None] | None = None
        if self._codec.encoder == "prores_ks" and self._colors.transfer in _BT709_CURVES:
            self._colors = self._colors._replace(transfer=1)
        if self._codec.encoder == "libsvtav1":
            # It writes to the terminal past FFmpeg; of that errors are enough.
            os.environ.setdefault("SVT_LOG", "1")
        # The index in front lets a browser start before it has all.
        movflags = {"movflags": "faststart"} if form.muxer in ("mp4", "mov") else {}
        with self._telling():
            self._container = self._av.open(
                f"file:{path}", "w", format=form.muxer, container_options=movflags
            )
            self._stream = self._container.add_stream(
                self._codec.encoder, rate=like.rate, options=self._options
            )
            self._pixels = self._codec.transparent if transparent else self._codec.opaque
            self._set_sides()
            # The stream's own encoder also makes the header of the file.
            self._encoder = self._set_up(self._stream.codec_context)
            self._stream.time_base = like.time_base
            # Unlike tags of the whole file, none of the other clip's.
            self._stream.metadata[MADE_BY] = MAKER
            self._decoding_time: int | None = None
            if keep_metadata:
                self._container.metadata.update(like.metadata)
            self._sounds = {
                stream.index: Sound(self._av, self._container, stream, form.kept, form.audio)
                for stream in (() if silent else like.audio)
            }

    def _set_sides(self) -> None:
        like = self._like
        # Halved color planes need even sides, all but those of VP9.
        even = 2 if self._codec.even else 1
        self._width, self._height = (-(-side // even) * even for side in (like.width, like.height))
        if (self._width, self._height) != (like.width, like.height):
            sizes = f"{like.width}x{like.height} to {self._width}x{self._height}"
            name = {"libx264": "H.264", "libx265": "HEVC"}.get(self._codec.encoder, "AV1")
            like.notes.append(f"its odd size is padded from {sizes}, as {name} needs even sides")

    def _set_up(self, context: Any) -> Any:
        """Tell an encoder what comes."""
        context.width, context.height, context.pix_fmt = self._width, self._height, self._pixels
        context.time_base = self._like.time_base
        context.sample_aspect_ratio = self._like.pixel_shape
        context.colorspace, context.color_primaries, context.color_trc = self._colors
        context.color_range = _LIMITED
        if self._codec.encoder == "libx265":
            context.codec_tag = "hvc1"  # players of Apple know no other
        context.thread_type = "AUTO"
        return context

    def _next_encoder(self) -> Any:
        """Make an encoder like that of the stream."""
        context = self._av.CodecContext.create(self._codec.encoder, "w")
        own = self._stream.codec_context
        context.flags, context.framerate = own.flags, own.framerate
        # As streams have it, where FFmpeg's own default would be a bit rate of 200k.
        context.bit_rate = 0
        context.options = dict(self._options)
        return self._set_up(context)

    @property
    def bits(self) -> int:
        """Bits of a channel, 8 or 16, that do not lose more than the codec itself does."""
        return self._codec.bits

    def convert(self, array: np.ndarray, like: Frame) -> Any:
        """Turn an array of shape (H, W), (H, W, 3) or (H, W, 4) into the codec's own planes.

        This is work for any thread.
        """
        if array.ndim == 2:
            array = np.repeat(array[..., None], 3, axis=2)
        layout = "rgba" if array.shape[2] == 4 else "rgb"
        if array.dtype == np.uint16:
            layout += "64le" if array.shape[2] == 4 else "48le"
        elif array.shape[2] == 3:
            layout += "24"
        rows, columns = self._height - array.shape[0], self._width - array.shape[1]
        if rows or columns:
            array = np.pad(array, ((0, rows), (0, columns), (0, 0)), mode="edge")
        with self._telling():
            frame = self._av.VideoFrame.from_ndarray(
                np.ascontiguousarray(array), format=layout
            ).reformat(
                format=self._pixels,
                dst_colorspace=self._colors.scaler_matrix,
                src_color_range="JPEG",
                dst_color_range="MPEG",
                interpolation=EXACT,
            )
            # ProRes writes those of frames, not those of its stream.
            frame.colorspace, frame.color_primaries, frame.color_trc = self._colors
            frame.pts, frame.time_base = like.time, self._stream.codec_context.time_base
            frame.duration = like.duration
        return frame

    def write(self, frame: Any) -> None:
        """Encode what `convert` gave; frames come in the order of their times."""
        with self._telling():
            if self._encoder is None:
                self._encoder = self._next_encoder()
            self._pass_on(self._encoder.encode(frame))
        if self._codec.encoder == "libsvtav1":
            leave_real_time()

    def end_group(self) -> None:
        """End a group of frames: what follows it can be decoded without it."""
        with self._telling():
            if self._encoder is not None:
                self._pass_on(self._encoder.encode(None))
                self._encoder = None

    def copy(self, packets: Iterable[Packet]) -> None:
        """Write a group that was encoded before, by a writer like this one."""
        # Its encoder would be a second one for the group that comes first here.
        self._encoder = None
        with self._telling():
            for packet in packets:
                self._mux(packet)

    def _pass_on(self, packets: Iterable[Packet]) -> None:
        for packet in packets:
            if self.keep is not None:
                self.keep(packet)
            self._mux(packet)

    def _mux(self, packet: Packet) -> None:
        ahead = 0 if packet.pts is None or packet.dts is None else packet.pts - packet.dts
        if not 0 <= ahead * self._like.time_base < _TOO_LONG_AHEAD:
            # Of a group of fewer frames than it looks ahead, x265 gives memory for this time.
            packet.dts = packet.pts
        # Where frames are unevenly spaced, two encoders may give the same time for decoding.
        last = self._decoding_time
        if packet.dts is not None and last is not None and packet.dts <= last:
            packet.dts = last + 1
        self._decoding_time = packet.dts
        packet.stream = self._stream
        self._container.mux(packet)

    def write_audio(self, packet: Packet) -> None:
        """Write a packet of sound of the other clip, as it is where the container takes it."""
        with self._telling():
            self._sounds[packet.stream.index].write(packet)

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            # What cannot be closed in order is thrown away all the same.
            with suppress(self._av.FFmpegError, ValueError):
                self._container.close()
            return
        with self._telling():
            try:
                if self._encoder is not None:
                    self._pass_on(self._encoder.encode(None))
                for sound in self._sounds.values():
                    sound.finish()
            finally:
                self._container.close()
        for sound in self._sounds.values():
            self._like.notes += sound.notes
            self._like.problems += sound.problems

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn what FFmpeg says into one line; what the disk says is for `whole_file`."""
        try:
            yield
        except (self._av.FFmpegError, ValueError, OverflowError) as error:
            if isinstance(error, OSError) and error.errno in (
                errno.ENOSPC,
                errno.EDQUOT,
                errno.EIO,
            ):
                raise
            raise MatteError(
                f"cannot encode {self._like.path} as '{self._suffix}': {reason(error)}"
            ) from None
