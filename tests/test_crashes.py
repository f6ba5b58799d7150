"""A photo that ends its process: the next run tries it alone, and goes on past it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from crashing import CRASHES, CrashingChecks, CrashingPhotos
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.dataset import checking
from mattecli.core.imaging import reading
from mattecli.core.imaging.writing import write_image
from mattecli.core.inference import photo_task, run, watching
from mattecli.core.inference.underway import Underway
from mattecli.core.objects.paths import located

# Notes what it is given, and dies or ends well.
NOTES = """
import os, sys
from mattecli.core.inference.underway import Underway
from mattecli.core.objects.paths import located
underway = Underway(located(sys.argv[1]))
with underway.noting():
    for name in sys.argv[3:]:
        underway.begin(name)
    underway.end(sys.argv[3])
    print(*sorted(underway._suspects))
    if sys.argv[2] == "dies":
        os.abort()
"""

# Is killed when the first sample has been checked.
KILLED_CHECK = """
import os, signal, sys
from pathlib import Path
from mattecli.core.dataset import checking
checking.progress = lambda checks, **_: (os.kill(os.getpid(), signal.SIGTERM) for _ in checks)
checking.check_dataset(Path(sys.argv[1]), 2)
"""


def noted(out: object, end: str, *names: str) -> str:
    """Note photos in a process of its own; gives those that it took for suspects."""
    command = [sys.executable, "-c", NOTES, str(out), end, *names]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert (done.returncode == 0) == (end == "ends"), done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("place", ["folder/deep", "memory://x/y"])
def test_what_was_under_way_is_known_to_the_next_process(place, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = place if ":" in place else tmp_path / place
    assert noted(out, "dies", "a", "b", "c" * 300) == ""
    underway = Underway(located(out))
    with underway.noting():
        assert [name for name in ("a", "b", "c" * 300) if underway.is_suspect(name)] == [
            "b",
            "c" * 300,
        ]
        underway.end("b")
    # Suspects stay suspects until they have been tried.
    assert Underway(located(out))._folder.exists()
    with underway.noting():
        assert underway.is_suspect("c" * 300) and not underway.is_suspect("b")
        underway.end("c" * 300)
    assert not list(tmp_path.rglob("*.tmp"))


def test_nothing_is_left_where_nothing_went_wrong(tmp_path):
    assert noted(tmp_path / "new" / "out", "ends", "a", "b") == ""
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_no_obstacle(tmp_path):
    (tmp_path / "file").touch()
    underway = Underway(tmp_path / "file" / "out")
    with underway.noting():
        underway.begin("a")
        underway.end("a")


def predict(*arguments: object, code: int):
    result = CliRunner().invoke(app, ["predict", *map(str, arguments)])
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


def test_a_watch_goes_on_past_it_too(tmp_path, monkeypatch):
    monkeypatch.setattr(photo_task, "PhotoTask", CrashingPhotos)
    monkeypatch.setattr(watching, "INTERVAL", 0.05)
    photos, out = tmp_path / "in", tmp_path / "out"
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    write_image(photos / "a.png", picture)
    (photos / "b.jpg").write_bytes(CRASHES)
    noted(out, "dies", "first", *(str(photos / name) for name in ("b.jpg", "later.png")))
    names = []

    def read_picture(source, *arguments):
        names.append(b"".join(path.read_bytes() for path in out.glob(".*underway*")))
        return reading.read_picture(source, *arguments)

    monkeypatch.setattr(run, "read_picture", read_picture)

    def add_and_stop():
        report = tmp_path / "report.jsonl"
        deadline = time.monotonic() + 60
        while not (out / "c.png").exists() and time.monotonic() < deadline:
            if (
                report.exists()
                and "failed" in report.read_text()
                and not (photos / "c.png").exists()
            ):
                write_image(photos / "c.png", picture)
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=add_and_stop)
    thread.start()
    options = ("--watch", "--size", 64, "--single-pass", "--report", tmp_path / "report.jsonl")
    told = predict(photos, out, *options, code=1)
    thread.join()
    assert "2 empty, 1 failed" in told and "b.jpg: its process ended, twice" in told
    assert any(b"c.png" in noted for noted in names)
    # What has not come yet stays a suspect.
    (left,) = out.glob(".*")
    assert b"b.jpg" in left.read_bytes() and b"later.png" in left.read_bytes()


def test_a_run_goes_on_past_a_photo_that_ends_its_process(tmp_path, monkeypatch):
    monkeypatch.setattr(photo_task, "PhotoTask", CrashingPhotos)
    photos, out, report = tmp_path / "in", tmp_path / "out", tmp_path / "report.jsonl"
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    for name in "acd":
        write_image(photos / f"{name}.png", picture)
    (photos / "b.jpg").write_bytes(CRASHES)
    # As a process leaves it that died with three photos under way.
    names = ("a.png", "b.jpg", "c.png", "removed.png")
    noted(out, "dies", "first", *(str(photos / name) for name in names))
    options = ("--size", 64, "--single-pass", "--report", report, "--resume")
    for count in ("3 empty, 1 failed", "3 skipped, 1 failed"):
        told = predict(photos, out, *options, code=1)
        assert count in told and "b.jpg: its process ended, twice" in told
        assert {path.name for path in out.glob("[!.]*")} == {"a.png", "c.png", "d.png"}
        assert b"removed.png" not in next(out.glob(".*")).read_bytes()
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert len(lines) == 4 and [line["status"] for line in lines].count("failed") == 1
    # Once it is a photo, it is cut, and no suspect any more.
    write_image(photos / "b.jpg", picture)
    assert "1 empty, 3 skipped" in predict(photos, out, *options, code=0)
    assert not list(out.glob(".*"))


@pytest.fixture
def pairs(tmp_path):
    """A set of three samples."""
    rng = np.random.default_rng(0)
    for name in "abc":
        write_image(tmp_path / f"set/image/{name}.png", rng.integers(0, 256, (32, 32, 3), np.uint8))
        write_image(tmp_path / f"set/alpha/{name}.png", rng.integers(0, 256, (32, 32), np.uint8))
    return tmp_path / "set"


def test_a_check_goes_on_past_a_sample_that_ends_its_process(pairs, monkeypatch):
    monkeypatch.setattr(checking, "CheckTask", CrashingChecks)
    (pairs / "image/b.png").write_bytes(CRASHES)
    command = ["build-dataset", "--check", str(pairs), "--workers", "2"]
    result = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert result.exit_code == 1 and "3 samples" in result.output, result.output
    (line,) = (line for line in result.output.splitlines() if "error" in line)
    assert "ended the process that read it, twice" in line and "│ b " in line


def test_the_workers_of_a_check_end_with_it(pairs):
    command = [sys.executable, "-c", KILLED_CHECK, str(pairs)]
    # Waits for the last one that could still write to it.
    ended = subprocess.run(command, stderr=subprocess.PIPE, timeout=30)
    assert ended.returncode == -signal.SIGTERM, ended.stderr
