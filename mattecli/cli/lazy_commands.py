"""Commands whose modules are imported once they are asked for: a run needs those of one only."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping
from typing import Any

import typer

from mattecli.cli.commands import Command


class LazyCommands(MutableMapping[str, Any]):
    """Commands by name, in the order of the help.

    Parameters
    ----------
    panels : dict of str
        By the command's name, the panel of the help that it is in. A command's module below
        `mattecli.cli` has its name, and in it a function of that name or the ``app`` of a command
        with commands of its own.
    """

    def __init__(self, panels: dict[str, str]) -> None:
        self._panels = dict(panels)
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """Give a command, and import it first if need be."""
        if name not in self._made:
            self._made[name] = _load(name, self._panels[name])
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        """Add a command, or put another in its place."""
        self._panels.setdefault(name, "")
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        """Take a command away."""
        del self._panels[name]
        self._made.pop(name, None)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a command, without importing it."""
        return name in self._panels

    def __iter__(self) -> Iterator[str]:
        """Give the names."""
        return iter(self._panels)

    def __len__(self) -> int:
        """Count the commands."""
        return len(self._panels)


def _load(name: str, panel: str) -> Any:
    identifier = name.replace("-", "_")
    module = importlib.import_module(f"mattecli.cli.{identifier}")
    program = typer.Typer()
    # With it, a program of one command is not that command itself.
    program.callback()(lambda: None)
    if hasattr(module, "app"):
        program.add_typer(module.app, name=name, rich_help_panel=panel)
    else:
        program.command(name, cls=Command, rich_help_panel=panel)(getattr(module, identifier))
    return typer.main.get_command(program).commands[name]  # type: ignore[attr-defined]
