"""``matte predict`` on clips, with a network that takes red for subject; results decoded again."""

from __future__ import annotations

import json
import os
import signal
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from test_predict import RedIsSubject, load_red_is_subject
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.clips.smoothing import FrameMatte, smooth
from mattecli.core.imaging.reading import read_picture
from mattecli.core.runtime import loading

WIDTH, HEIGHT, COUNT = 96, 64, 9
RATE = Fraction(30000, 1001)


@pytest.fixture(autouse=True)
def network(monkeypatch):
    monkeypatch.setattr(loading, "load_model", load_red_is_subject)


def frame_of(number: int) -> np.ndarray:
    """A red disc with a soft rim on blue, on its way to the right."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    alpha = np.clip((16 - np.hypot(y - 24, x - 28 - 4 * number)) / 6 + 0.5, 0, 1)[..., None]
    return np.rint(alpha * [255, 0, 0] + (1 - alpha) * [0, 0, 200]).astype(np.uint8)


def write_clip(
    path: Path,
    *,
    audio: str | None = "aac",
    times: list[int] | None = None,
    cut: slice = slice(None),
) -> Path:
    """H.264, nearly lossless, with a tone; `times` are in milliseconds."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "4"})
        first = frame_of(0)[cut]
        video.height, video.width, video.pix_fmt = *first.shape[:2], "yuv444p"
        if times:
            video.codec_context.time_base = Fraction(1, 1000)
        if audio:
            sound = container.add_stream(audio, rate=48000)
            sound.codec_context.layout = "stereo"
            wave = np.sin(np.arange(int(48000 * COUNT / RATE)) / 48000 * 2 * np.pi * 440)
            samples = np.repeat((wave * 9000).astype(np.int16), 2)[None]
            tone = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
            tone.sample_rate, tone.pts = 48000, 0
            container.mux(sound.encode(tone))
            container.mux(sound.encode())
        for number in range(COUNT):
            picture = np.ascontiguousarray(frame_of(number)[cut])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode())
    return path


def read_clip(path: Path) -> tuple[np.ndarray, list[float]]:
    """RGBA of all frames, from 0 to 255, and their times in seconds."""
    frames, times = [], []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        # FFmpeg's own decoder of VP9 does not know transparency.
        name = {"vp9": "libvpx-vp9"}.get(stream.codec_context.name, stream.codec_context.name)
        decoder = av.CodecContext.create(name, "r")
        decoder.extradata = stream.codec_context.extradata
        for packet in container.demux(stream):
            for frame in decoder.decode(packet if packet.size else None):
                frames.append(frame.to_ndarray(format="rgba64le") / 257)
                times.append(float(frame.pts * stream.time_base))
    return np.array(frames), times


def sound_of(path: Path) -> tuple[str, list[bytes]]:
    with av.open(str(path)) as container:
        (stream,) = container.streams.audio
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
        return stream.codec_context.codec.canonical_name, packets


def rate_of(path: Path) -> Fraction:
    with av.open(str(path)) as container:
        return container.streams.video[0].average_rate


def matte(*arguments: object):
    environment = {"COLUMNS": "300", "TERMINAL_WIDTH": "300"}
    return CliRunner().invoke(app, ["predict", *map(str, arguments)], env=environment)


@pytest.mark.parametrize(
    ("suffix", "pixels", "off", "sound"),
    # Off in 255ths: ProRes keeps alpha as it is, in 10 bits; VP9 loses a little of it.
    [(".mov", "yuva444p12le", 1, "aac"), (".webm", "yuva420p", 10, "opus")],
)
def test_a_clip_with_alpha_holds_the_mattes_that_were_found(tmp_path, suffix, pixels, off, sound):
    clip, out = write_clip(tmp_path / "clip.mp4"), tmp_path / f"out{suffix}"
    result = matte(clip, out)
    assert result.exit_code == 0, result.output
    assert f"{COUNT} frames" in result.output
    assert matte(clip, tmp_path / "frames").exit_code == 0
    pictures = [read_picture(path) for path in sorted((tmp_path / "frames").iterdir())]
    frames, times = read_clip(out)
    assert len(frames) == len(pictures) == COUNT
    assert np.allclose(times, np.arange(COUNT) / float(RATE), atol=6e-4)
    assert rate_of(out) == RATE
    for frame, picture in zip(frames, pictures, strict=True):
        difference = np.abs(frame[..., 3] - picture.alpha)
        assert difference.max() <= off and difference.mean() <= off / 4
        inside = picture.alpha > 250
        assert np.abs(frame[..., :3] - picture.color)[inside].mean() < 6
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        assert stream.metadata.get("alpha_mode") == ("1" if suffix == ".webm" else None)
        assert suffix == ".webm" or stream.codec_context.pix_fmt == pixels
    codec, packets = sound_of(out)
    assert codec == sound
    if sound == "aac":
        assert packets == sound_of(clip)[1]
    else:
        # Opus packets hold 20 ms, and 6.5 ms come before the first sample.
        assert len(packets) == pytest.approx(COUNT / RATE / Fraction(20, 1000), abs=2)


