"""``matte predict`` on files as bad as they come, cut off in mid run, and shared by processes."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features
from test_predict import load_red_is_subject, matte, network, outputs, photo  # noqa: F401

from mattecli.cli.interruption import graceful_shutdown
from mattecli.core.imaging.reading import read_picture
from mattecli.core.imaging.writing import write_image
from mattecli.core.inference import run

MODES = {
    "JPEG": ("L", "RGB", "CMYK"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "WEBP": ("RGB", "RGBA"),
    "TIFF": ("1", "L", "P", "RGB", "RGBA", "CMYK", "F", "I;16"),
    "BMP": ("1", "L", "P", "RGB"),
    "GIF": ("L", "P"),
    "AVIF": ("RGB", "RGBA"),
    "HEIF": ("RGB", "RGBA"),
}


def whole_files(photo: np.ndarray) -> dict[str, bytes]:  # noqa: F811
    """One file of every format and mode that can be written here."""
    formats = dict(MODES)
    if not features.check("avif"):
        del formats["AVIF"]
    try:
        import pillow_heif
    except ImportError:
        del formats["HEIF"]
    else:
        pillow_heif.register_heif_opener()
    files = {}
    for kind, modes in formats.items():
        for mode in modes:
            if mode == "I;16":
                image = Image.fromarray(photo[..., 0].astype(np.uint16) * 257)
            else:
                image = Image.fromarray(photo).convert(mode)
            buffer = io.BytesIO()
            image.save(buffer, kind)
            files[f"{kind}-{mode.replace(';', '')}"] = buffer.getvalue()
    return files


def damaged(data: bytes, rng: np.random.Generator) -> dict[str, bytes]:
    """A file and what may have become of it on its way."""

    def with_noise(start: int, count: int) -> bytes:
        noisy = bytearray(data)
        for _ in range(count):
            noisy[rng.integers(start, len(data))] = rng.integers(256)
        return bytes(noisy)

    return {
        "whole": data,
        "cut": data[: rng.integers(1, len(data))],
        "header-only": data[:24],
        "no-end": data[:-5],
        "noise": with_noise(0, 20),
        "noise-behind-header": with_noise(min(100, len(data) // 2), 3),
        "zeros": data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
        "noise-before": rng.bytes(7) + data,
        "noise-after": data + rng.bytes(300),
    }


def test_odd_and_damaged_files_all_come_to_an_end(photo, tmp_path):  # noqa: F811
    rng = np.random.default_rng(3)
    folder, report = tmp_path / "in", tmp_path / "report.jsonl"
    folder.mkdir()
    for name, data in whole_files(photo).items():
        for damage, bad in damaged(data, rng).items():
            suffix = rng.choice(["jpg", "png", "webp", "tif", "gif", "avif", "heic"])
            (folder / f"{name}-{damage}.{suffix}").write_bytes(bad)
    for name in ("empty", "text", "zeros"):
        data = {"empty": b"", "text": b"no picture", "zeros": bytes(5000)}[name]
        (folder / f"{name}.jpg").write_bytes(data)
    count = len(outputs(folder))
    assert count > 230
    result = matte(folder, tmp_path / "out", "--report", report, "--max-megapixels", 1)
    assert result.exit_code == 1
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert len({line["input"] for line in lines}) == len(lines) == count
    failed = [line for line in lines if line["status"] == "failed"]
    for line in failed:
        assert line["input"] in line["reason"] and "\n" not in line["reason"]
        assert "-whole" not in line["input"]
    assert len(outputs(tmp_path / "out")) == count - len(failed)
    assert "Traceback" not in result.output


@pytest.mark.skipif(sys.platform == "darwin", reason="file names there are UTF-8")
def test_a_name_that_is_no_text(photo, tmp_path):  # noqa: F811
    name = os.fsdecode(b"caf\xe9.png")
    write_image(tmp_path / "in" / name, photo)
    report = tmp_path / "report.jsonl"
    assert matte(tmp_path / "in", tmp_path / "out", "--report", report).exit_code == 0
    assert outputs(tmp_path / "out") == [name]
    (line,) = report.read_text().splitlines()
    assert json.loads(line)["outputs"]["cutout"] == str(tmp_path / "out" / name)


def test_a_full_disk_stops_at_once(photo, tmp_path, monkeypatch):  # noqa: F811
    for name in "abcdefghijklmnopqrstuvwxyz":
        write_image(tmp_path / "in" / f"{name}.png", photo)
    attempts = []

    def full(path, data):
        from mattecli.core.errors import OutputUnusable

        attempts.append(path)
        raise OutputUnusable(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(run, "write_result", full)
    result = matte(tmp_path / "in", tmp_path / "out")
    assert result.exit_code == 1
    assert "No space left" in str(result.exception)
    assert len(attempts) < 26


def test_a_file_where_the_results_should_go_stops_at_once(photo, tmp_path):  # noqa: F811
    for name in "abc":
        write_image(tmp_path / "in" / f"{name}.png", photo)
    (tmp_path / "out").touch()
    result = matte(tmp_path / "in", tmp_path / "out")
    assert result.exit_code == 1
    assert "cannot write" in str(result.exception)


def test_processes_of_a_launcher_share_the_work_and_the_report(photo, tmp_path, monkeypatch):  # noqa: F811
    for name in "abcde":
        write_image(tmp_path / "in" / f"{name}.png", photo)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, done in ((0, "3 done"), (1, "2 done")):
        monkeypatch.setenv("RANK", str(rank))
        result = matte(tmp_path / "in", tmp_path / "out", "--report", tmp_path / "r.jsonl")
        assert done in result.stderr
    assert outputs(tmp_path / "out") == [f"{name}.png" for name in "abcde"]
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) == 5


SLOW_RUN = """
import sys, time
from mattecli.cli.app import main
from mattecli.core.inference import run
from mattecli.core.matting.placing import resize
from mattecli.core.runtime import loading
from mattecli.core.runtime.sizing import Sizing

