"""``matte predict`` on folders that hold clips, with a network that takes red for subject."""

from __future__ import annotations

import json

import av
import numpy as np
import pytest
from clip_material import COUNT, FLASH, SIZE, Tone, make_clip, matte, see
from test_predict import load_red_is_subject

from mattecli.core.imaging.reading import read_picture
from mattecli.core.imaging.writing import write_image
from mattecli.core.runtime import loading

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture(autouse=True)
def network(monkeypatch):
    monkeypatch.setattr(loading, "load_model", load_red_is_subject)


@pytest.fixture
def mixed(tmp_path):
    """Two photos, two clips, one of which has a photo's name, and what is neither."""
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    picture = np.full((40, 40, 3), BLUE, np.uint8)
    picture[10:30, 10:30] = RED
    write_image(folder / "a.png", picture)
    write_image(folder / "deep" / "b.jpg", picture)
    make_clip(folder / "a.mp4", tones=[Tone()])
    make_clip(folder / "deep" / "c.mkv")
    (folder / "notes.txt").write_text("neither")
    (folder / "program.ts").write_text("export const video = 1")
    return folder


def lines_of(path):
    return {line["input"]: line for line in map(json.loads, path.read_text().splitlines())}


def test_photos_and_clips_of_a_folder_are_cut_and_reported(mixed, tmp_path):
    out, report = tmp_path / "out", tmp_path / "report.jsonl"
    result = matte(mixed, out, "--report", report)
    assert result.exit_code == 0, result.output
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert files == ["a.mov", "a.png", "deep/b.png", "deep/c.mov"]
    assert "4 done in" in result.output
    assert f"clips of {2 * COUNT} frames among them" in result.output
    assert "1 .txt" in result.output and "1 .ts" in result.output
    lines = lines_of(report)
    assert {line["status"] for line in lines.values()} == {"ok"} and len(lines) == 4
    clip = lines[str(mixed / "a.mp4")]
    assert clip["outputs"] == {"cutout": str(out / "a.mov")}
    assert (clip["width"], clip["height"]) == SIZE
    assert clip["subject"] == pytest.approx((COUNT - FLASH) / COUNT, abs=0.01)
    seen = see(out / "a.mov")
    assert len(seen.frames) == COUNT and seen.sound is not None
    assert seen.frames[0, ..., 3].max() == 0 and seen.frames[-1, ..., 3].min() > 250
    assert read_picture(out / "deep" / "b.png").alpha.max() == 255


def test_several_kinds_get_a_folder_each_and_sound_goes_with_the_first(mixed, tmp_path):
    out = tmp_path / "out"
    result = matte(mixed, out, "--save", "alpha", "--save", "cutout")
    assert result.exit_code == 0, result.output
    matte_clip, cutout = see(out / "alpha" / "a.mp4"), see(out / "cutout" / "a.mov")
    assert len(matte_clip.frames) == len(cutout.frames) == COUNT
    assert matte_clip.frames[-1, ..., :3].min() > 250 and matte_clip.frames[0, ..., :3].max() < 5
    assert matte_clip.sound is not None and cutout.sound is None
    assert (out / "alpha" / "a.png").exists() and (out / "cutout" / "deep" / "c.mov").exists()


def test_a_broken_clip_does_not_stop_the_rest(mixed, tmp_path):
    (mixed / "broken.mp4").write_bytes(b"no clip at all")
    report = tmp_path / "report.jsonl"
    result = matte(mixed, tmp_path / "out", "--report", report)
    assert result.exit_code == 1
    assert "broken.mp4" in result.output and "1 failed" in result.output
    lines = lines_of(report)
    assert lines[str(mixed / "broken.mp4")]["status"] == "failed"
    assert sum(line["status"] == "ok" for line in lines.values()) == 4
    assert not list((tmp_path / "out").rglob("*broken*"))
    assert not list((tmp_path / "out").rglob(".*"))


def test_a_clip_that_breaks_off_makes_the_exit_code_1(mixed, tmp_path):
    source = make_clip(tmp_path / "whole.mkv")
    data = source.read_bytes()
    (mixed / "deep" / "c.mkv").write_bytes(data[: len(data) * 2 // 3])
    result = matte(mixed, tmp_path / "out")
    assert result.exit_code == 1
    assert "c.mkv" in result.output
    assert (tmp_path / "out" / "a.mov").exists()


def test_resume_and_dry_run_know_clips(mixed, tmp_path):
    out = tmp_path / "out"
    foreseen = matte(mixed, out, "--dry-run")
    assert foreseen.exit_code == 0 and not out.exists()
    assert f"a.mp4 (64x48, {COUNT} frames) -> {out / 'a.mov'}" in foreseen.output
    assert "4 to cut" in foreseen.output
    assert matte(mixed, out).exit_code == 0
    before = (out / "a.mov").stat().st_mtime_ns
    (out / "deep" / "c.mov").unlink()
    result = matte(mixed, out, "--resume")
    assert result.exit_code == 0 and "1 done, 3 skipped" in result.output
    assert (out / "a.mov").stat().st_mtime_ns == before and (out / "deep" / "c.mov").exists()
    assert "1 to cut" not in matte(mixed, out, "--resume", "--dry-run").output


def test_options_of_clips_hold_for_those_of_a_folder(mixed, tmp_path):
    out = tmp_path / "out"
    options = ["--background", "#00ff00", "--codec", "hevc", "--start", "0.2"]
    result = matte(mixed, out, *options)
    assert result.exit_code == 0, result.output
    with av.open(str(out / "a.mp4")) as file:
        assert file.streams.video[0].codec_context.name == "hevc"
    seen = see(out / "a.mp4")
    assert len(seen.frames) == COUNT - FLASH
    assert matte(mixed, out, "--clip-format", "webm").exit_code == 0
    assert see(out / "a.webm").frames[-1, ..., 3].min() > 240


def test_what_does_not_go_with_clips_of_a_folder(mixed, tmp_path):
    out = tmp_path / "out"
    refused = matte(mixed, out, "--clip-format", "mp4")
    assert refused.exit_code == 2 and "cannot hold transparency" in refused.output
    photos = mixed / "deep" / "only"
    photos.mkdir()
    (mixed / "deep" / "b.jpg").rename(photos / "b.jpg")
    refused = matte(photos, out, "--start", "1")
    assert refused.exit_code == 2 and "for clips" in refused.output
    # Options that only photos know leave clips out, as before there were clips in folders.
    result = matte(mixed, out, "--crop")
    assert result.exit_code == 0 and "1 .mp4" in result.output
    assert not (out / "a.mov").exists()


def test_clips_and_photos_that_are_named_one_by_one(mixed, tmp_path):
    out = tmp_path / "out"
    result = matte(mixed / "a.mp4", mixed / "deep" / "c.mkv", mixed / "a.png", out)
    assert result.exit_code == 0, result.output
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert files == ["a.mov", "a.png", "deep/c.mov"]


def test_json_log_has_a_line_for_each(mixed, tmp_path):
    result = matte(mixed, tmp_path / "out", "--json-log")
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.output.splitlines()]
    assert sorted(line["input"].rpartition("/")[2] for line in lines) == [
        "a.mp4",
        "a.png",
        "b.jpg",
        "c.mkv",
    ]