def test_a_new_background_gives_an_ordinary_clip(tmp_path):
    clip, out = write_clip(tmp_path / "clip.mp4", audio="flac"), tmp_path / "out.mp4"
    assert matte(clip, out, "--background", "#00c000").exit_code == 0
    frames, times = read_clip(out)
    assert len(times) == COUNT
    assert np.abs(frames[0, 24, 28, :3] - [255, 0, 0]).max() < 12
    assert np.abs(frames[:, :4, :4, :3] - [0, 192, 0]).max() < 12
    assert sound_of(out) == sound_of(clip)
    with av.open(str(out)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"


def test_uneven_times_stay(tmp_path):
    times = [0, 40, 80, 300, 310, 333, 600, 640, 1200]
    clip = write_clip(tmp_path / "clip.mkv", times=times, audio=None)
    for name in ("out.mov", "out.webm"):
        assert matte(clip, tmp_path / name).exit_code == 0
        assert np.allclose(read_clip(tmp_path / name)[1], np.array(times) / 1000, atol=6e-4)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_clip_that_lies_on_its_side_is_turned(tmp_path, quarters):
    clip = write_clip(tmp_path / "clip.mp4", audio=None)
    data = bytearray(clip.read_bytes())
    # ISO/IEC 14496-12, 8.3.2: the matrix a, b, u, c, d, v, … maps (x, y) to (ax + cy, bx + dy).
    matrix = data.index(b"tkhd") + 4 + 40
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters]
    for place, value in ((0, cos), (1, sin), (3, -sin), (4, cos)):
        data[matrix + 4 * place : matrix + 4 * place + 4] = (value << 16).to_bytes(
            4, "big", signed=True
        )
    clip.write_bytes(data)
    assert matte(clip, tmp_path / "out.mov").exit_code == 0
    frames, _ = read_clip(tmp_path / "out.mov")
    # Clockwise by so many quarters, as x goes to y by the sine.
    truth = np.rot90(frame_of(0)[..., 0], -quarters)
    assert frames.shape[1:3] == truth.shape
    assert np.abs(frames[0, ..., 3] - truth).mean() < 3


def test_pictures_of_several_kinds_and_a_run_that_goes_on(tmp_path):
    clip, out = write_clip(tmp_path / "clip.mp4"), tmp_path / "out"
    kinds = ("--save", "alpha", "--save", "cutout", "--format", "webp")
    assert matte(clip, out, *kinds).exit_code == 0
    names = [f"{number:06}.webp" for number in range(1, COUNT + 1)]
    for kind in ("alpha", "cutout"):
        assert sorted(path.name for path in (out / kind).iterdir()) == names
    (out / "alpha" / names[2]).unlink()
    (out / "alpha" / names[3]).write_bytes(b"kept")
    assert matte(clip, out, *kinds, "--resume").exit_code == 0
    assert read_picture(out / "alpha" / names[2]).color.shape == (HEIGHT, WIDTH, 3)
    assert (out / "alpha" / names[3]).read_bytes() == b"kept"


