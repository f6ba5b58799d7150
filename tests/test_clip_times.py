"""Clocks of clips: whatever they start at and wherever they jump, results start at 0 in step."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from clip_material import BEEP, COUNT, FLASH, RATE, Tone, flash, make_clip, matte, one_line, see
from test_predict import load_red_is_subject

from mattecli.core.runtime import loading

OUTPUTS = pytest.mark.parametrize("out", [".mov", ".webm"])


@pytest.fixture(autouse=True)
def network(monkeypatch):
    monkeypatch.setattr(loading, "load_model", load_red_is_subject)


@OUTPUTS
@pytest.mark.parametrize(
    ("name", "start", "container", "lag"),
    [
        ("plain.ts", 0, {}, 0),
        ("hours.ts", 0, {"output_ts_offset": "28800"}, 0),
        ("late.mkv", 5, {}, 0),
        ("early.mkv", 5, {}, -0.5),
        ("later.mkv", 5, {}, 0.1),
        ("early.ts", 5, {}, -0.5),
        ("later.mp4", 0, {}, 0.1),
        ("before.mp4", 1, {}, -1),
        ("negative.mp4", -0.12, {"avoid_negative_ts": "disabled"}, 0),
        ("plain.flv", 0, {}, 0),
    ],
)
def test_what_starts_first_starts_at_0_and_flash_and_beep_stay_together(
    tmp_path, name, start, container, lag, out
):
    """`lag` is how much later than the video the sound starts, in seconds."""
    seconds = COUNT / RATE - lag
    tone = Tone(start=start + lag, seconds=seconds, beep=start + BEEP)
    pixels = "yuv420p" if name.endswith(".flv") else "yuv444p"
    clip = make_clip(tmp_path / name, pixels=pixels, start=start, tones=[tone], container=container)
    before = see(clip)
    result = matte(clip, tmp_path / f"out{out}")
    assert result.exit_code == 0, one_line(result)
    after = see(tmp_path / f"out{out}")
    assert len(after.times) == len(before.times)
    assert min(after.times[0], after.sound_times[0]) == pytest.approx(0, abs=2e-3)
    assert after.times[0] == pytest.approx(max(0, -lag), abs=0.03)
    assert after.flash - after.beep == pytest.approx(before.flash - before.beep, abs=3e-3)
    assert after.times[-1] - after.times[0] == pytest.approx(
        before.times[-1] - before.times[0], abs=2e-3
    )


@OUTPUTS
@pytest.mark.parametrize("order", [(0, 30000), (30000, 0)], ids=["forward", "backward"])
def test_a_broadcast_whose_clock_jumps_is_put_together(tmp_path, order, out):
    parts = []
    for offset in order:
        options = {"output_ts_offset": str(offset)}
        part = make_clip(tmp_path / f"{offset}.ts", tones=[Tone()], container=options)
        parts.append(part.read_bytes())
    (tmp_path / "joined.ts").write_bytes(b"".join(parts))
    result = matte(tmp_path / "joined.ts", tmp_path / f"out{out}")
    assert result.exit_code == 0 and "jumps of its clock" in one_line(result)
    after = see(tmp_path / f"out{out}")
    assert len(after.times) == 2 * COUNT
    assert after.times[-1] == pytest.approx((2 * COUNT - 1) / RATE, abs=0.05)


def write_packets(path: Path, times: list[int]) -> Path:
    """Motion JPEG in Matroska, frame by frame at any milliseconds."""
    base = Fraction(1, 1000)
    options = {"avoid_negative_ts": "disabled"}
    with av.open(str(path), "w", container_options=options) as file:
        video = file.add_stream("mjpeg", rate=RATE)
        video.width, video.height, video.pix_fmt = 64, 48, "yuvj420p"
        video.codec_context.time_base = base
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(flash(number), format="rgba")
            frame = frame.reformat(format="yuvj420p")
            frame.pts, frame.time_base = number, base
            for packet in video.encode(frame):
                packet.pts, packet.dts = time, min(number, time) if time < 1000 else time
                file.mux(packet)
    return path


@pytest.mark.parametrize(
    ("given", "expected", "code", "said"),
    [
        ([0, 40, 80, 120, 40, 80, 200, 240], [0, 40, 80, 120, 160, 200, 240, 280], 1, "backward"),
        ([0] * 5, [0, 40, 80, 120, 160], 0, "frames in"),
        # Screen recordings stand still for an hour; no clip lasts for 34 years.
        ([0, 40, 3_600_000, 3_600_040], [0, 40, 3_600_000, 3_600_040], 0, "frames in"),
        ([0, 40, 2**40, 2**40 + 40], [0, 40, 80, 120], 0, "jumps"),
    ],
    ids=["backward", "all the same", "an hour's gap", "34 years' gap"],
)
def test_odd_times(tmp_path, given, expected, code, said):
    clip = write_packets(tmp_path / "clip.mkv", given)
    result = matte(clip, tmp_path / "out.mov")
    assert result.exit_code == code and said in one_line(result)
    times = see(tmp_path / "out.mov").times
    assert times == pytest.approx([time / 1000 for time in expected], abs=2e-3)


@pytest.mark.parametrize("form", ["h264", "avi"])
def test_files_without_times_run_at_their_rate(tmp_path, form):
    base = Fraction(1, RATE)
    make_clip(tmp_path / "clip.mpg", base=base, form=form, options={"bf": "2"})
    assert matte(tmp_path / "clip.mpg", tmp_path / "out.mov").exit_code == 0
    after = see(tmp_path / "out.mov")
    assert after.times == pytest.approx([number / RATE for number in range(COUNT)], abs=2e-3)
    assert after.flash == pytest.approx(FLASH / RATE, abs=2e-3)
