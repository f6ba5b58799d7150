"""Parts of clips, numbered pictures, codecs, and what the report says of a clip."""

from __future__ import annotations

import json
import os

import av
import numpy as np
import pytest
from test_predict import load_red_is_subject
from test_video import COUNT, HEIGHT, RATE, WIDTH, frame_of, matte, read_clip, write_clip

from mattecli.core.errors import MatteError
from mattecli.core.imaging.clips.parts import parse_time
from mattecli.core.imaging.clips.writing import ClipWriter
from mattecli.core.imaging.reading import read_picture
from mattecli.core.imaging.writing import encode
from mattecli.core.runtime import loading


@pytest.fixture(autouse=True)
def network(monkeypatch):
    monkeypatch.setattr(loading, "load_model", load_red_is_subject)


def codec_of(path):
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        return context.codec.canonical_name, context.pix_fmt


def test_a_part_of_a_clip_with_its_sound(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4")
    assert matte(clip, tmp_path / "all.mov").exit_code == 0
    # Frames 3, 4 and 5 begin at .1, .133 and .167 seconds.
    part = ("--start", "0.1", "--end", "0:00.19")
    assert matte(clip, tmp_path / "part.mov", *part).exit_code == 0
    whole, (frames, times) = read_clip(tmp_path / "all.mov")[0], read_clip(tmp_path / "part.mov")
    assert len(frames) == 3
    assert np.allclose(times, np.arange(3) / float(RATE), atol=6e-4)
    # Its first frames know nothing of those before, so that smoothing may differ a little.
    assert np.abs(frames[..., 3] - whole[3:6, ..., 3]).mean() < 1
    with av.open(str(tmp_path / "part.mov")) as container:
        (sound,) = container.streams.audio
        packets = [packet for packet in container.demux(sound) if packet.size]
        ends = [(packet.pts + packet.duration) * sound.time_base for packet in packets]
    # Packets of AAC last 21 ms.
    assert 0.05 < max(ends) < 0.13


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--start", "soon"], "'soon' is no time"),
        (["--start", "2", "--end", "1"], "--end 1 is not behind --start 2"),
        (["--codec", "vp9"], "'.mp4' clips hold h264, hevc, av1, not vp9"),
        (["--crf", "20", "--bitrate", "2M"], "three ways"),
        (["--crf", "20", "--quality", "50"], "three ways"),
        (["--crf", "60"], "51 at most"),
        (["--bitrate", "fast"], "no bit rate"),
        (["--fps", "30"], "--fps is for numbered pictures"),
    ],
)
def test_wrong_values_are_refused_before_anything_is_done(tmp_path, arguments, message):
    clip = write_clip(tmp_path / "clip.mp4", audio=None)
    result = matte(clip, tmp_path / "out.mp4", "--save", "alpha", *arguments)
    assert result.exit_code == 2 and message in result.output
    assert not (tmp_path / "out.mp4").exists()


def test_options_of_clips_are_refused_for_photos(tmp_path):
    (tmp_path / "photo.png").write_bytes(encode(frame_of(0), ".png"))
    for arguments in (["--start", "1"], ["--codec", "h264"], ["--crf", "20"]):
        result = matte(tmp_path / "photo.png", tmp_path / "out.png", *arguments)
        assert result.exit_code == 2 and arguments[0] in result.output
    clip = write_clip(tmp_path / "clip.mp4", audio=None)
    result = matte(clip, tmp_path / "out.mov", "--start", "5")
    assert "no frame from --start 5 s on" in str(result.exception)
    assert not (tmp_path / "out.mov").exists()


def test_times():
    assert [parse_time(text) for text in ("7", "1:07", "1:01:07.5")] == [7, 67, 3667.5]
    for text in ("", "1:2:3:4", "-1", "1:", "nan"):
        with pytest.raises(MatteError, match="no time"):
            parse_time(text)


