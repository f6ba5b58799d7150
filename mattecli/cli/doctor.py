"""``matte doctor``: what to do where something does not work."""

from __future__ import annotations

import typer

from mattecli.cli.status import ExitStatus


def doctor() -> None:
    """Look whether everything is there, works, and how fast it is."""
    from mattecli.core.doctor import diagnose

    fine = True
    for finding in diagnose():
        fine &= finding.is_fine
        mark, color = ("!!", "red") if not finding.is_fine else ("ok", "green")
        if finding.is_fine and finding.fix:
            mark, color = "--", "yellow"
        typer.echo(f"{typer.style(mark, fg=color)}  {finding.name:<16} {finding.state}")
        if finding.fix:
            typer.echo(f"    {'':<16} → {finding.fix}")
    if not fine:
        raise typer.Exit(ExitStatus.FAILURE)
