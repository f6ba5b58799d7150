"""Clips, encoded: with transparency where the container can hold it, with the sound of another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.clips import ClipReader, Frame, import_av

if TYPE_CHECKING:
    from av.packet import Packet


class _Container(NamedTuple):
    """How clips of one suffix are encoded.

    `worst` is the quantiser that the least quality stands for, 0 where there is no choice. Sound
    in one of the codecs `kept` is copied, other sound is encoded by `audio`.
    """

    muxer: str
    codec: str
    opaque: str
    transparent: str | None
    options: dict[str, str]
    worst: int
    kept: frozenset[str]
    audio: str


CONTAINERS = {
    ".mov": _Container(
        "mov",
        "prores_ks",
        "yuv422p10le",
        "yuva444p10le",
        {"vendor": "apl0"},
        0,
        frozenset({"aac", "mp3", "alac", "ac3", "eac3", "pcm_s16le", "pcm_s24le"}),
        "aac",
    ),
    ".webm": _Container(
        "webm",
        "libvpx-vp9",
        "yuv420p",
        "yuva420p",
        {"b": "0", "row-mt": "1", "cpu-used": "4", "auto-alt-ref": "0"},
        63,
        frozenset({"opus", "vorbis"}),
        "libopus",
    ),
    ".mp4": _Container(
        "mp4",
        "libx264",
        "yuv420p",
        None,
        {"preset": "medium"},
        51,
        frozenset({"aac", "mp3", "alac", "ac3", "eac3", "opus", "flac"}),
        "aac",
    ),
}
#: Like that of `encode`, from 1 to 100.
QUALITY = 65
_OPUS_RATE = 48000
_BT709, _LIMITED = 1, 1


def check_clip_format(suffix: str, *, transparent: bool) -> None:
    """Raise `MatteError` if no clips of this suffix are written, or none with transparency."""
    if suffix not in CONTAINERS:
        raise MatteError(f"cannot write '{suffix}' clips: use one of {', '.join(CONTAINERS)}")
    if transparent and not CONTAINERS[suffix].transparent:
        able = " or ".join(name for name, form in CONTAINERS.items() if form.transparent)
        raise MatteError(f"'{suffix}' clips cannot hold transparency: use {able}, or --background")


class ClipWriter:
    """A clip that is being written; a context manager that completes it.

    Times, average rate, shape of pixels and sound are those of `like`.

    Parameters
    ----------
    path : Path
        Of any name.
    suffix : str
        One of `CONTAINERS`.
    like : ClipReader
    transparent : bool
        Whether frames have an alpha channel.
    quality : int, optional
        1 to 100; ProRes knows only one.
    keep_metadata : bool
        Whether title, date, place and the like of the other clip are kept.
    """

    def __init__(
        self,
        path: Path,
        suffix: str,
        like: ClipReader,
        *,
        transparent: bool,
        quality: int | None = None,
        keep_metadata: bool = False,
    ) -> None:
        check_clip_format(suffix, transparent=transparent)
        self._av = import_av()
        self._form, self._like = CONTAINERS[suffix], like
        form = self._form
        options = dict(form.options)
        if form.worst:
            options["crf"] = str(round((100 - (quality or QUALITY)) / 100 * form.worst))
        else:
            options["profile"] = "4444" if transparent else "hq"
        # The index in front lets a browser start before it has all.
        movflags = {"movflags": "faststart"} if form.muxer in ("mp4", "mov") else {}
        self._container = self._av.open(
            str(path), "w", format=form.muxer, container_options=movflags
        )
        self._stream = self._container.add_stream(form.codec, rate=like.rate, options=options)
        context = self._stream.codec_context
        self._pixels = (form.transparent if transparent else form.opaque) or form.opaque
        # Halved colour planes need even sides, all but those of VP9.
        even = 2 if form.codec == "libx264" else 1
        self._width, self._height = (side // even * even for side in (like.width, like.height))
        context.width, context.height, context.pix_fmt = self._width, self._height, self._pixels
        context.time_base = self._stream.time_base = like.time_base
        context.sample_aspect_ratio = like.pixel_shape
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        context.thread_type = "AUTO"
        if keep_metadata:
            self._container.metadata.update(like.metadata)
        self._audio = {stream.index: self._stream_like(stream) for stream in like.audio}

    @property
    def bits(self) -> int:
        """Bits of a channel, 8 or 16, that do not lose more than the codec itself does."""
        return 16 if self._form.codec == "prores_ks" else 8

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
        array = np.ascontiguousarray(array[: self._height, : self._width])
        frame = self._av.VideoFrame.from_ndarray(array, format=layout).reformat(
            format=self._pixels,
            dst_colorspace=_BT709,
            src_color_range="JPEG",
            dst_color_range="MPEG",
        )
        frame.pts, frame.time_base = like.time, self._stream.codec_context.time_base
        frame.duration = like.duration
        return frame

    def write(self, frame: Any) -> None:
        """Encode what `convert` gave; frames come in the order of their times."""
        self._container.mux(self._stream.encode(frame))

    def write_audio(self, packet: Packet) -> None:
        """Write a packet of sound of the other clip, as it is where the container takes it."""
        stream = self._audio[packet.stream.index]
        if self._is_kept(packet.stream):
            packet.stream = stream
            self._container.mux(packet)
        else:
            for frame in packet.decode():
                self._container.mux(stream.encode(frame))

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._container.mux(self._stream.encode())
                self._flush_audio()
        finally:
            self._container.close()

    def _is_kept(self, stream: Any) -> bool:
        return stream.codec_context.codec.canonical_name in self._form.kept

    def _stream_like(self, stream: Any) -> Any:
        """Add a stream for the sound of another."""
        if self._is_kept(stream):
            return self._container.add_stream_from_template(stream)
        opus = self._form.audio == "libopus"
        added = self._container.add_stream(
            self._form.audio, rate=_OPUS_RATE if opus else stream.codec_context.sample_rate
        )
        channels = stream.codec_context.layout.nb_channels
        added.codec_context.layout = "mono" if channels == 1 else "stereo"
        return added

    def _flush_audio(self) -> None:
        """Encode what decoders and encoders of sound still hold."""
        for stream in self._like.audio:
            if self._is_kept(stream):
                continue
            added = self._audio[stream.index]
            for frame in stream.codec_context.decode(None):
                self._container.mux(added.encode(frame))
            self._container.mux(added.encode())
