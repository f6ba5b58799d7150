"""Defaults of options from ``matte.toml``, or ``[tool.matte]`` in ``pyproject.toml``, if there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from mattecli.core.errors import MatteError, nearest


def read_defaults(context: typer.Context) -> dict[str, dict[str, Any]]:
    """Read the working folder's defaults for the options of every command.

    The file has a table for each command, with the options' long names as keys.

    Returns
    -------
    dict
        By command and parameter, as ``default_map`` of a context wants it.

    Raises
    ------
    MatteError
        If the file is not TOML, or names a command or option that does not exist.
    """
    path, tables = _find_tables()
    commands: dict[str, Any] = context.command.commands  # type: ignore[attr-defined]
    defaults: dict[str, dict[str, Any]] = {}
    for name, table in tables.items():
        if name not in commands:
            raise MatteError(f"{path}: no command '{name}': {nearest(name, commands)}")
        if not isinstance(table, dict):
            raise MatteError(f"{path}: '{name}' must be a table of options")
        options = {
            option.removeprefix("--"): parameter.name
            for parameter in commands[name].params
            for option in parameter.opts
            if option.startswith("--")
        }
        for key in table:
            if key not in options:
                raise MatteError(f"{path}: no option '{key}' of {name}: {nearest(key, options)}")
        defaults[name] = {options[key]: value for key, value in table.items()}
    return defaults


def _find_tables() -> tuple[Path, dict[str, Any]]:
    for path in (Path("matte.toml"), Path("pyproject.toml")):
        if not path.is_file():
            continue
        from mattecli.core.toml import read_toml

        tables = read_toml(path)
        if path.name == "pyproject.toml":
            tables = tables.get("tool", {}).get("matte", {})
        return path, tables
    return Path(), {}
