"""From options to what clips become."""

from __future__ import annotations

from mattecli.core.clips.options import ClipOptions
from mattecli.core.imaging.clips.codecs import Encoding
from mattecli.core.inference.options import OutputOptions
from mattecli.core.matting.outputs import TRANSPARENT


def encoding_of(output: OutputOptions, clips: ClipOptions) -> Encoding:
    """Give how clips are encoded."""
    return Encoding(clips.codec, output.quality, clips.crf, clips.bitrate)


def clip_suffix_of(kind: str, container: str | None = None) -> str:
    """Give the suffix of what a clip among others becomes."""
    return f".{container}" if container else ".mov" if kind in TRANSPARENT else ".mp4"
