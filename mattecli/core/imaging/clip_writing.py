"""Clips, encoded: with transparency where the container can hold it, with the sound of another."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.clip_colors import EXACT, Colors
from mattecli.core.imaging.clip_opening import reason
from mattecli.core.imaging.clip_sound import Sound
from mattecli.core.imaging.clips import Frame, import_av

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
_LIMITED = 1
# ProRes names no other transfer functions of the same curve than this one.
_BT709_CURVES = frozenset({6, 14, 15})


def check_clip_format(suffix: str, *, transparent: bool) -> None:
    """Raise `MatteError` if no clips of this suffix are written, or none with transparency."""
    if suffix not in CONTAINERS:
        raise MatteError(f"cannot write '{suffix}' clips: use one of {', '.join(CONTAINERS)}")
    if transparent and not CONTAINERS[suffix].transparent:
        able = " or ".join(name for name, form in CONTAINERS.items() if form.transparent)
        raise MatteError(f"'{suffix}' clips cannot hold transparency: use {able}, or --background")


class ClipWriter:
    """A clip that is being written; a context manager that completes it.

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
    quality : int, optional
        1 to 100; ProRes knows only one.
    keep_metadata : bool
        Whether title, date, place and the like of the other clip are kept.
    colors : Colors, optional
        What the RGB of frames is meant in, if not in that of the other clip.

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
        quality: int | None = None,
        keep_metadata: bool = False,
        colors: Colors | None = None,
    ) -> None:
        check_clip_format(suffix, transparent=transparent)
        self._av = import_av()
        self._form, self._suffix, self._like = CONTAINERS[suffix], suffix, like
        form = self._form
        self._colors = (colors or like.colors).written()
        options = dict(form.options)
        if form.worst:
            options["crf"] = str(round((100 - (quality or QUALITY)) / 100 * form.worst))
        else:
            options["profile"] = "4444" if transparent else "hq"
            if self._colors.transfer in _BT709_CURVES:
                self._colors = self._colors._replace(transfer=1)
        # The index in front lets a browser start before it has all.
        movflags = {"movflags": "faststart"} if form.muxer in ("mp4", "mov") else {}
        with self._telling():
            self._container = self._av.open(
                f"file:{path}", "w", format=form.muxer, container_options=movflags
            )
            self._stream = self._container.add_stream(form.codec, rate=like.rate, options=options)
            self._set_up((form.transparent if transparent else form.opaque) or form.opaque)
            if keep_metadata:
                self._container.metadata.update(like.metadata)
            self._sounds = {
                stream.index: Sound(self._av, self._container, stream, form.kept, form.audio)
                for stream in like.audio
            }

    def _set_up(self, pixels: str) -> None:
        """Tell the encoder what comes."""
        like, context = self._like, self._stream.codec_context
        # Halved colour planes need even sides, all but those of VP9.
        even = 2 if self._form.codec == "libx264" else 1
        self._pixels = pixels
        self._width, self._height = (-(-side // even) * even for side in (like.width, like.height))
        if (self._width, self._height) != (like.width, like.height):
            sizes = f"{like.width}x{like.height} to {self._width}x{self._height}"
            like.notes.append(f"its odd size is padded from {sizes}, as H.264 needs even sides")
        context.width, context.height, context.pix_fmt = self._width, self._height, pixels
        context.time_base = self._stream.time_base = like.time_base
        context.sample_aspect_ratio = like.pixel_shape
        context.colorspace, context.color_primaries, context.color_trc = self._colors
        context.color_range = _LIMITED
        context.thread_type = "AUTO"

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
            self._container.mux(self._stream.encode(frame))

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
                self._container.mux(self._stream.encode())
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
