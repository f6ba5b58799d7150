"""Clips for tests, made by PyAV: what is red is subject, and where the picture flashes it beeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.errors import MatteError

SIZE, COUNT, RATE = (64, 48), 10, 25
#: Frame, and time in seconds after the first one, at which it flashes and beeps.
FLASH = 5
BEEP = FLASH / RATE


@dataclass
class Tone:
    """Silence, and from `beep` on a tone; times in seconds on the clip's own clock."""

    codec: str = "aac"
    rate: int = 48000
    layout: str = "stereo"
    start: float = 0.0
    seconds: float = COUNT / RATE
    beep: float = BEEP

    def frames(self) -> Iterable[av.AudioFrame]:
        """Frames of 1024 samples, another pitch in every channel."""
        channels = av.AudioLayout(self.layout).nb_channels
        time = np.arange(round(self.seconds * self.rate)) / self.rate + self.start
        pitch = 300.0 * (1 + np.arange(channels))
        wave = np.sin(2 * np.pi * time[:, None] * pitch) * (time[:, None] >= self.beep)
        samples = (wave * 9000).astype(np.int16)
        for begin in range(0, len(samples), 1024):
            part = samples[begin : begin + 1024].reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout=self.layout)
            frame.sample_rate, frame.time_base = self.rate, Fraction(1, self.rate)
            frame.pts = round(self.start * self.rate) + begin
            yield frame


def flash(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """RGBA: blue, from `FLASH` on red, opaque."""
    frame = np.zeros((size[1], size[0], 4), np.uint8)
    frame[..., 3] = 255
    frame[..., 0 if number >= FLASH else 2] = 255
    return frame


def make_clip(
    path: Path,
    *,
    codec: str = "libx264",
    pixels: str = "yuv444p",
    picture: Callable[[int], np.ndarray] = flash,
    times: Iterable[float] | None = None,
    start: float = 0.0,
    tones: Iterable[Tone] = (),
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    colors: dict[str, int] | None = None,
    base: Fraction = Fraction(1, 90000),
    form: str | None = None,
    matrix: int | None = None,
    rate: int = RATE,
) -> Path:
    """Write `COUNT` frames, or one at each of `times`, all `start` seconds later.

    `rate` is what the header says, whatever the times are.
    `matrix` is what their RGB is converted by, if not what `colors` says.
    """
    colors = colors or {}
    matrix = matrix or colors.get("colorspace")
    times = [number / RATE for number in range(COUNT)] if times is None else list(times)
    lossless = {"crf": "0", "qp": "0"} if codec == "libx264" else {}
    with av.open(str(path), "w", format=form, container_options=container or {}) as file:
        video = file.add_stream(codec, rate=rate, options=lossless | (options or {}))
        height, width = picture(0).shape[:2]
        video.width, video.height, video.pix_fmt = width, height, pixels
        video.codec_context.time_base = base
        for name, value in colors.items():
            setattr(video.codec_context, name, value)
        sounds = []
        for tone in tones:
            sounds.append(file.add_stream(tone.codec, rate=tone.rate, layout=tone.layout))
        packets: list[Any] = []
        for sound, tone in zip(sounds, tones, strict=True):
            packets += [packet for frame in tone.frames() for packet in sound.encode(frame)]
            packets += sound.encode()
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgba")
            frame = frame.reformat(
                format=pixels,
                dst_colorspace=5 if matrix == 6 else matrix,
                dst_color_range=colors.get("color_range"),
            )
            frame.colorspace = colors.get("colorspace", 2)
            frame.pts, frame.time_base = round((time + start) / base), base
            packets += video.encode(frame)
        packets += video.encode()
        packets.sort(key=lambda packet: packet.dts * packet.time_base)
        file.mux(packets)
    return path


@dataclass
class Seen:
    """What a clip holds, decoded: RGBA of frames and samples of sound, each with its time."""

    frames: np.ndarray
    times: list[float]
    samples: np.ndarray
    sound_times: np.ndarray
    sound: Any
    colors: tuple[int, int, int, int]
    pixels: str

    @property
    def flash(self) -> float:
        """Time of the first frame in which red outweighs blue."""
        means = self.frames[..., :3].mean(axis=(1, 2))
        return self.times[int((means[:, 0] > means[:, 2]).argmax())]

    @property
    def beep(self) -> float:
        """Time of the first loud sample."""
        loud = np.abs(self.samples).max(axis=0) > 0.05
        return float(self.sound_times[loud.argmax()])


def see(path: Path) -> Seen:
    """Decode a clip with all its colors and its first sound."""
    frames, times, parts, sound_times, layout = [], [], [], [], None
    with av.open(str(path)) as file:
        video = file.streams.video[0]
        tags = video.codec_context
        colors = (tags.colorspace, tags.color_primaries, tags.color_trc, tags.color_range)
        name = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(video.codec_context.name)
        decoder = video.codec_context
        if name:
            decoder = av.CodecContext.create(name, "r")
            decoder.extradata = video.codec_context.extradata
        for packet in file.demux():
            if packet.stream is video:
                for frame in decoder.decode(packet if packet.size else None):
                    matrix = {6: 5, 2: None}.get(frame.colorspace, frame.colorspace)
                    frames.append(frame.to_ndarray(format="rgba64le", src_colorspace=matrix) / 257)
                    times.append(float(frame.pts * video.time_base))
                    pixels = frame.format.name
            elif packet.stream.type == "audio" and packet.stream is file.streams.audio[0]:
                for frame in packet.decode():
                    layout = (frame.layout.name, frame.sample_rate)
                    resampler = av.AudioResampler("flt", frame.layout, frame.sample_rate)
                    for part in resampler.resample(frame):
                        flat = part.to_ndarray().reshape(-1, frame.layout.nb_channels)
                        parts.append(flat.T)
                        begin = float(frame.pts * frame.time_base)
                        sound_times.append(begin + np.arange(flat.shape[0]) / frame.sample_rate)
    return Seen(
        np.array(frames),
        times,
        np.concatenate(parts, axis=1) if parts else np.zeros((0, 0)),
        np.concatenate(sound_times) if parts else np.zeros(0),
        layout,
        colors,
        pixels,
    )


def matte(*arguments: object) -> Any:
    """Run ``matte predict`` in this process."""
    environment = {"COLUMNS": "300", "TERMINAL_WIDTH": "300"}
    return CliRunner().invoke(app, ["predict", *map(str, arguments)], env=environment)


def one_line(result: Any) -> str:
    """The one line that a run said, on standard error or as the error that `main` prints."""
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        assert isinstance(result.exception, MatteError), repr(result.exception)
        assert "\n" not in str(result.exception)
        return str(result.exception)
    return result.output
