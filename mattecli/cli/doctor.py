"""``matte doctor``: what to do where something does not work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from mattecli.cli.defaults import read_defaults
from mattecli.cli.status import ExitStatus
from mattecli.core.errors import MatteError
from mattecli.core.plain_text import in_one_line

if TYPE_CHECKING:
    from mattecli.core.doctor import Finding


def doctor(context: typer.Context) -> None:
    """Look whether everything is there, works, and how fast it is."""
    from mattecli.core.doctor import diagnose

    fine = True
    for finding in (*_look_at_defaults(context), *diagnose()):
        fine &= finding.is_fine
        mark, color = ("!!", "red") if not finding.is_fine else ("ok", "green")
        if finding.is_fine and finding.fix:
            mark, color = "--", "yellow"
        typer.echo(
            f"{typer.style(mark, fg=color)}  {finding.name:<16} {in_one_line(finding.state)}"
        )
        if finding.fix:
            typer.echo(f"    {'':<16} → {in_one_line(finding.fix)}")
    if not fine:
        raise typer.Exit(ExitStatus.FAILURE)


def _look_at_defaults(context: typer.Context) -> Iterator[Finding]:
    """Say what is wrong with the working folder's defaults, which would stop the other commands."""
    from mattecli.core.doctor import Finding

    try:
        read_defaults(context.find_root())  # type: ignore[arg-type]
    except (MatteError, typer.BadParameter) as error:
        yield Finding("defaults", str(error), False, "correct that line, or take it out")
