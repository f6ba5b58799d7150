"""TOML files, and dataclasses made of their tables."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mattecli.core.errors import MatteError, suggest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Beyond it products overflow.
_HUGE = 1e300

Kind = TypeVar("Kind", bound="DataclassInstance")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    MatteError
        If there is no such file, or it is not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MatteError(f"cannot read {path}: {error}") from None
    return parse_toml(text, str(path))


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """Parse TOML; `name` is what errors call it."""
    try:
        return tomllib.loads(text)
    # Besides its own it lets through what integers of thousands of digits and tables nested
    # thousands deep raise.
    except (ValueError, RecursionError) as error:
        raise MatteError(f"{name}: not valid TOML ({error})") from None


def from_table(kind: type[Kind], table: dict[str, Any], where: str = "") -> Kind:
    """Make a dataclass from a table; every key, type and choice (``metadata``) is checked.

    Raises
    ------
    ValueError
        If the table does not fit; keys are named after `where`.
    """
    if not isinstance(table, dict):
        raise ValueError(f"'{where.rstrip('.')}' must be a table: got {_short(table)}")
    hints = typing.get_type_hints(kind)
    fields = {item.name: item for item in dataclasses.fields(kind)}
    _check_keys(table, fields, where)
    values = {}
    for key, value in table.items():
        values[key] = _convert(hints[key], value, where + key)
        choices = fields[key].metadata.get("choices")
        if choices and values[key] not in choices:
            raise ValueError(
                f"'{where}{key}' must be one of {', '.join(choices)}: got {_short(value)}"
            )
    return kind(**values)


def _check_keys(table: dict[str, Any], fields: dict[str, dataclasses.Field], where: str) -> None:
    for key in table:
        if key not in fields:
            raise ValueError(f"unknown key '{where}{key}': {suggest(key, fields)}")
    for name, item in fields.items():
        required = (
            item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        )
        if required and name not in table:
            raise ValueError(f"'{where}{name}' is missing")


def _convert(hint: Any, value: Any, where: str) -> Any:
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return _convert(arguments[0], value, where)
    if origin is dict and isinstance(value, dict):
        return {key: _convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is list and isinstance(value, list):
        return [_convert(arguments[0], item, where) for item in value]
    if origin is tuple and isinstance(value, list):
        if arguments[-1] is not ... and len(value) != len(arguments):
            raise ValueError(f"'{where}' needs {len(arguments)} values: got {len(value)}")
        return tuple(_convert(arguments[0], item, where) for item in value)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return from_table(hint, value, f"{where}.")
    return _scalar(hint, value, where)


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is typing.Any:
        return value
    if hint is float and type(value) in (int, float):
        # Nothing is computed with nan and inf that would mean anything.
        if not abs(value) < _HUGE:
            raise ValueError(f"'{where}' must be a finite number: got {_short(value)}")
        return float(value)
    if hint is int and type(value) is int and not abs(value) < 2**63:
        raise ValueError(f"'{where}' is too large a number: {_short(value)}")
    if hint is str and type(value) is str and "\0" in value:
        raise ValueError(f"'{where}' holds a zero byte: {_short(value)}")
    if hint in (int, str, bool) and type(value) is hint:
        return value
    raise ValueError(f"'{where}' has a value of the wrong kind: {_short(value)}")


def _short(value: Any) -> str:
    """Show a value as it was written, as far as it can be read."""
    if isinstance(value, int) and abs(value) >= 2**63:
        return "an integer of more than 64 bits"
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
