"""Commands that know where a value is from: typed, or a default of the working folder's file."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from mattecli.cli.defaults import DEFAULTS_ERROR, ORIGIN, OUTPUTS
from mattecli.cli.streams import bound_message
from mattecli.core.errors import MatteError, suggest
from mattecli.core.plain_text import in_one_line

# What typer raises for wrong usage; where it comes from differs between its versions.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
_ClickError: type[Exception] = typer.BadParameter.__mro__[2]

# More options of a file than this at once are not left out for what was typed.
_MOST_LEFT_OUT = 5

_context: ContextVar[Any] = ContextVar("context", default=None)

Function = TypeVar("Function", bound=Callable[..., Any])


class Group(TyperGroup):
    """The program: whatever is wrong with the usage is said in one line."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options before the command."""
        with _in_one_line():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Parse the rest and run the command."""
        with _in_one_line():
            return super().invoke(ctx)


class Command(TyperCommand):
    """A command that takes finite numbers only, and whose errors name the file of a default."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse options and arguments."""
        error = ctx.meta.get(DEFAULTS_ERROR)
        if error and not set(args) & set(ctx.help_option_names):
            raise error
        try:
            rest = super().parse_args(ctx, self._with_values(args))
        except _UsageError as error:
            parameter = getattr(error, "param", None)
            if parameter is not None and parameter.name in _from_file(ctx):
                error.message += f" ({_origin(ctx)} says so)"  # type: ignore[attr-defined]
            raise
        for parameter in self.params:
            value = ctx.params.get(parameter.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise typer.BadParameter(f"{value} is no finite number", ctx, parameter)
            if isinstance(value, int) and abs(value) >= 2**63:
                raise typer.BadParameter("that is too large a number", ctx, parameter)
        return rest

    def _with_values(self, args: list[str]) -> list[str]:
        """Write out what options mean that need no number and have none behind them."""
        bare = getattr(self.callback, "bare_values", {})
        return [
            f"{word}={bare[word]}" if word in bare and not _is_number(following) else word
            for word, following in itertools.zip_longest(args, args[1:], fillvalue="")
        ]

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        token = _context.set(ctx)
        try:
            return super().invoke(ctx)
        except (MatteError, _UsageError) as error:
            _name_origin(error, ctx)
            raise
        finally:
            _context.reset(token)


def named_output(name: str) -> dict[str, Any]:
    """Give the values of the table ``outputs.NAME`` of the working folder's file.

    Raises
    ------
    typer.BadParameter
        If there is no such table.
    """
    ctx = _context.get()
    known = ctx.find_root().meta.get(OUTPUTS, {}) if ctx is not None else {}
    if name not in known:
        hint = suggest(name, known) if known else "matte.toml has no tables [outputs.NAME]"
        raise typer.BadParameter(f"no output '{name}': {hint}")
    return known[name]


def _is_number(text: str) -> bool:
    try:
        float(text.removesuffix("%"))
    except ValueError:
        return False
    return True


def yields_to_what_is_typed(
    check: Callable[..., Any], *neutral: dict[str, Any]
) -> Callable[[Function], Function]:
    """Make the file's defaults of a command give way where they contradict what was typed.

    Parameters
    ----------
    check : callable
        Takes some of the command's parameters by name, choices also as the text that they are in
        the file, and raises ``typer.BadParameter`` where they contradict one another. It must not
        change anything.
    neutral : dict
        Arguments that `check` needs and that no option contradicts, several for options that go
        with some only: a default that fails with all of them is wrong in itself, and stays.
    """
    names = list(signature(check).parameters)

    def decorate(function: Function) -> Function:
        built_in = {name: signature(function).parameters[name].default for name in names}

        def passes(values: dict[str, Any]) -> bool:
            try:
                check(**{name: values[name] for name in names})
            except typer.BadParameter:
                return False
            except MatteError:
                return True
            return True

        @wraps(function)
        def run(**values: Any) -> Any:
            given = [name for name in _from_file(_context.get()) if name in names]
            if given and not passes(values):
                # With nothing typed, each by itself, or all that the file says at once.
                ways = [{name: values[name]} for name in given]
                said = {key: item for key, item in _file_values().items() if key in names}
                sound = {
                    name
                    for way in (*ways, said)
                    for others in neutral or ({},)
                    if passes({**built_in, **others, **way})
                    for name in way
                }
                candidates = [name for name in given if name in sound]

                def fits_without(way: tuple[str, ...]) -> bool:
                    return passes({**values, **{name: built_in[name] for name in way}})

                values |= {name: built_in[name] for name in _to_leave_out(candidates, fits_without)}
            return function(**values)

        return run  # type: ignore[return-value]

    return decorate


def _to_leave_out(
    candidates: list[str], fits_without: Callable[[tuple[str, ...]], bool]
) -> tuple[str, ...]:
    """Choose the fewest of the file's defaults to leave out, or none if there is no one choice."""
    for count in range(1, min(len(candidates), _MOST_LEFT_OUT) + 1):
        ways = [way for way in itertools.combinations(candidates, count) if fits_without(way)]
        # Where several would do, the file contradicts itself, and the command says so.
        if ways:
            return ways[0] if len(ways) == 1 else ()
    return ()


@contextlib.contextmanager
def _in_one_line() -> Iterator[None]:
    try:
        yield
    except _ClickError as error:
        bound_message(error)
        raise


def _from_file(ctx: Any) -> list[str]:
    """Name the parameters whose values are defaults of the working folder's file."""
    if ctx is None or not ctx.default_map:
        return []
    sources = {parameter.name: ctx.get_parameter_source(parameter.name) for parameter in _all(ctx)}
    return [name for name, source in sources.items() if source and source.name == "DEFAULT_MAP"]


def _file_values() -> dict[str, Any]:
    """Give all that the file says of the command, also what was typed otherwise."""
    ctx = _context.get()
    return dict(ctx.default_map or {}) if ctx is not None else {}


def _all(ctx: Any) -> list[Any]:
    return ctx.command.params


def _origin(ctx: Any) -> str:
    return str(ctx.find_root().meta.get(ORIGIN, "the file of defaults"))


def _name_origin(error: Exception, ctx: Any) -> None:
    """Say in an error that a value it is about was not typed but is a default of the file."""
    text = str(getattr(error, "message", error))
    origin = _origin(ctx)
    if origin in text:
        return
    concerned = []
    for parameter in _all(ctx):
        if parameter.name not in _from_file(ctx):
            continue
        option = max(parameter.opts, key=len)
        value = ctx.params.get(parameter.name)
        said = str(getattr(value, "value", value))
        if option in text.split() or (len(said) > 2 and said in text):
            concerned.append(option)
    if not concerned:
        return
    text = in_one_line(f"{text} ({' and '.join(concerned)} by {origin})")
    if isinstance(error, MatteError):
        error.args = (text,)
    else:
        error.message = text  # type: ignore[attr-defined]
