"""Sound of clips: its channels stay where they are, and any rate is brought over."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from clip_material import COUNT, RATE, Tone, make_clip, matte, one_line, see
from test_predict import load_red_is_subject

from mattecli.core.runtime import loading


@pytest.fixture(autouse=True)
def network(monkeypatch):
    monkeypatch.setattr(loading, "load_model", load_red_is_subject)


def with_sound(path, tone):
    base = Fraction(1, RATE)
    return make_clip(path, codec="mpeg4", pixels="yuv420p", base=base, tones=[tone])


def pitches(samples: np.ndarray, rate: int) -> list[float]:
    """The loudest pitch of each channel, 0 where it is silent."""
    found = []
    for wave in samples[:, samples.shape[1] // 2 :]:
        spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 1 << 16))
        loud = np.abs(wave).max() > 0.02
        found.append(float(spectrum.argmax() * rate / (1 << 16)) if loud else 0.0)
    return found


@pytest.mark.parametrize("out", [".mov", ".webm", ".mp4"])
@pytest.mark.parametrize(
    ("codec", "layout"),
    [
        ("flac", "5.1"),
        ("ac3", "5.1(side)"),
        ("flac", "7.1"),
        ("pcm_s16le", "7.1"),
        ("flac", "mono"),
    ],
)
def test_every_channel_stays(tmp_path, codec, layout, out):
    tone = Tone(codec, layout=layout, seconds=COUNT / RATE, beep=0)
    clip = with_sound(tmp_path / "clip.mkv", tone)
    kind = [] if out != ".mp4" else ["--background", "green"]
    result = matte(clip, tmp_path / f"out{out}", *kind)
    assert result.exit_code == 0 and "mixed" not in result.output, one_line(result)
    after = see(tmp_path / f"out{out}")
    channels = {"mono": 1, "5.1": 6, "5.1(side)": 6, "7.1": 8}[layout]
    assert after.samples.shape[0] == channels
    name = after.sound[0].removesuffix("(side)")
    assert name == layout.removesuffix("(side)") or (codec == "pcm_s16le" and out == ".mov")
    found = pitches(after.samples, after.sound[1])
    for channel, pitch in enumerate(found):
        # The channel of low frequencies holds no pitch of 1200 Hz once it is encoded.
        if not (channel == 3 and channels > 4):
            assert pitch == pytest.approx(300 * (1 + channel), abs=8), (channel, found)


@pytest.mark.parametrize(
    ("layout", "out", "expected", "said"),
    [
        ("quad", ".mov", "5.0", ""),
        ("quad", ".webm", "quad", ""),
        ("2.1", ".mp4", "5.1", ""),
        ("4.0", ".mp4", "4.0", ""),
        ("6.1", ".mov", "5.1", "mixed to 5.1"),
    ],
)
def test_layouts_that_a_codec_does_not_know(tmp_path, layout, out, expected, said):
    clip = with_sound(tmp_path / "clip.mkv", Tone("flac", layout=layout))
    kind = ["--save", "alpha"] if out == ".mp4" else []
    result = matte(clip, tmp_path / f"out{out}", *kind)
    assert (
        result.exit_code == 0 and said in result.output and ("mixed" in result.output) == bool(said)
    )
    assert see(tmp_path / f"out{out}").sound[0] == expected


def test_more_channels_than_a_codec_holds_are_left_out_with_a_word(tmp_path):
    clip = with_sound(tmp_path / "clip.mkv", Tone("pcm_s16le", layout="16 channels"))
    result = matte(clip, tmp_path / "out.webm")
    assert result.exit_code == 1 and "16 channels has no place in Opus" in result.output
    assert len(see(tmp_path / "out.webm").times) == COUNT
    assert matte(clip, tmp_path / "out.mov").exit_code == 0
    assert see(tmp_path / "out.mov").samples.shape[0] == 16


@pytest.mark.parametrize(
    ("codec", "rate", "out", "expected", "said"),
    [
        ("flac", 192000, ".mov", 96000, "192 kHz is resampled to 96 kHz"),
        ("flac", 192000, ".webm", 48000, "192 kHz is resampled to 48 kHz"),
        ("flac", 192000, ".mp4", 192000, ""),
        ("flac", 176400, ".mov", 88200, "176.4 kHz is resampled to 88.2 kHz"),
        ("pcm_alaw", 8000, ".mov", 8000, ""),
        ("pcm_s16le", 8000, ".webm", 48000, ""),
        ("pcm_s16le", 5512, ".mp4", 7350, "5.512 kHz is resampled to 7.35 kHz"),
        ("pcm_s16le", 192000, ".mov", 192000, ""),
    ],
)
def test_rates(tmp_path, codec, rate, out, expected, said):
    suffix = ".avi" if codec == "pcm_alaw" else ".mkv"
    clip = with_sound(tmp_path / f"clip{suffix}", Tone(codec, rate, "mono"))
    kind = ["--save", "alpha"] if out == ".mp4" else []
    result = matte(clip, tmp_path / f"out{out}", *kind)
    assert result.exit_code == 0, one_line(result)
    assert said in result.output and ("resampled" in result.output) == bool(said)
    after = see(tmp_path / f"out{out}")
    assert after.sound[1] == expected
    assert after.beep == pytest.approx(5 / RATE, abs=5e-3)
    assert pitches(after.samples, expected)[0] == pytest.approx(300, abs=8)


@pytest.mark.parametrize(("out", "code"), [(".mov", 1), (".webm", 0)])
def test_a_broadcast_that_changes_its_channels(tmp_path, out, code):
    stereo = make_clip(tmp_path / "stereo.ts", tones=[Tone()])
    options = {"output_ts_offset": "0.4"}
    tones = [Tone(layout="5.1")]
    surround = make_clip(tmp_path / "surround.ts", tones=tones, container=options)
    (tmp_path / "both.ts").write_bytes(stereo.read_bytes() + surround.read_bytes())
    result = matte(tmp_path / "both.ts", tmp_path / f"out{out}")
    assert result.exit_code == code
    assert code == 0 or "another rate or layout, left out" in result.output
    after = see(tmp_path / f"out{out}")
    assert after.sound[0] == "stereo" and len(after.times) == 2 * COUNT
    assert after.sound_times[-1] == pytest.approx(0.84 if code == 0 else 0.42, abs=0.06)


@pytest.mark.parametrize("out", ["out.mov", "out.mp4"], ids=["encoded", "copied"])
def test_damaged_sound_costs_no_frame(tmp_path, out):
    clip = with_sound(tmp_path / "clip.mkv", Tone("flac"))
    data = bytearray(clip.read_bytes())
    # FLAC frames begin with this; their checksums do not hold any more.
    starts = [i for i in range(len(data) - 1) if data[i] == 0xFF and data[i + 1] == 0xF8]
    for start in starts[1:3]:
        data[start + 1 : start + 12] = bytes(11)
    clip.write_bytes(data)
    kind = ["--save", "alpha"] if out == "out.mp4" else []
    result = matte(clip, tmp_path / out, *kind)
    assert result.exit_code == 1 and "damaged packets of its sound" in result.output
    after = see(tmp_path / out)
    assert len(after.times) == COUNT and after.samples.size
