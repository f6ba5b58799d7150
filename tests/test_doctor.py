"""``matte doctor``: what is broken is named, with the line that mends it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
import torch
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core import doctor
from mattecli.core.runtime.named_weights import find_weights


@pytest.fixture(autouse=True)
def no_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MATTE_WEIGHTS", str(tmp_path / "none"))


def matte():
    return CliRunner().invoke(app, ["doctor"])


def test_all_is_well(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    result = matte()
    assert result.exit_code == 0, result.output
    assert f"torch            {torch.__version__}" in result.output
    assert str(find_weights()) in result.output
    assert "self-test        right;" in result.output
    # An extra that is not installed is no fault.
    assert "pip install 'mattecli[onnx]'" in result.output


def test_opencv_without_libgl(tmp_path):
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object')")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])

    def run(*arguments):
        command = [sys.executable, "-m", "mattecli", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    result = run("doctor")
    assert result.returncode == 1
    assert "pip install opencv-python-headless" in result.stdout
    assert "self-test" not in result.stdout
    result = run("predict", tmp_path, tmp_path / "out")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "libGL" in result.stderr and "matte doctor" in result.stderr


def test_a_gpu_that_this_pytorch_cannot_use(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(doctor, "_try_out", lambda: doctor.Finding("self-test", "left out"))
    result = matte()
    assert result.exit_code == 1
    assert "for the CPU only" in result.output and "pytorch.org" in result.output
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert "cannot use it" in matte().output
