"""Frames through standard input and output, with a network that takes red for subject."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from clip_material import COUNT, FLASH, RATE, SIZE, Tone, make_clip, see
from test_predict import load_red_is_subject
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.errors import MatteError, OutputUnusable
from mattecli.core.imaging.clips import pipe_writing
from mattecli.core.imaging.clips.pipes import RawFrames
from mattecli.core.runtime import loading

WIDTH, HEIGHT = SIZE


@pytest.fixture(autouse=True)
def network(monkeypatch):
    monkeypatch.setattr(loading, "load_model", load_red_is_subject)


def matte(*arguments: object, stdin: bytes | None = None):
    environment = {"COLUMNS": "300", "TERMINAL_WIDTH": "300"}
    return CliRunner().invoke(app, ["predict", *map(str, arguments)], input=stdin, env=environment)


def half_red(number: int) -> np.ndarray:
    """RGB: the left half is subject; blue grows with the number."""
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frame[..., 2] = 100 + 10 * number
    frame[:, : WIDTH // 2] = (255, 0, 0)
    return frame


def streamed(form: str, pixels: str, rate: Fraction = Fraction(30000, 1001)) -> bytes:
    """Frames as ffmpeg would pipe them."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        encoder = "wrapped_avframe" if form == "yuv4mpegpipe" else "rawvideo"
        stream = container.add_stream(encoder, rate=rate)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        for number in range(COUNT):
            frame = av.VideoFrame.from_ndarray(half_red(number), format="rgb24")
            frame = frame.reformat(format=pixels)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def frames_of(data: bytes) -> tuple[np.ndarray, list[float], list[str]]:
    """Frames of a NUT stream, their times in seconds, and the kinds of its streams."""
    with av.open(io.BytesIO(data), format="nut") as file:
        kinds = [stream.type for stream in file.streams]
        decoded = [(frame.to_ndarray(), float(frame.time)) for frame in file.decode(video=0)]
    return np.array([frame for frame, _ in decoded]), [time for _, time in decoded], kinds