@pytest.mark.parametrize(
    ("name", "codec", "said", "pixels"),
    [
        ("a.mp4", "hevc", "hevc", "yuv420p10le"),
        ("a.mov", "hevc", "hevc", "yuv420p10le"),
        ("a.mp4", "av1", "av1", "yuv420p10le"),
        ("a.mov", "h264", "h264", "yuv420p"),
    ],
)
def test_codecs(tmp_path, capfd, name, codec, said, pixels):
    clip = write_clip(tmp_path / "clip.mp4", audio=None)
    out = tmp_path / name
    result = matte(clip, out, "--save", "alpha", "--codec", codec)
    assert result.exit_code == 0, result.output
    assert codec_of(out) == (said, pixels)
    # Encoders that write to the terminal themselves would do so here.
    assert capfd.readouterr() == ("", "")
    with av.open(str(out)) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert len(frames) == COUNT
    assert np.abs(frames[0].astype(float) - frame_of(0)[..., 0]).mean() < 6
    if hasattr(os, "sched_getscheduler"):
        # SVT-AV1 makes real-time threads for root, this one among them.
        threads = map(int, os.listdir("/proc/self/task"))
        assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_OTHER}
    refused = matte(clip, tmp_path / "cut.mp4", "--codec", codec)
    assert refused.exit_code == 2 and "transparency" in refused.output


@pytest.mark.parametrize("stray", [-1508422145150619644, 1 << 60])
def test_clips_of_a_single_frame(tmp_path, monkeypatch, stray):
    """x265 gives uninitialized memory as the time at which such a frame is decoded."""
    whole = ClipWriter._pass_on

    def astray(writer, packets):
        packets = list(packets)
        for packet in packets:
            packet.dts = stray
        whole(writer, packets)

    monkeypatch.setattr(ClipWriter, "_pass_on", astray)
    clip = write_clip(tmp_path / "clip.mp4", audio=None)
    options = ["--save", "alpha", "--codec", "hevc", "--end", 0.02]
    result = matte(clip, tmp_path / "a.mp4", *options)
    assert result.exit_code == 0, result.exception
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert [frame.time for frame in container.decode(video=0)] == [0]


def test_less_quality_makes_smaller_files(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", audio=None)
    sizes = []
    for number, arguments in enumerate((["--crf", "5"], ["--crf", "45"], ["--bitrate", "20k"])):
        out = tmp_path / f"{number}.mp4"
        assert matte(clip, out, "--background", "white", *arguments).exit_code == 0
        sizes.append(out.stat().st_size)
    assert sizes[0] > 1.2 * sizes[1]
    assert sizes[0] > 1.2 * sizes[2]


def test_numbered_pictures_in_and_out(tmp_path):
    for number in range(4):
        deep = frame_of(number).astype(np.uint16) * 257
        (tmp_path / f"shot_{number + 98:04}.png").write_bytes(encode(deep, ".png"))
    (tmp_path / "shot_12.png").write_bytes(b"another name")
    pattern = tmp_path / "shot_%04d.png"
    out = tmp_path / "out" / "cut.%05d.png"
    assert matte(pattern, out, "--bits", "16").exit_code == 0
    names = [f"cut.{number:05}.png" for number in range(1, 5)]
    assert sorted(path.name for path in out.parent.iterdir()) == names
    first = read_picture(out.parent / names[0])
    assert first.color.dtype == np.uint16
    assert np.abs(first.alpha / 65535 - frame_of(0)[..., 0] / 255).mean() < 0.02

    assert matte(pattern, tmp_path / "x.mov", "--fps", "50", "--end", "0.06").exit_code == 0
    frames, times = read_clip(tmp_path / "x.mov")
    assert np.allclose(times, [0, 0.02, 0.04]) and frames.shape[1:3] == (HEIGHT, WIDTH)
    result = matte(tmp_path / "none%03d.png", tmp_path / "y.mov")
    assert "there are no pictures" in str(result.exception)
    (tmp_path / "shot_0099.png").write_bytes(encode(frame_of(0)[:9], ".png"))
    result = matte(pattern, tmp_path / "y.mov")
    assert "shot_0099.png is 96x9 but the first frame 96x64" in str(result.exception)


@pytest.mark.parametrize(
    ("read", "out"),
    [("%06d", ""), ("%06d", "%01d.png"), ("%d", "%01d.png"), ("%06d", "link/")],
)
def test_numbered_pictures_are_not_written_over(tmp_path, read, out):
    shots = tmp_path / "shots"
    shots.mkdir()
    for number in range(2):
        picture = encode(np.full((24, 32, 3), number, np.uint8), ".png")
        (shots / f"{read % (100101 + number)}.png").write_bytes(picture)
    (shots / "link").symlink_to(shots)
    before = {path: path.read_bytes() for path in shots.glob("*.png")}
    result = matte(f"{shots}/{read}.png", f"{shots}/{out}")
    assert "would overwrite pictures that are read" in str(result.exception)
    assert {path: path.read_bytes() for path in shots.glob("*.png")} == before
    # Other names are free, also there.
    assert matte(f"{shots}/{read}.png", f"{shots}/cut-%d.png").exit_code == 0


@pytest.mark.parametrize(
    ("out", "option", "file"),
    [
        ("other.mp4", "--background", "other.mp4"),
        ("frames/", "--background", "frames/%06d.png"),
        ("frames/%06d.png", "--keep", "frames/000001.png"),
        ("frames/%d.png", "--guide", "frames/1.png"),
    ],
)
def test_what_is_read_beside_a_clip_is_not_written_over(tmp_path, monkeypatch, out, option, file):
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "clip.mp4", audio=None)
    path = tmp_path / file.replace("%06d", "000001")
    path.parent.mkdir(exist_ok=True)
    content = encode(np.zeros((HEIGHT, WIDTH, 3), np.uint8), ".png")
    if path.suffix == ".mp4":
        content = (tmp_path / "clip.mp4").read_bytes()
    path.write_bytes(content)
    result = matte("clip.mp4", out, option, file)
    assert "would overwrite" in str(result.exception) and path.read_bytes() == content