class RedIsSubject:  # this one starts without PyTorch
    sizing, device_type, max_concurrency = Sizing(64, 64), "cpu", 1
    batch_one = takes_guidance = False
    def prepare(self, image, size): return resize(image, *size)
    def infer(self, images, guidance=None):
        return [image[..., 0].astype("float32") / 255 for image in images]

loading.load_model = lambda *_: RedIsSubject()
finish = run.finish
run.finish = lambda *arguments: (time.sleep(0.05), finish(*arguments))[1]
sys.argv = ["matte", "predict", {photos!r}, {out!r}]
main()
"""


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_whole_files_and_goes_on(photo, tmp_path, stop):  # noqa: F811
    for i in range(40):
        write_image(tmp_path / "in" / f"{i}.png", photo)
    out = tmp_path / "out"
    code = SLOW_RUN.format(photos=str(tmp_path / "in"), out=str(out))
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    while len(list(out.glob("*.png"))) < 6 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(stop)
    _, stderr = process.communicate(timeout=60)
    finished = list(out.glob("*.png"))
    assert 5 < len(finished) < 40
    if stop != signal.SIGKILL:
        assert process.returncode == 130
        assert f"{len(finished)} done" in stderr
        assert len(outputs(out)) == len(finished)
    for path in finished:
        assert read_picture(path).alpha.shape == photo.shape[:2]

    result = matte(tmp_path / "in", out, "--resume")
    assert result.exit_code == 0
    # Photos that were under way when the process was killed are tried alone, by another process,
    # which has the bundled network and may find nothing.
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (done|empty|skipped)", result.stderr)}
    assert counts["done"] + counts.get("empty", 0) == 40 - len(finished)
    assert counts["skipped"] == len(finished)


def test_a_second_ctrl_c_stops_at_once_but_not_one_that_is_the_first_handed_on():
    with pytest.raises(KeyboardInterrupt), graceful_shutdown() as stopped:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        assert stopped()
        time.sleep(1.1)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the second one was not heard")


def test_a_failure_in_one_process_of_a_launcher_does_not_end_the_others(photo, tmp_path):  # noqa: F811
    for i in range(20):
        write_image(tmp_path / "in" / f"{i:02}.png", photo)
    # The first process has failed long before the second one is through.
    for i in range(0, 20, 2):
        (tmp_path / "in" / f"{i:02}.png").write_bytes(b"no picture")
    code = SLOW_RUN.format(photos=str(tmp_path / "in"), out=str(tmp_path / "out"))
    script = tmp_path / "slow.py"
    script.write_text(code)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", str(script)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert ended.returncode == 1
    assert outputs(tmp_path / "out") == [f"{i:02}.png" for i in range(1, 20, 2)]
    assert "10 done, 10 failed" in ended.stderr
