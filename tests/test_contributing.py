"""CONTRIBUTING.md speaks of files, folders and functions that exist."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mattecli"
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CODE = re.findall(r"`([^`\n]+)`", TEXT.split("## Layers")[1])


@functools.cache
def definitions() -> dict[str, set[str]]:
    """Give names of functions, classes and constants by the module that defines them."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        names = found.setdefault(path.relative_to(PACKAGE).as_posix(), set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def exists(path: str) -> bool:
    return any((base / path).exists() for base in (ROOT, PACKAGE, PACKAGE / "core"))


def test_files_and_folders_exist():
    paths = [code for code in CODE if re.fullmatch(r"[\w./-]+(/|\.(py|toml|md|onnx))", code)]
    own = [path for path in paths if path != "matte.toml"]
    assert len(own) > 20
    assert [path for path in own if path.count("/") > 0 and not exists(path)] == []
    assert [path for path in own if "/" not in path and not list(ROOT.rglob(path))] == []


def test_functions_and_constants_exist():
    known = set().union(*definitions().values())
    named = {code.removesuffix("()") for code in CODE if re.fullmatch(r"\w+\(\)", code)}
    named |= {code for code in CODE if re.fullmatch(r"[A-Z]{4,}|[A-Z][a-z]+(?:[A-Z][a-z]+)*", code)}
    placeholders = {"PHOTOS", "BENCHMARK"}
    assert len(named) > 25
    assert named - known - placeholders == set()


@pytest.mark.parametrize("pair", re.findall(r"`(\w+)\(\)` in\s+`([\w/.]+\.py)`", TEXT))
def test_functions_are_where_they_are_said_to_be(pair):
    name, module = pair
    assert name in definitions()[module]


def test_every_folder_of_the_core_has_its_line():
    table = TEXT.split("## Layers")[1].split("## A photo")[0]
    folders = [path.parent.name for path in (PACKAGE / "core").glob("*/__init__.py")]
    assert [name for name in folders if f"`core/{name}/`" not in table] == []