def test_odd_sides(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", audio=None, cut=np.s_[:63, :95])
    for name, shape in (("a.mov", (63, 95)), ("a.webm", (63, 95)), ("a.mp4", (64, 96))):
        assert matte(clip, tmp_path / name, "--save", "alpha").exit_code == 0, name
        assert read_clip(tmp_path / name)[0].shape[1:3] == shape


def test_a_damaged_clip_is_one_line_and_leaves_nothing(tmp_path):
    whole = write_clip(tmp_path / "whole.mp4", audio=None).read_bytes()
    start = whole.index(b"mdat") + 4
    (tmp_path / "hurt.mp4").write_bytes(whole[:start] + bytes(1000) + whole[start + 1000 :])
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.mp4").write_text("no clip")
    (tmp_path / "empty.mp4").touch()
    for name in ("hurt", "cut", "text", "empty", "absent"):
        report = tmp_path / f"{name}.jsonl"
        result = matte(tmp_path / f"{name}.mp4", tmp_path / "out" / "out.webm", "--report", report)
        assert result.exit_code == 1
        assert f"{name}.mp4" in str(result.exception) and "\n" not in str(result.exception)
        assert json.loads(report.read_text())["status"] == "failed"
        assert not list((tmp_path / "out").glob("*")), name


def test_a_clip_with_a_damaged_part_is_done_as_far_as_it_goes(tmp_path):
    data = bytearray(write_clip(tmp_path / "clip.mp4", audio=None).read_bytes())
    start = data.index(b"mdat") + 4 + 700  # within the first frame
    data[start : start + 100] = bytes(100)
    (tmp_path / "clip.mp4").write_bytes(data)
    result = matte(tmp_path / "clip.mp4", tmp_path / "out.mov")
    assert result.exit_code == 1 and f"1 of its {COUNT} frames are damaged" in result.output
    assert len(read_clip(tmp_path / "out.mov")[1]) == COUNT

    whole = write_clip(tmp_path / "clip.mkv").read_bytes()
    (tmp_path / "clip.mkv").write_bytes(whole[: len(whole) // 2])
    result = matte(tmp_path / "clip.mkv", tmp_path / "out.mov")
    assert result.exit_code == 1 and "it ends after 0.1 of 0.3 seconds" in result.output
    assert 0 < len(read_clip(tmp_path / "out.mov")[1]) < COUNT


def test_ctrl_c_leaves_nothing_half_written(tmp_path, monkeypatch):
    seen = []

    def forward(self, image):
        seen.append(len(image))
        if len(seen) == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return image[:, :1]

    monkeypatch.setattr(RedIsSubject, "forward", forward)
    clip = write_clip(tmp_path / "clip.mp4")
    (tmp_path / "out").mkdir()
    result = matte(clip, tmp_path / "out" / "out.mov")
    assert result.exit_code != 0 and isinstance(result.exception, (SystemExit, KeyboardInterrupt))
    assert not list((tmp_path / "out").iterdir())
    assert len(seen) < COUNT


def test_what_does_not_go_together(tmp_path, monkeypatch):
    clip = write_clip(tmp_path / "clip.mp4")
    for arguments, message in (
        (["out.mp4"], "cannot hold transparency"),
        (["out.avi"], ".mov, .webm, .mp4"),
        (["out.png"], ".mov, .webm, .mp4"),
        (["-", "--format", "png"], ".mov, .webm, .mp4"),
        (["out.mov", "--crop"], "--crop"),
        (["out.mov", "--save", "alpha", "--save", "cutout"], "folder"),
        (["out.mov", "--format", "png"], "contradicts"),
    ):
        result = matte(clip, *arguments)
        assert result.exit_code == 2 and message in result.output, arguments
    assert "overwrite" in str(matte(clip, clip, "--save", "alpha").exception)
    message = str(matte(tmp_path, tmp_path / "out", "--crop").exception)
    assert "holds no pictures" in message and "for photos only" in message
    monkeypatch.setitem(sys.modules, "av", None)
    result = matte(clip, tmp_path / "out.mov")
    assert result.exit_code == 1 and "pip install 'mattecli[video]'" in str(result.exception)


def test_smoothing_takes_flicker_away_and_drags_nothing_along():
    """A disc moves over a picture that stands."""
    rng = np.random.default_rng(0)
    ground = cv2.GaussianBlur(rng.integers(0, 160, (90, 160, 3), np.uint8), (0, 0), 2)
    y, x = np.mgrid[0:90, 0:160]
    right, trembling = [], []
    for number in range(12):
        alpha = np.clip((20 - np.hypot(y - 45, x - 30 - 5 * number)) / 3 + 0.5, 0, 1)
        image = ground + alpha[..., None] * ([230, 60, 40] - ground.astype(float))
        image = np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)
        flicker = cv2.resize(rng.normal(0, 0.1, (6, 10)), (160, 90), interpolation=cv2.INTER_CUBIC)
        right.append(FrameMatte(number, image, alpha.astype(np.float32)))
        trembling.append(
            FrameMatte(number, image, (0.2 + 0.6 * alpha + flicker).astype(np.float32))
        )

    def mattes(frames):
        return np.array([frame.matte for frame in frames])

    truth, smoothed = mattes(right), list(smooth(trembling))
    assert [frame.payload for frame in smoothed] == list(range(12))
    before, after = (mattes(frames) - (0.2 + 0.6 * truth) for frames in (trembling, smoothed))
    # The mean of five frames trembles by 1 / sqrt(5) as much, that of fewer a little more.
    assert after.std() < 0.55 * before.std()
    # A ghost would show as an error of right mattes.
    ghosts = np.abs(mattes(smooth(right)) - truth)
    moved = np.array([cv2.dilate(matte, np.ones((1, 31))) > 0.05 for matte in truth])
    assert ghosts[moved].mean() < 0.01 and np.quantile(ghosts[moved], 0.99) < 0.15


def test_smoothing_does_not_mix_scenes():
    rng = np.random.default_rng(0)
    scenes = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(2)]
    cut = [FrameMatte(i, scenes[i // 4], np.full((48, 64), i // 4, np.float32)) for i in range(8)]
    for before, after in zip(cut, smooth(cut), strict=True):
        assert np.abs(before.matte - after.matte).max() < 1e-6
