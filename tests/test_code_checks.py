"""The checks that pyproject.toml configures: style, format and types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "--no-cache", "--quiet"],
        ["ruff", "format", "--no-cache", "--check", "--quiet"],
        ["mypy", "--no-error-summary"],
    ],
    ids=["style", "format", "types"],
)
def test_nothing_is_found(command):
    result = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
