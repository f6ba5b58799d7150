"""What clips are encoded with: containers, the codecs that each holds, and how good they are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from mattecli.core.errors import MatteError

#: Like that of `encode`, from 1 to 100.
QUALITY = 65


@dataclass(frozen=True)
class Codec:
    """How frames are encoded.

    Attributes
    ----------
    encoder : str
        FFmpeg's name.
    opaque, transparent : str
        Formats of pixels; `transparent` is empty where there is no alpha.
    options : dict of str
    worst : int
        The CRF that the least quality stands for, 0 where there is no choice.
    bits : int
        Bits of a channel, 8 or 16, that do not lose more than the codec itself does.
    even : bool
        Whether sides have to be even.
    """

    encoder: str
    opaque: str
    transparent: str = ""
    options: dict[str, str] = field(default_factory=dict)
    worst: int = 0
    bits: int = 8
    even: bool = True


CODECS = {
    "prores": Codec(
        "prores_ks", "yuv422p10le", "yuva444p10le", {"vendor": "apl0"}, bits=16, even=False
    ),
    "vp9": Codec(
        "libvpx-vp9",
        "yuv420p",
        "yuva420p",
        {"b": "0", "row-mt": "1", "cpu-used": "4", "auto-alt-ref": "0"},
        worst=63,
        even=False,
    ),
    "h264": Codec("libx264", "yuv420p", options={"preset": "medium"}, worst=51),
    "hevc": Codec(
        "libx265",
        "yuv420p10le",
        options={"preset": "medium", "x265-params": "log-level=error"},
        worst=51,
        bits=16,
    ),
    "av1": Codec("libsvtav1", "yuv420p10le", options={"preset": "8"}, worst=63, bits=16),
}


@dataclass(frozen=True)
class Container:
    """What files of one suffix hold; the first of `codecs` is the usual one.

    Sound in one of the codecs `kept` is copied, other sound is encoded by `audio`.
    """

    muxer: str
    codecs: tuple[str, ...]
    kept: frozenset[str]
    audio: str


CONTAINERS = {
    ".mov": Container(
        "mov",
        ("prores", "h264", "hevc"),
        frozenset({"aac", "mp3", "alac", "ac3", "eac3", "pcm_s16le", "pcm_s24le"}),
        "aac",
    ),
    ".webm": Container("webm", ("vp9", "av1"), frozenset({"opus", "vorbis"}), "libopus"),
    ".mp4": Container(
        "mp4",
        ("h264", "hevc", "av1"),
        frozenset({"aac", "mp3", "alac", "ac3", "eac3", "opus", "flac"}),
        "aac",
    ),
}


@dataclass(frozen=True)
class Encoding:
    """How a clip is to be encoded, as far as it was said.

    Attributes
    ----------
    codec : str, optional
        One of `CODECS`; by default the usual one of the container.
    quality : int, optional
        1 to 100.
    crf : int, optional
        The codec's own measure, in place of `quality`.
    bitrate : str, optional
        Such as ``8M``, in place of both.
    """

    codec: str | None = None
    quality: int | None = None
    crf: int | None = None
    bitrate: str | None = None

    def codec_in(self, suffix: str) -> Codec:
        """Give the codec for files of this suffix, one of `CONTAINERS`."""
        return CODECS[self.codec or CONTAINERS[suffix].codecs[0]]

    def check(self, suffix: str, *, transparent: bool) -> None:
        """Refuse what cannot be written.

        Raises
        ------
        MatteError
            If no clips of this suffix are written, or not by this codec, or none with alpha, or
            the measures of quality contradict one another.
        """
        if suffix not in CONTAINERS:
            raise MatteError(f"cannot write '{suffix}' clips: use one of {', '.join(CONTAINERS)}")
        names = CONTAINERS[suffix].codecs
        if self.codec is not None and self.codec not in names:
            raise MatteError(f"'{suffix}' clips hold {', '.join(names)}, not {self.codec}")
        codec = self.codec_in(suffix)
        if transparent and not codec.transparent:
            what = f"{self.codec}" if self.codec else f"'{suffix}' clips"
            raise MatteError(
                f"{what} cannot hold transparency: use .mov with prores or .webm with vp9, "
                "or --background"
            )
        if sum(value is not None for value in (self.quality, self.crf, self.bitrate)) > 1:
            raise MatteError("--quality, --crf and --bitrate are three ways to say one thing")
        if not codec.worst and (self.crf is not None or self.bitrate is not None):
            raise MatteError("ProRes has one quality: leave out --crf and --bitrate")
        if self.crf is not None and self.crf > codec.worst:
            raise MatteError(f"--crf of this codec is {codec.worst} at most, not {self.crf}")
        self.bits_per_second()

    def bits_per_second(self) -> int | None:
        """Understand the bit rate; None if there is none.

        Raises
        ------
        MatteError
            If it is not understood.
        """
        if self.bitrate is None:
            return None
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", self.bitrate)
        bits = float(found[1]) * {"": 1, "k": 1e3, "m": 1e6}[found[2].lower()] if found else 0
        if not 1000 <= bits <= 1e9:
            raise MatteError(
                f"'{self.bitrate}' is no bit rate: use bits a second such as 8M or 800k"
            )
        return round(bits)

    def options(self, codec: Codec, *, transparent: bool) -> dict[str, Any]:
        """Give FFmpeg's options for this codec."""
        options = dict(codec.options)
        if codec.encoder == "prores_ks":
            options["profile"] = "4444" if transparent else "hq"
        elif self.bitrate is not None:
            options["b"] = str(self.bits_per_second())
        elif self.crf is not None:
            options["crf"] = str(self.crf)
        else:
            quality = self.quality or QUALITY
            options["crf"] = str(round((100 - quality) / 100 * codec.worst))
        return options
