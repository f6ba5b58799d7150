"""Options that are declared as dataclasses, as parameters of commands."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable
from typing import Annotated, Any, Optional

import typer

# What a field's metadata holds beside the arguments of `typer.Option`.
_OWN = ("flags", "aliases", "bare")


def option_of(group: type, name: str, kind: Any = None) -> Any:
    """Give the annotation of a command's parameter that is declared as a field of `group`.

    A `kind` takes the place of the declared one.
    """
    (field,) = (field for field in dataclasses.fields(group) if field.name == name)
    more = {key: value for key, value in field.metadata.items() if key not in _OWN}
    kind = kind or typing.get_type_hints(group)[name]
    return Annotated[kind, typer.Option(*field.metadata["flags"], **more)]


def with_options(**groups: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a command take the fields of dataclasses as options.

    Parameters
    ----------
    **groups : type
        Dataclasses by the name of the command's parameter that takes an object of each.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = typing.get_type_hints(command, include_extras=True)
        own = [
            parameter.replace(annotation=hints[name])
            for name, parameter in inspect.signature(command).parameters.items()
            if name not in groups
        ]
        added = [parameter for group in groups.values() for parameter in _parameters(group)]

        @functools.wraps(command)
        def run(**values: Any) -> None:
            options = {name: _gather(group, values) for name, group in groups.items()}
            command(**values, **options)

        parameters = [*own, *added]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        run.bare_values = {  # type: ignore[attr-defined]
            f"--{field.name.replace('_', '-')}": field.metadata["bare"]
            for group in groups.values()
            for field in dataclasses.fields(group)
            if "bare" in field.metadata
        }
        return run

    return decorate


def _parameters(group: type) -> list[inspect.Parameter]:
    parameters = []
    for field in dataclasses.fields(group):
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        parameters.append(_parameter(field.name, option_of(group, field.name), default))
        for number, flags in enumerate(field.metadata.get("aliases", ())):
            kind: Any = typing.get_type_hints(group)[field.name]
            hidden = Annotated[Optional[kind], typer.Option(flags, hidden=True)]  # noqa: UP045
            parameters.append(_parameter(_alias(field.name, number), hidden, None))
    return parameters


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _gather(group: type, values: dict[str, Any]) -> Any:
    """Make an object of the dataclass of its fields' values, which are taken out of `values`."""
    found = {}
    for field in dataclasses.fields(group):
        found[field.name] = values.pop(field.name)
        for number in range(len(field.metadata.get("aliases", ()))):
            old = values.pop(_alias(field.name, number))
            if old is not None:
                found[field.name] = old
    return group(**found)


def _alias(name: str, number: int) -> str:
    return f"{name}_alias_{number}"
