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


def test_functions_outside_the_commands_have_at_most_60_lines():
    # A command's options are its parameters, which no tool can count apart from its code.
    long = [
        f"{path.relative_to(ROOT)}: {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for path in sorted((ROOT / "mattecli").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno >= 60
        and "cli" not in path.relative_to(ROOT / "mattecli").parts
    ]
    assert not long
