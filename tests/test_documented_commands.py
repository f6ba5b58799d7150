"""Every `matte` command in the documents is one that the program parses."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from mattecli.cli.app import app

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / name
    for name in ("README.md", "CONTRIBUTING.md", "weights/README.md", "examples/README.md")
]
DOCUMENTS += sorted((ROOT / "docs").glob("*.md"))


def commands() -> list[str]:
    """Give the commands in the documents' blocks of code, each once."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S):
            if language:
                continue
            # Of a pipe the part that is ours; under torchrun it is `-m mattecli`.
            for line in block.replace("\\\n", " ").splitlines():
                found += re.findall(r"(?:^|[ /])(?:matte|-m mattecli)( [^|>]+|$)", line)
    return sorted({shlex.join(arguments_of(command)) for command in found})


def arguments_of(command: str) -> list[str]:
    words = shlex.split(command, comments=True)
    return [word for word in words if word not in ("...", "…", "&&")]


def test_the_documents_have_commands():
    assert len(commands()) > 40


@pytest.mark.parametrize("command", commands())
def test_a_documented_command_is_parsed(command):
    words = arguments_of(command)
    program = typer.main.get_command(app)
    context = typer.Context(program, info_name="matte")
    while hasattr(program, "commands") and words:
        program = program.commands[words[0]]
        context = typer.Context(program, parent=context, info_name=words.pop(0))
    if words:
        program.make_context(context.info_name, words, parent=context.parent)
