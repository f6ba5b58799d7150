"""Defaults of options from ``matte.toml``, or ``[tool.matte]`` in ``pyproject.toml``, if there."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Any

import typer

from mattecli.core.errors import MatteError, suggest

#: Where defaults are looked for, in the folder that a command runs in.
SETTINGS_FILES = ("matte.toml", "pyproject.toml")
#: Keys in the root context's ``meta``: the file that the defaults are from, and its named outputs.
ORIGIN = "mattecli.defaults"
OUTPUTS = "mattecli.outputs"
#: Options of predict that are those of a run, and not of one of its outputs.
_OF_RUNS = frozenset({"named", "keep_metadata", "matte_color"})
#: The same, where the defaults cannot be read: why.
DEFAULTS_ERROR = "mattecli.defaults_error"


def read_defaults(context: typer.Context) -> dict[str, Any]:
    """Read the working folder's defaults for the options of every command.

    The file has a table for each command, with the options' long names as keys; that of a command
    with commands of its own has tables for these. Its tables ``outputs.NAME`` are put beside, in
    the root context's ``meta``. A ``pyproject.toml`` that cannot be read, or has no
    ``[tool.matte]``, is somebody else's and left alone.

    Returns
    -------
    dict
        By command and parameter, as ``default_map`` of a context wants it.

    Raises
    ------
    MatteError
        If the file is not TOML, or names a command or option that does not exist.
    typer.BadParameter
        If a value is of the wrong kind.
    """
    path, tables = _find_tables()
    meta = context.find_root().meta
    meta[ORIGIN] = path
    named = tables.get("outputs", {}) if tables else {}
    tables = {name: table for name, table in tables.items() if name != "outputs"}
    meta[OUTPUTS] = _named_outputs(context, named, str(path)) if named else {}
    return _defaults_of_commands(context.command, tables, str(path), "")


def _defaults_of_commands(group: Any, tables: Any, path: str, prefix: str) -> dict[str, Any]:
    commands = group.commands
    defaults: dict[str, Any] = {}
    for name, table in tables.items():
        if name not in commands:
            raise MatteError(f"{path}: no command '{prefix}{name}': {suggest(name, commands)}")
        if not isinstance(table, dict):
            raise MatteError(f"{path}: '{prefix}{name}' must be a table of options")
        command = commands[name]
        if hasattr(command, "commands"):
            defaults[name] = _defaults_of_commands(command, table, path, f"{prefix}{name}.")
        else:
            defaults[name] = _defaults_of_options(command.params, table, path, f"{prefix}{name}")
    return defaults


def _named_outputs(context: typer.Context, tables: Any, path: str) -> dict[str, dict[str, Any]]:
    """Read the options of results that have a name, as values by parameter of predict."""
    from mattecli.core.inference.options import EdgeOptions, FrameOptions, OutputOptions

    if not isinstance(tables, dict):
        raise MatteError(f"{path}: 'outputs' must hold a table for each output")
    groups = (OutputOptions, FrameOptions, EdgeOptions)
    known = {field.name for group in groups for field in dataclasses.fields(group)} - _OF_RUNS
    command: Any = context.command.commands["predict"]  # type: ignore[attr-defined]
    own = [parameter for parameter in command.params if parameter.name in known]
    outputs = {}
    for name, table in tables.items():
        if not re.fullmatch(r"[^\W_][\w.+-]{0,99}", name):
            raise MatteError(f"{path}: '{name}' cannot be the name of an output and of its folder")
        if not isinstance(table, dict):
            raise MatteError(f"{path}: 'outputs.{name}' must be a table of options of predict")
        found = _defaults_of_options(own, table, path, f"outputs.{name}")
        outputs[name] = {
            parameter.name: _cast(parameter, found[parameter.name], f"{path}: [outputs.{name}]")
            for parameter in own
            if parameter.name in found
        }
    return outputs


def _cast(parameter: Any, value: Any, where: str) -> Any:
    """Check range and choice, as the command line does."""
    try:
        return parameter.type_cast_value(None, value)
    except typer.BadParameter as error:
        option = max(parameter.opts, key=len).removeprefix("--")
        raise typer.BadParameter(f"{where} {option}: {error.message}") from None


def _defaults_of_options(own: list[Any], table: dict[str, Any], path: str, name: str) -> dict:
    parameters = {
        option.removeprefix("--"): parameter
        for parameter in own
        for option in parameter.opts
        if option.startswith("--")
    }
    defaults = {}
    for key, value in table.items():
        if key not in parameters:
            raise MatteError(f"{path}: no option '{key}' of {name}: {suggest(key, parameters)}")
        parameter = parameters[key]
        values: Any = value
        if parameter.multiple and not isinstance(value, list):
            values = [value]
        if not _fits(parameter, values):
            raise typer.BadParameter(
                f"{path}: [{name}] {key} = {value!r}: --{key} takes {_wanted(parameter)}"
            )
        defaults[parameter.name] = values
    return defaults


def _fits(parameter: Any, value: Any) -> bool:
    """Tell whether a value of TOML is of an option's kind; ranges and choices are looked at later.

    ``nan`` and ``inf`` are no numbers to compute with.
    """
    if parameter.multiple:
        return isinstance(value, list) and all(_is_of(parameter, item) for item in value)
    return _is_of(parameter, value)


def _is_of(parameter: Any, value: Any) -> bool:
    kind = _kind(parameter)
    if type(value) is int and kind in (int, float):
        return abs(value) < 2**63
    if kind is float:
        return type(value) is float and math.isfinite(value)
    return type(value) is kind and not (kind is str and "\0" in str(value))


def _kind(parameter: Any) -> type:
    if getattr(parameter, "is_flag", False):
        return bool
    name = parameter.type.name
    return int if name.startswith("int") else float if name.startswith("float") else str


def _wanted(parameter: Any) -> str:
    words = {
        bool: "true or false",
        int: "a whole number",
        float: "a finite number",
        str: "text in quotes",
    }
    word = words[_kind(parameter)]
    return f"a list of {word}" if parameter.multiple else word


def _find_tables() -> tuple[Path, dict[str, Any]]:
    from mattecli.core.toml import read_toml

    own, path = map(Path, SETTINGS_FILES)
    if own.is_file():
        return own, read_toml(own)
    if not path.is_file():
        return Path(), {}
    try:
        tables: Any = read_toml(path)
    except MatteError:
        if not _speaks_of_us(path):
            return Path(), {}
        raise
    tables = tables.get("tool", {})
    tables = tables.get("matte", {}) if isinstance(tables, dict) else {}
    if not isinstance(tables, dict):
        raise MatteError(f"{path}: 'tool.matte' must be a table of tables, one for each command")
    return path, tables


def _speaks_of_us(path: Path) -> bool:
    """Tell whether a broken file means this program at all."""
    try:
        return b"tool.matte" in path.read_bytes()
    except OSError:
        return False
