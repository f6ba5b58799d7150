"""The checks that pyproject.toml configures: style, format, types, and what may import what."""

from __future__ import annotations

import ast
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


MODULES = sorted((ROOT / "mattecli").rglob("*.py"))


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef, path: Path) -> int:
    """Count the lines of a function; a command's options are its parameters, and do not count."""
    is_command = "cli" in path.relative_to(ROOT / "mattecli").parts
    first = function.body[0].lineno if is_command else function.lineno
    return function.end_lineno - first + 1


def test_functions_have_at_most_60_lines():
    long = [
        f"{path.relative_to(ROOT)}: {node.name} has {lines_of(node, path)} lines"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and lines_of(node, path) > 60
    ]
    assert not long


def test_files_have_at_most_300_lines():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert not {str(path): length for path, length in lengths.items() if length > 300}
