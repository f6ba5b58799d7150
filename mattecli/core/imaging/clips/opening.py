"""Opening clips: only as files, only what leads to no other file, and which video of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mattecli.core.errors import MatteError, not_found
from mattecli.core.imaging.metadata import MAKER
from mattecli.core.imaging.pixels import MAX_PIXELS

#: A tag of streams that all kinds of clips that are written keep; Matroska has it in capitals.
MADE_BY = "handler_name"
# Playlists and descriptions of streams, which FFmpeg knows by their content too, would have it open
# other files and addresses.
_CONTAINERS = (
    "mov,matroska,avi,mpegts,mpeg,asf,flv,ogg,mpegvideo,m4v,h264,hevc,ivf,nut,mxf,dv,gif,apng"
)
# Decoders that know transparency, by the codecs whose usual decoders do not.
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


def open_clip(av: Any, path: Path, max_pixels: int) -> Any:
    """Open a container for reading.

    Raises
    ------
    MatteError
        If there is no such file, or it is no clip.
    """
    if not path.exists():
        raise not_found(path)
    if not path.is_file():
        raise MatteError(f"{path} is a {'folder' if path.is_dir() else 'device'}, not a clip")
    if not path.stat().st_size:
        raise MatteError(f"{path} is empty")
    options = {
        "format_whitelist": _CONTAINERS,
        "protocol_whitelist": "file",
        "max_pixels": str(decoder_limit(max_pixels)),
    }
    try:
        # Without the prefix a colon in a name would make a protocol of what is before it.
        return av.open(f"file:{path}", options=options, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MatteError(f"cannot read {path}: {reason(error)}") from None


def is_made_here(av: Any, path: Path) -> bool:
    """Tell whether a clip notes that this program made it.

    Raises
    ------
    MatteError
        If it cannot be read.
    """
    with open_clip(av, path, MAX_PIXELS) as container:
        tags = [(key, value) for one in container.streams for key, value in one.metadata.items()]
    return any(key.lower() == MADE_BY and value == MAKER for key, value in tags)


def decoder_limit(max_pixels: int) -> int:
    """Most pixels that a decoder may make room for: what it rounds sides up to is allowed for."""
    return min(2 * max_pixels + 1_000_000, 2**31 - 1)


def video_of(av: Any, container: Any, path: Path) -> tuple[Any, str]:
    """Choose the video to cut.

    Returns
    -------
    stream : av.VideoStream
    note : str
        What else there is that has no place in the result; empty if nothing.

    Raises
    ------
    MatteError
        If there is none that can be decoded.
    """
    cover = av.stream.Disposition.attached_pic
    videos = [one for one in container.streams.video if not one.disposition & cover]
    able = [one for one in videos if one.codec_context is not None]
    if not able:
        what = "can be decoded" if videos else "is more than a cover picture"
        if not container.streams.video:
            found = ", ".join(sorted({one.type for one in container.streams}))
            raise MatteError(f"{path} holds no video" + (f", only {found}" if found else ""))
        raise MatteError(f"{path} holds no video that {what}")
    best = container.streams.best("video")
    chosen = best if any(best is one for one in able) else able[0]
    parts = [f"{len(videos) - 1} more videos"] * (len(videos) > 1)
    for kind, name in (("subtitles", "subtitles"), ("data", "data")):
        count = len(getattr(container.streams, kind))
        parts += [f"{count} {'stream' if count == 1 else 'streams'} of {name}"] * (count > 0)
    note = f"it also holds {' and '.join(parts)}, left out" if parts else ""
    return chosen, note.replace("1 more videos", "1 more video")


def alpha_decoder(av: Any, stream: Any, path: Path) -> Any:
    """Make a decoder that gives the transparency of a stream which its own decoder drops.

    Returns
    -------
    av.CodecContext or None
        None where the stream's own decoder does it, or there is no transparency.

    Raises
    ------
    MatteError
        If there is transparency, but no decoder for it.
    """
    context = stream.codec_context
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    name = _WITH_ALPHA.get(context.codec.canonical_name)
    if tags.get("alpha_mode") != "1" or name is None:
        return None
    try:
        decoder = av.CodecContext.create(name, "r")
    except (av.FFmpegError, ValueError):
        raise MatteError(f"there is no decoder ({name}) for the alpha channel of {path}") from None
    decoder.extradata = context.extradata
    return decoder


def reason(error: BaseException) -> str:
    """Say in one line what FFmpeg thinks of something."""
    return " ".join(
        (getattr(error, "strerror", None) or str(error) or type(error).__name__).split()
    )