@pytest.mark.parametrize(
    ("form", "pixels"), [("yuv4mpegpipe", "yuv444p"), ("nut", "rgb24"), ("nut", "yuv444p10le")]
)
def test_frames_come_in_and_go_out(form, pixels):
    result = matte("-", "-", stdin=streamed(form, pixels))
    assert result.exit_code == 0, result.stderr
    frames, times, kinds = frames_of(result.stdout_bytes)
    assert frames.shape == (COUNT, HEIGHT, WIDTH, 4) and kinds == ["video"]
    assert np.allclose(times, np.arange(COUNT) * 1001 / 30000, atol=1e-3)
    assert frames[..., : WIDTH // 2 - 4, 3].min() > 240
    assert frames[..., WIDTH // 2 + 4 :, 3].max() < 10
    assert frames[..., : WIDTH // 2 - 4, 0].min() > 240
    assert f"{COUNT} frames" in result.stderr


def test_bare_frames_come_in_and_go_out():
    stdin = b"".join(half_red(number).tobytes() for number in range(COUNT))
    raw = ["--raw", f"{WIDTH}x{HEIGHT}@25:rgb24"]
    result = matte("-", "-", *raw, stdin=stdin)
    assert result.exit_code == 0, result.stderr
    frames = np.frombuffer(result.stdout_bytes, np.uint8).reshape(COUNT, HEIGHT, WIDTH, 4)
    assert frames[..., : WIDTH // 2 - 4, 3].min() > 240
    result = matte("-", "-", *raw, "--save", "alpha", "--bits", 16, stdin=stdin)
    frames = np.frombuffer(result.stdout_bytes, "<u2").reshape(COUNT, HEIGHT, WIDTH)
    assert (
        frames[..., : WIDTH // 2 - 4].min() > 60000 and frames[..., WIDTH // 2 + 4 :].max() < 3000
    )
    result = matte("-", "-", *raw, "--background", "lime", stdin=stdin)
    frames = np.frombuffer(result.stdout_bytes, np.uint8).reshape(COUNT, HEIGHT, WIDTH, 3)
    assert frames[..., WIDTH // 2 + 4 :, 1].min() > 240


def test_frames_that_come_in_become_a_file_or_pictures(tmp_path):
    stdin = streamed("yuv4mpegpipe", "yuv420p")
    assert matte("-", tmp_path / "out.mov", stdin=stdin).exit_code == 0
    assert len(see(tmp_path / "out.mov").frames) == COUNT
    assert matte("-", f"{tmp_path}/frames/", stdin=stdin).exit_code == 0
    assert len(list((tmp_path / "frames").iterdir())) == COUNT


def test_lines_of_frames_may_have_parameters():
    stdin = streamed("yuv4mpegpipe", "yuv420p").replace(b"FRAME\n", b"FRAME Ip\n")
    result = matte("-", "-", stdin=stdin)
    assert result.exit_code == 0, result.stderr
    assert len(frames_of(result.stdout_bytes)[0]) == COUNT
    assert matte("-", "-", stdin=stdin[:-100]).exit_code == 1


def test_a_file_goes_out_with_its_sound(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", tones=[Tone()])
    result = matte(clip, "-", "--save", "alpha", "--start", 0.08)
    assert result.exit_code == 0, result.stderr
    frames, times, kinds = frames_of(result.stdout_bytes)
    assert kinds == ["video", "audio"] and len(frames) == COUNT - 2
    assert times[1] == pytest.approx(1 / RATE, abs=1e-3)
    assert frames[: FLASH - 2].max() < 10 and frames[FLASH - 2 :].min() > 240


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["-", "-", "--raw", "64x48"], b"x", "no description of frames"),
        (["-", "-", "--raw", "64x48@0"], b"x", "no description of frames"),
        (["-", "-", "--raw", "0x48@25"], b"x", "no description of frames"),
        (["-", "-", "--raw", "64x48@25:nonsense"], b"x" * 99999, "nonsense"),
        (["-", "-", "--raw", "64x48@25"], b"short", "cut off"),
        (["-", "-", "--raw", "60000x60000@25"], b"short", "limit"),
        (["photo.png", "out.png", "--raw", "64x48@25"], None, "standard input"),
        (["-", "-", "--codec", "hevc"], streamed("yuv4mpegpipe", "yuv420p"), "--codec"),
    ],
)
def test_what_is_wrong_is_said(arguments, stdin, message):
    result = matte(*arguments, stdin=stdin)
    assert result.exit_code != 0
    said = str(result.exception) if isinstance(result.exception, MatteError) else result.stderr
    assert message in said and not result.stdout_bytes


def test_a_stream_that_breaks_off_in_a_frame_is_cut_up_to_there_and_said():
    whole = streamed("yuv4mpegpipe", "yuv420p")
    result = matte("-", "-", stdin=whole[: len(whole) - 1000])
    assert result.exit_code == 1 and "breaks off within a frame" in result.stderr
    assert len(frames_of(result.stdout_bytes)[0]) == COUNT - 1


@pytest.mark.parametrize(
    ("stdin", "raw"),
    [
        (b"".join(half_red(number).tobytes() for number in range(COUNT)), f"{WIDTH}x{HEIGHT}@25"),
        (streamed("nut", "rgb24"), None),
        (streamed("nut", "yuv444p10le"), None),
    ],
)
def test_so_is_one_of_bare_frames_or_nut(tmp_path, stdin, raw):
    options = ["--raw", raw] if raw else []
    result = matte("-", f"{tmp_path}/out/", *options, stdin=stdin[:-5000])
    assert result.exit_code == 1 and "breaks off within a frame" in result.stderr
    assert len(list((tmp_path / "out").iterdir())) == COUNT - 1


def test_photos_still_come_through_standard_input():
    data = cv2.imencode(".png", half_red(0)[..., ::-1])[1].tobytes()
    result = matte("-", "-", stdin=data)
    assert result.exit_code == 0 and result.stdout_bytes.startswith(b"\x89PNG")


def test_who_reads_may_go(monkeypatch):
    written = []

    def write(data):
        if len(written) > 2:
            raise OutputUnusable("cannot write to standard output: Broken pipe")
        written.append(data)

    monkeypatch.setattr(pipe_writing, "write_standard_output", write)
    stdin = b"".join(half_red(number).tobytes() for number in range(COUNT)) * 20
    result = matte("-", "-", "--raw", f"{WIDTH}x{HEIGHT}@25", stdin=stdin)
    assert isinstance(result.exception, MatteError) and "Broken pipe" in str(result.exception)
    written.clear()
    result = matte("-", "-", stdin=streamed("nut", "rgb24"))
    assert result.exit_code != 0 and "Broken pipe" in str(result.exception)


def test_descriptions_of_bare_frames():
    assert RawFrames.parse("1280x720@30") == (1280, 720, Fraction(30), "rgb24")
    assert RawFrames.parse("8x6@30000/1001:rgba") == (8, 6, Fraction(30000, 1001), "rgba")
    assert RawFrames.parse("8x6@23.976").rate == Fraction("23.976")
