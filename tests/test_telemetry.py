"""onnxruntime's telemetry is off: a run leaves no file behind that nobody asked for."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mattecli
from mattecli.core.imaging.writing import write_image

PACKAGE = Path(mattecli.__file__).parent


def run(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "ORT_"))}
    environment = {**kept, "HOME": str(home), "PYTHONPATH": str(PACKAGE.parent), **variables}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=300
    )


def below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture
def photo(tmp_path):
    y, x = np.mgrid[:96, :128]
    disc = np.hypot(y - 48, x - 64) < 30
    path = tmp_path / "photo.png"
    write_image(path, np.where(disc[..., None], (230, 90, 40), (40, 90, 130)).astype(np.uint8))
    return path


def test_a_run_leaves_home_as_it_was(photo, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    out = str(tmp_path / "cutout.png")
    done = run(home, "-m", "mattecli", "predict", str(photo), out, "--json-log")
    assert done.returncode == 0, done.stderr
    assert below(home) == []
    assert done.stderr.count("\n") == 1 and done.stderr.startswith('{"input"')


def test_with_a_home_that_cannot_be_written_the_log_is_still_json(photo, tmp_path):
    home = tmp_path / "file"
    home.write_text("not a folder")
    out = str(tmp_path / "cutout.png")
    done = run(home, "-m", "mattecli", "predict", str(photo), out, "--json-log")
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1 and done.stderr.startswith('{"input"')


@pytest.mark.parametrize(
    "code",
    [
        "import mattecli; mattecli.predict('PHOTO')",
        "from mattecli.core.doctor import _look_at; _look_at('onnxruntime', False)",
        "from mattecli.core.runtime.onnxruntime_loading import load_onnxruntime as load; "
        "load('quantization')",
    ],
    ids=["api", "doctor", "quantization"],
)
def test_neither_the_api_nor_doctor_nor_quantization_leave_anything(code, photo, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    done = run(home, "-c", code.replace("PHOTO", str(photo)))
    assert done.returncode == 0, done.stderr
    assert below(home) == []


@pytest.mark.parametrize("said", ["0", "1", ""])
def test_what_the_user_has_set_stays(said, tmp_path):
    code = (
        "import os; from mattecli.core.runtime.onnxruntime_loading import load_onnxruntime; "
        "load_onnxruntime(); print(repr(os.environ['ORT_DISABLE_TELEMETRY']))"
    )
    done = run(tmp_path, "-c", code, ORT_DISABLE_TELEMETRY=said)
    assert done.stdout.strip() == repr(said)


def test_nothing_else_imports_onnxruntime():
    found = []
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for_types = {
            inner
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if node not in for_types and any(n.split(".")[0] == "onnxruntime" for n in names):
                found.append(path.name)
    assert found == []
