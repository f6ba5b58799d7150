"""The checks that pyproject.toml configures: style, format, types, and what may import what."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "ruff", "check", "--no-cache", "--quiet"],
        ["-m", "ruff", "format", "--no-cache", "--check", "--quiet"],
        ["-m", "mypy", "--no-error-summary"],
        # It has no module to be run as.
        ["-c", "from importlinter.cli import lint_imports_command as run; run(['--no-cache'])"],
    ],
    ids=["style", "format", "types", "layers"],
)
def test_nothing_is_found(command):
    result = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
