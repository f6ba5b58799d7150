"""Clips that are no clips, or not quite: a right result or one line, and nothing half-written."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clip_material import COUNT, RATE, SIZE, Tone, flash, make_clip, matte, one_line, see
from PIL import ExifTags, Image
from test_predict import load_red_is_subject

from mattecli.core.imaging.clips.codecs import CODECS
from mattecli.core.runtime import loading

BASE = Fraction(1, RATE)


@pytest.fixture(autouse=True)
def network(monkeypatch):
    monkeypatch.setattr(loading, "load_model", load_red_is_subject)


def add_video(file: av.container.OutputContainer, size=SIZE, codec="mpeg4", cover=False):
    video = file.add_stream(codec, rate=RATE)
    video.width, video.height = size
    video.pix_fmt = "rgb24" if codec == "png" else "yuv420p"
    if cover:
        video.disposition = av.stream.Disposition.attached_pic
    return video


def encode_video(video, size=SIZE, count=COUNT) -> list:
    frames = [av.VideoFrame.from_ndarray(flash(n, size), format="rgba") for n in range(count)]
    packets = [packet for frame in frames for packet in video.encode(frame)]
    return packets + video.encode()


def encode_sound(sound) -> list:
    packets = [packet for frame in Tone().frames() for packet in sound.encode(frame)]
    return packets + sound.encode()


def refused(clip: Path, *arguments: object) -> str:
    """The reason why a clip failed, of which nothing is left."""
    out = clip.parent / "out"
    out.mkdir()
    report = clip.parent / "report.jsonl"
    result = matte(clip, out / "out.mov", "--report", report, *arguments)
    assert result.exit_code == 1
    line = one_line(result)
    assert clip.name in line and not list(out.iterdir())
    (entry,) = map(json.loads, report.read_text().splitlines())
    assert (entry["status"], entry["outputs"]) == ("failed", {})
    return line


def test_a_single_frame(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", times=[0])
    assert matte(clip, tmp_path / "out.mov").exit_code == 0
    assert see(tmp_path / "out.mov").frames.shape == (1, 48, 64, 4)


def test_what_is_no_clip(tmp_path):
    def place(name: str) -> Path:
        (tmp_path / name).mkdir()
        return tmp_path / name / "clip.mp4"

    place("empty").touch()
    place("folder").mkdir()
    os.mkfifo(place("pipe"))
    place("text").write_text("no clip")
    for name, reason in (("empty", "is empty"), ("folder", "is a folder"), ("pipe", "is a device")):
        assert reason in refused(tmp_path / name / "clip.mp4")
    assert "cannot read" in refused(tmp_path / "text" / "clip.mp4")


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.mp4\n",
        "ffconcat version 1.0\nfile secret.mp4\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    ],
    ids=["playlist", "list of files", "stream's description"],
)
def test_a_clip_opens_no_other_file_and_no_address(tmp_path, text):
    make_clip(tmp_path / "secret.mp4")
    (tmp_path / "clip.mp4").write_text(text)
    assert "cannot read" in refused(tmp_path / "clip.mp4")


@pytest.mark.parametrize("name", ["colon:a|b.mp4", "http:x.mp4", "%d.mp4", b"\xff.mp4", "ü 猫.mp4"])
def test_any_name(tmp_path, name):
    source = make_clip(tmp_path / "clip.mp4").read_bytes()
    path = tmp_path / (os.fsdecode(name) if isinstance(name, bytes) else name)
    path.write_bytes(source)
    assert matte(path, tmp_path / "out:1.mov").exit_code == 0
    assert len(see(tmp_path / "out:1.mov").times) == COUNT


def test_metadata_that_is_no_utf8(tmp_path):
    clip = tmp_path / "clip.avi"
    with av.open(str(clip), "w") as file:
        file.metadata["title"] = "XXXXXXXX"
        file.mux(encode_video(add_video(file)))
    clip.write_bytes(clip.read_bytes().replace(b"XXXXXXXX", "Müßäöüé ".encode("latin-1")))
    assert matte(clip, tmp_path / "out.mov", "--keep-metadata").exit_code == 0


def test_files_without_a_film(tmp_path):
    for name in ("sound", "cover", "none"):
        (tmp_path / name).mkdir()
    with av.open(str(tmp_path / "sound" / "clip.mp4"), "w") as file:
        file.mux(encode_sound(file.add_stream("aac", rate=48000, layout="stereo")))
    with av.open(str(tmp_path / "cover" / "clip.mp4"), "w") as file:
        sound = file.add_stream("aac", rate=48000, layout="stereo")
        cover = add_video(file, codec="png", cover=True)
        file.mux(encode_sound(sound) + encode_video(cover, count=1))
    with av.open(str(tmp_path / "none" / "clip.mkv"), "w") as file:
        add_video(file)
        file.start_encoding()
    assert "holds no video, only audio" in refused(tmp_path / "sound" / "clip.mp4")
    assert "no video that is more than a cover" in refused(tmp_path / "cover" / "clip.mp4")
    refused(tmp_path / "none" / "clip.mkv")


def test_of_several_streams_the_film_is_cut_and_the_rest_named(tmp_path):
    with av.open(str(tmp_path / "cover.mp4"), "w") as file:
        cover = add_video(file, (640, 480), "png", cover=True)
        video = add_video(file)
        file.mux(encode_video(cover, (640, 480), count=1) + encode_video(video))
    result = matte(tmp_path / "cover.mp4", tmp_path / "out.mov")
    assert result.exit_code == 0 and see(tmp_path / "out.mov").frames.shape == (COUNT, 48, 64, 4)

    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:00,300\nhello\n\n")
    with (
        av.open(str(tmp_path / "words.srt")) as words,
        av.open(str(tmp_path / "two.mkv"), "w") as file,
    ):
        videos = [add_video(file, size) for size in (SIZE, (32, 16))]
        subtitles = file.add_stream_from_template(words.streams[0])
        packets = encode_video(videos[0]) + encode_video(videos[1], (32, 16))
        for packet in words.demux():
            if packet.size:
                packet.stream = subtitles
                packets.append(packet)
        for packet in packets:
            file.mux(packet)
    result = matte(tmp_path / "two.mkv", tmp_path / "out.webm")
    assert result.exit_code == 0
    assert "also holds 1 more video and 1 stream of subtitles, left out" in result.output
    assert see(tmp_path / "out.webm").frames.shape == (COUNT, 48, 64, 4)


def test_a_size_that_changes(tmp_path):
    first = make_clip(tmp_path / "first.ts").read_bytes()
    for name, size in (("small", (32, 24)), ("large", (640, 480))):
        second = make_clip(
            tmp_path / f"{name}.ts",
            picture=lambda number, size=size: flash(number, size),
            container={"output_ts_offset": "0.4"},
        )
        (tmp_path / name).mkdir()
        (tmp_path / name / "clip.ts").write_bytes(first + second.read_bytes())
    result = matte(tmp_path / "small" / "clip.ts", tmp_path / "out.mov")
    assert result.exit_code == 0
    assert f"frames of another size, scaled to 64x48: {COUNT}" in result.output
    assert see(tmp_path / "out.mov").frames.shape == (2 * COUNT, 48, 64, 4)
    line = refused(tmp_path / "large" / "clip.ts", "--max-megapixels", "0.01")
    assert "640x480" in line and "0.01 megapixels" in line


@pytest.mark.parametrize(("limit", "code"), [("0.003072", 0), ("0.003", 1)])
def test_the_limit_of_pixels_is_exact(tmp_path, limit, code):
    clip = make_clip(tmp_path / "clip.mp4")
    result = matte(clip, tmp_path / "out.mov", "--max-megapixels", limit)
    assert result.exit_code == code


def test_codecs_that_nobody_knows(tmp_path):
    whole = make_clip(tmp_path / "whole.mkv", codec="ffv1", base=BASE, tones=[Tone("flac")])
    data = whole.read_bytes()
    assert data.count(b"A_FLAC") == 1 and data.count(b"V_FFV1") == 1
    (tmp_path / "sound.mkv").write_bytes(data.replace(b"A_FLAC", b"A_NONE"))
    result = matte(tmp_path / "sound.mkv", tmp_path / "out.mov")
    assert result.exit_code == 1 and "no decoder for its sound" in result.output
    assert len(see(tmp_path / "out.mov").times) == COUNT
    (tmp_path / "clip.mkv").write_bytes(data.replace(b"V_FFV1", b"V_NONE"))
    assert "holds no video that can be decoded" in one_line(
        matte(tmp_path / "clip.mkv", tmp_path / "no.mov")
    )


NOISE = np.random.default_rng(0).integers(0, 256, (20, 48, 64, 4), np.uint8)
OF_SUFFIX = {
    "mp4": ("libx264", "aac", {"movflags": "faststart"}),
    "mov": ("libx264", "aac", {"movflags": "faststart"}),
    "mkv": ("libx264", "aac", {}),
    "webm": ("libvpx-vp9", "libopus", {}),
    "avi": ("mpeg4", "libmp3lame", {}),
    "flv": ("libx264", "aac", {}),
}


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("suffix", OF_SUFFIX)
def test_a_clip_that_is_cut_off_is_never_taken_for_whole(tmp_path, suffix, share):
    codec, sound, container = OF_SUFFIX[suffix]
    whole = make_clip(
        tmp_path / f"whole.{suffix}",
        codec=codec,
        pixels="yuv420p",
        picture=lambda number: NOISE[number],
        times=[number / RATE for number in range(20)],
        base=BASE if suffix == "avi" else Fraction(1, 90000),
        tones=[Tone(sound, seconds=0.8)],
        container=container,
    )
    assert matte(whole, tmp_path / "first.mov").exit_code == 0
    data = whole.read_bytes()
    (tmp_path / f"clip.{suffix}").write_bytes(data[: round(share * len(data))])
    result = matte(tmp_path / f"clip.{suffix}", tmp_path / "out.mov")
    assert result.exit_code == 1
    assert f"clip.{suffix}" in one_line(result)
    if (tmp_path / "out.mov").exists():
        assert 0 < len(see(tmp_path / "out.mov").times) < 20


@pytest.mark.parametrize("orientation", [1, 6])
def test_frames_may_carry_exif(tmp_path, orientation):
    clip, out = tmp_path / "clip.mov", tmp_path / "out.mov"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    with av.open(str(clip), "w") as file:
        video = add_video(file, codec="mjpeg")
        video.pix_fmt = "yuvj420p"
        for number in range(COUNT):
            data = io.BytesIO()
            Image.fromarray(flash(number, SIZE)[..., :3]).save(data, "JPEG", exif=exif)
            packet = av.Packet(data.getvalue())
            packet.stream, packet.pts, packet.dts = video, number, number
            packet.time_base = BASE
            file.mux(packet)
    assert matte(clip, out).exit_code == 0
    seen = see(out).frames
    assert len(seen) == COUNT
    upright = seen[0].shape[1::-1] == SIZE
    assert upright == (orientation == 1)


def test_what_an_encoder_refuses_is_one_line(tmp_path, monkeypatch):
    codec = replace(CODECS["prores"], transparent="yuv410p")
    monkeypatch.setitem(CODECS, "prores", codec)
    clip = make_clip(tmp_path / "clip.mp4", tones=[Tone()])
    line = refused(clip)
    assert "cannot encode" in line and "'.mov'" in line


def test_what_nobody_foresaw_is_one_line(tmp_path, monkeypatch):
    from mattecli.core.clips import sinks

    def fail(*_: object):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(sinks, "render_outputs", fail)
    assert "RuntimeError: two lines" in refused(make_clip(tmp_path / "clip.mp4"))


def test_notes_are_in_the_report_and_quiet_is_quiet(tmp_path):
    clip = make_clip(
        tmp_path / "clip.mkv", codec="ffv1", base=BASE, picture=lambda n: flash(n, (63, 48))
    )
    report = tmp_path / "report.jsonl"
    result = matte(clip, tmp_path / "out.mp4", "--save", "alpha", "--report", report, "--quiet")
    assert result.exit_code == 0 and not result.output
    entry = json.loads(report.read_text())
    assert entry["status"] == "ok" and "from 63x48 to 64x48" in entry["reason"]
