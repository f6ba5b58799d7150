"""The options of clips, declared like those of photos; see `mattecli.core.inference.options`."""

from __future__ import annotations

import dataclasses
from typing import Literal

from mattecli.core.inference.declaring import option

Codec = Literal["h264", "hevc", "av1", "vp9", "prores"]
ClipContainer = Literal["mov", "webm", "mp4"]

_CLIPS = "Clips"


@dataclasses.dataclass(frozen=True)
class ClipOptions:
    """Which part of a clip is cut, and how its result is encoded."""

    start: str | None = option(
        None,
        "Cut from this time on: seconds, M:SS or H:MM:SS.",
        panel=_CLIPS,
        metavar="TIME",
    )
    end: str | None = option(None, "Cut up to this time.", panel=_CLIPS, metavar="TIME")
    fps: float | None = option(
        None,
        "Frames a second of numbered pictures such as frames/%06d.png.",
        panel=_CLIPS,
        min=0.01,
        max=1000,
        show_default="25",
    )
    raw: str | None = option(
        None,
        "What frames on standard input are that have no header.",
        panel=_CLIPS,
        metavar="WxH@FPS[:PIXELS]",
    )
    temporal_guidance: bool = option(
        True,
        "Tell the network the matte of the frame before, carried along the motion.",
        panel=_CLIPS,
    )
    background_loop: bool = option(
        True,
        "Begin a background that moves anew at its end, or let its last frame stay.",
        panel=_CLIPS,
        flags=("--background-loop/--background-hold",),
    )
    clip_format: ClipContainer | None = option(
        None,
        "Files that the clips of a folder become.",
        panel=_CLIPS,
        show_default="mov with transparency, else mp4",
    )
    codec: Codec | None = option(
        None,
        "How a clip is encoded.",
        panel=_CLIPS,
        show_default="prores in .mov, vp9 in .webm, h264 in .mp4",
    )
    crf: int | None = option(
        None,
        "The codec's own measure of quality, in place of --quality: less is better.",
        panel=_CLIPS,
        min=0,
        max=63,
    )
    bitrate: str | None = option(
        None,
        "Bits a second on average, such as 8M, in place of --quality.",
        panel=_CLIPS,
        metavar="BITS",
    )