def test_pictures_of_a_longer_run_are_told(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", audio=None)
    said = f"pictures of another run that stay in {tmp_path / 'out'}: {COUNT - 3}"
    assert "another run" not in matte(clip, tmp_path / "out/").stderr
    assert "another run" not in matte(clip, tmp_path / "out/").stderr
    result = matte(clip, f"{tmp_path}/out/", "--end", "0.09")
    assert result.exit_code == 0 and said in result.stderr
    assert len(list((tmp_path / "out").iterdir())) == COUNT


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".webm"])
def test_a_clip_at_out_is_replaced_only_if_it_is_a_result(tmp_path, suffix):
    clip, theirs = (write_clip(tmp_path / name, audio=None) for name in ("in.mp4", "theirs.mp4"))
    theirs = theirs.rename(tmp_path / f"theirs{suffix}")
    before, own = theirs.read_bytes(), tmp_path / f"own{suffix}"
    result = matte(clip, theirs, "--save", "alpha")
    assert isinstance(result.exception, MatteError)
    assert f"{theirs} would overwrite a clip" in str(result.exception)
    assert "delete it first" in str(result.exception)
    assert matte(clip, theirs, "--save", "alpha", "--resume").exit_code == 0
    assert theirs.read_bytes() == before
    for option in (["--save", "alpha"], ["--background", "red", "--keep-metadata"]):
        assert matte(clip, own, *option).exit_code == 0
    assert matte(clip, own, "--save", "alpha").exit_code == 0


def test_the_report_tells_subject_and_confidence(tmp_path):
    clip, report = write_clip(tmp_path / "clip.mp4", audio=None), tmp_path / "report.jsonl"
    assert matte(clip, tmp_path / "out.mov", "--report", report).exit_code == 0
    line = json.loads(report.read_text())
    truth = np.mean([frame_of(number)[..., 0] / 255 for number in range(COUNT)])
    assert line["subject"] == pytest.approx(truth, abs=0.02)
    assert 0 < line["confidence"] <= 1
    assert (line["status"], line["width"], line["height"]) == ("ok", WIDTH, HEIGHT)
