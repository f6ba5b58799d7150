"""``matte predict --watch``: photos are taken when they are whole, and again when they change."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from test_predict import load_red_is_subject
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.imaging.writing import encode, write_image
from mattecli.core.inference import watching
from mattecli.core.inference.jobs import Job
from mattecli.core.runtime import loading


def watched(folder: Path, steps: list, monkeypatch) -> list[list[str]]:
    """What `watch` gives before each of the steps, which are done instead of waiting."""
    given: list[list[str]] = [[]]

    def sleep(_: float) -> None:
        steps.pop(0)()
        given.append([])

    monkeypatch.setattr(watching.time, "sleep", sleep)
    find = lambda: [Job(path, {}) for path in sorted(folder.glob("*.jpg"))]  # noqa: E731
    for jobs in watching.watch(find, lambda: not steps):
        given[-1] += [job.source.name for job in jobs]
    return given


def test_a_photo_is_given_once_it_has_stopped_growing(tmp_path, monkeypatch):
    photo = tmp_path / "a.jpg"

    def write(data: bytes, name: Path = photo, mtime: int | None = None):
        def step():
            name.write_bytes(data)
            # File systems with coarse clocks would give two writes one time.
            os.utime(name, ns=(0, mtime if mtime is not None else len(data)))

        return step

    def wait():
        pass

    (tmp_path / "there.jpg").write_bytes(b"from the start")
    given = watched(
        tmp_path,
        [
            write(b""),
            wait,
            write(b"12"),
            write(b"1234"),
            wait,
            wait,
            write(b"4321", mtime=9),
            wait,
            photo.unlink,
            wait,
            write(b"4321", mtime=10),
            wait,
            wait,
        ],
        monkeypatch,
    )
    there, a = ["there.jpg"], ["a.jpg"]
    #        the first look; empty twice;  it grows; whole;    changed;  gone; back
    assert given == [[], there, [], [], [], a, [], [], a, [], [], [], a, []]


@pytest.mark.parametrize("existing", [True, False])
def test_a_half_copied_photo_is_done_when_it_is_whole(tmp_path, monkeypatch, existing):
    monkeypatch.setattr(loading, "load_model", load_red_is_subject)
    monkeypatch.setattr(watching, "INTERVAL", 0.05)
    source, out, report = tmp_path / "in", tmp_path / "out", tmp_path / "report.jsonl"
    source.mkdir()
    photo = np.zeros((60, 80, 3), np.uint8)
    photo[20:40, 20:40, 0] = 255
    data = encode(photo, ".png")
    if existing:
        write_image(source / "first.png", photo)

    def copy_and_stop():
        def until(condition):
            deadline = time.monotonic() + 60
            while not condition() and time.monotonic() < deadline:
                time.sleep(0.02)

        (source / "b").mkdir()
        (source / "b" / "half.png").write_bytes(data[: len(data) // 2])
        until(lambda: report.exists() and "failed" in report.read_text())
        (source / "b" / "half.png").write_bytes(data)
        until((out / "b" / "half.png").exists)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=copy_and_stop)
    thread.start()
    arguments = ["predict", str(source), str(out), "--watch", "--report", str(report)]
    result = CliRunner().invoke(app, arguments)
    thread.join()
    assert result.exit_code == 1  # one look was too early
    assert f"{1 + existing} done, 1 failed" in result.stderr
    assert sorted(path.name for path in out.rglob("*.png")) == ["first.png"] * existing + [
        "half.png"
    ]


def test_what_a_watch_cannot_do(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((40, 40, 3), np.uint8))
    for arguments in (["a.png", "out.png"], [".", "out", "--trimap", "."]):
        paths = [str(tmp_path / x) if not x.startswith("--") else x for x in arguments]
        result = CliRunner().invoke(app, ["predict", *paths, "--watch"])
        assert result.exit_code == 2 and "takes a folder" in result.output
