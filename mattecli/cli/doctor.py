"""``matte doctor``: what to do where something does not work."""

from __future__ import annotations

import typer


def doctor() -> None:
    """Look whether everything is there, works, and how fast it is."""
    from mattecli.core.doctor import diagnose

    fine = True
    for finding in diagnose():
        fine &= finding.is_fine
        mark = typer.style(
            "ok" if finding.is_fine else "!!", fg="green" if finding.is_fine else "red"
        )
        typer.echo(f"{mark}  {finding.name:<16} {finding.state}")
        if finding.fix:
            typer.echo(f"    {'':<16} → {finding.fix}")
    if not fine:
        raise typer.Exit(1)
