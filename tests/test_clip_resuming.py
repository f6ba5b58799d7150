"""Clips that were broken off go on, and become what they would have become without a break."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import nullcontext

import av
import numpy as np
import pytest
import torch
from clip_material import Tone, make_clip, matte, see
from test_predict import RedIsSubject

from mattecli.core.clips import cutting, resuming
from mattecli.core.imaging.clips import groups
from mattecli.core.runtime import loading
from mattecli.core.runtime.torch_model import TorchModel

GROUP, COUNT, RATE = 8, 30, 25


def moving(number: int) -> np.ndarray:
    """A red square on blue noise, on its way to the right; a cut to another place at 20."""
    rng = np.random.default_rng(number)
    frame = np.zeros((48, 64, 4), np.uint8)
    frame[..., 3] = 255
    frame[..., 2] = rng.integers(150, 255, (48, 64))
    left = number if number < 20 else 50 - number
    frame[10:34, left : left + 24, :3] = (230, 0, 0)
    return frame


class Remembering(TorchModel):
    """Takes red for subject, and keeps some of what it is told of the matte before."""

    def __init__(self):
        super().__init__(RedIsSubject(), torch.device("cpu"))
        self.takes_guidance = True

    def infer(self, images, guidance=None):
        mattes = super().infer(images)
        if guidance is None:
            return mattes
        told = [(one[0] + 1) / 2 for one in guidance]
        return [0.7 * matte + 0.3 * one for matte, one in zip(mattes, told, strict=True)]


@pytest.fixture(autouse=True)
def short_groups(monkeypatch):
    for module in (groups, resuming, cutting):
        monkeypatch.setattr(module, "GROUP", GROUP)
    monkeypatch.setattr(loading, "load_model", lambda *_, **__: Remembering())


@pytest.fixture
def clip(tmp_path):
    times = [number / RATE for number in range(COUNT)]
    tone = Tone(seconds=COUNT / RATE)
    return make_clip(tmp_path / "clip.mkv", picture=moving, times=times, tones=[tone])


def break_off(monkeypatch, frames: int):
    """Let a run end by Ctrl-C once so many frames were taken."""
    asked = iter([False] * frames)
    shutdown = lambda: nullcontext(lambda: next(asked, True))  # noqa: E731
    monkeypatch.setattr("mattecli.cli.predict_clip.graceful_shutdown", shutdown)


def parts_of(folder):
    return sorted(folder.glob(".matte-*.part/*.npz"))


@pytest.mark.parametrize("suffix", [".mov", ".webm", ".mp4"])
def test_a_clip_goes_on_behind_its_last_whole_group(clip, tmp_path, monkeypatch, suffix):
    options = ["--background", "lime"] if suffix == ".mp4" else []
    whole, out = tmp_path / f"whole{suffix}", tmp_path / "broken" / f"out{suffix}"
    assert matte(clip, whole, *options, "--report", tmp_path / "whole.jsonl").exit_code == 0
    with monkeypatch.context() as patch:
        break_off(patch, 19)
        assert matte(clip, out, *options).exit_code == 130
    assert not out.exists() and len(parts_of(out.parent)) == 2
    seen = []
    take = cutting.ClipMattes.take
    monkeypatch.setattr(
        cutting.ClipMattes, "take", lambda self, image: seen.append(None) or take(self, image)
    )
    result = matte(clip, out, *options, "--resume", "--report", tmp_path / "out.jsonl")
    assert result.exit_code == 0, result.output
    assert len(seen) == COUNT - 2 * GROUP
    assert out.read_bytes() == whole.read_bytes() or _alike(out, whole)
    assert list(out.parent.iterdir()) == [out]
    keys = ("subject", "confidence", "status", "width", "height")
    first, second = (
        json.loads((tmp_path / f"{name}.jsonl").read_text()) for name in ("whole", "out")
    )
    assert [first[key] for key in keys] == [second[key] for key in keys]


def _alike(path, other) -> bool:
    """Tell whether two clips have the same frames, times and sound."""
    one, two = see(path), see(other)
    assert one.times == two.times
    assert np.array_equal(one.samples, two.samples)
    off = [int(np.abs(a - b).max()) for a, b in zip(one.frames, two.frames, strict=True)]
    assert not any(off), off
    return True


def test_groups_can_be_decoded_one_by_one_and_times_stay(clip, tmp_path):
    out = tmp_path / "out.mp4"
    assert matte(clip, out, "--background", "lime").exit_code == 0
    seen = see(out)
    assert np.allclose(seen.times, np.arange(COUNT) / RATE, atol=1e-3)
    with av.open(str(out)) as file:
        keys = [packet.is_keyframe for packet in file.demux(video=0) if packet.size]
    assert len(keys) == COUNT and sum(keys) >= COUNT // GROUP


def test_uneven_times_across_groups(tmp_path):
    times = np.cumsum([0.04 if number % 7 else 0.31 for number in range(COUNT)])
    clip = make_clip(tmp_path / "clip.mkv", picture=moving, times=times - times[0])
    out = tmp_path / "out.mp4"
    assert matte(clip, out, "--background", "lime").exit_code == 0
    assert np.allclose(see(out).times, times - times[0], atol=2e-3)


def test_other_options_begin_anew_and_say_so(clip, tmp_path, monkeypatch):
    out = tmp_path / "broken" / "out.mp4"
    with monkeypatch.context() as patch:
        break_off(patch, 19)
        matte(clip, out, "--background", "lime")
    result = matte(clip, out, "--background", "red", "--resume")
    assert result.exit_code == 0 and "begun anew" in result.output
    whole = tmp_path / "whole.mp4"
    matte(clip, whole, "--background", "red")
    assert _alike(out, whole) and list(out.parent.iterdir()) == [out]


def test_a_run_without_resume_throws_parts_away(clip, tmp_path, monkeypatch):
    out = tmp_path / "broken" / "out.mov"
    with monkeypatch.context() as patch:
        break_off(patch, 19)
        matte(clip, out)
    assert parts_of(out.parent)
    result = matte(clip, out)
    assert result.exit_code == 0 and "begun anew" not in result.output
    assert list(out.parent.iterdir()) == [out]


def test_a_damaged_part_is_made_again(clip, tmp_path, monkeypatch):
    whole, out = tmp_path / "whole.mov", tmp_path / "broken" / "out.mov"
    matte(clip, whole)
    with monkeypatch.context() as patch:
        break_off(patch, 19)
        matte(clip, out)
    packets = sorted(out.parent.glob(".matte-*.part/*.packets"))
    packets[1].write_bytes(packets[1].read_bytes()[:-10])
    assert matte(clip, out, "--resume").exit_code == 0
    assert _alike(out, whole)


def test_a_damaged_clip_leaves_nothing(tmp_path):
    times = [number / RATE for number in range(COUNT)]
    source = make_clip(tmp_path / "clip.mkv", picture=moving, times=times)
    data = bytearray(source.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    source.write_bytes(bytes(data))
    out = tmp_path / "out" / "out.mov"
    result = matte(source, out)
    assert result.exit_code != 0
    assert not [path for path in out.parent.glob("*") if path != out]
    assert not list(out.parent.glob(".*"))


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_a_killed_run_goes_on(clip, tmp_path):
    whole, out = tmp_path / "whole.mov", tmp_path / "killed" / "out.mov"
    matte(clip, whole)
    program = textwrap.dedent(
        """
        import sys, time
        sys.path.insert(0, sys.argv[1])
        import test_clip_resuming as here
        for module in (here.groups, here.resuming, here.cutting):
            module.GROUP = here.GROUP
        class Slow(here.Remembering):
            def infer(self, *arguments):
                time.sleep(0.05)
                return super().infer(*arguments)
        here.loading.load_model = lambda *_, **__: Slow()
        here.matte(*sys.argv[2:])
        """
    )
    command = [sys.executable, "-c", program, os.path.dirname(__file__), str(clip), str(out)]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 120
    while len(parts_of(out.parent)) < 2:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    assert matte(clip, out, "--resume").exit_code == 0
    assert _alike(out, whole)
    assert list(out.parent.iterdir()) == [out]
