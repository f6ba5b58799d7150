"""``matte weights``: what there is to predict with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mattecli.cli.commands import Command
from mattecli.cli.status import ExitStatus
from mattecli.cli.streams import say
from mattecli.core.plain_text import cell

app = typer.Typer(help="List the weights that have a name, add or download some, check them.")


@app.callback(invoke_without_command=True)
def list_all(context: typer.Context) -> None:
    """List the weights that have a name: any of them goes with --weights NAME."""
    if context.invoked_subcommand:
        return
    from rich.console import Console
    from rich.table import Table

    from mattecli.core.runtime.named_weights import cache_folder, list_weights

    table = Table("name", "MB", "licence", "figures", "from", box=None, pad_edge=False)
    for weights in list_weights().values():
        size = f"{weights.path.stat().st_size / 1e6:.1f}" if weights.path.is_file() else "gone"
        record = weights.record
        origin = "bundled" if weights.bundled else "added"
        table.add_row(*map(cell, (weights.name, size, record.licence, record.figures, origin)))
    Console().print(table)
    say(
        f"added ones are in {cache_folder()}; 'matte weights list' shows what can be had", err=False
    )


@app.command("list", cls=Command)
def list_catalogue() -> None:
    """List the public networks that 'matte weights get' knows."""
    from rich.console import Console
    from rich.table import Table

    from mattecli.core.runtime.catalogue import catalogue
    from mattecli.core.runtime.named_weights import list_weights
    from mattecli.core.runtime.preprocessing import PRESETS

    there = list_weights()
    table = Table(
        *("name", "for", "MB", "px", "licence", "commercial", "checksum", ""),
        box=None,
        pad_edge=False,
    )
    for name, entry in catalogue().items():
        size = f"{entry.bytes / 1e6:.1f}" if entry.bytes else "?"
        side = entry.settings.get("size") or (PRESETS[entry.preset].size if entry.preset else "-")
        known = "SHA-256" if entry.sha256 else "MD5" if entry.md5 else "-"
        way = "get" if entry.url else "by hand" if entry.preset else "no"
        state = "there" if name in there else way
        row = (name, entry.about, size, side, entry.licence, entry.commercial, known, state)
        table.add_row(*(cell(str(value)) for value in row))
    Console().print(table)
    say("'matte weights get NAME' shows the rest, and downloads; none ships with matte", err=False)


@app.command(cls=Command)
def get(
    name: Annotated[str, typer.Argument(help="A name that 'matte weights list' shows.")],
    file: Annotated[
        Path | None,
        typer.Option(help="Take this file, fetched by hand, instead of downloading."),
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Accept the licence, and do not ask.")
    ] = False,
) -> None:
    """Show a public network's licence, download it, check it, and give it its name.

    Proxies are those of the environment; MATTE_WEIGHTS_MIRROR=https://… names a folder with the
    same files. A download that broke off is resumed.
    """
    from mattecli.core.errors import MatteError
    from mattecli.core.runtime.catalogue import fetch, find_entry

    entry = find_entry(name)
    size = f"{entry.bytes / 1e6:.1f} MB" if entry.bytes else "size not known"
    say(f"{name}: {entry.about} ({size}; checksum: {entry.checksum})")
    say(f"licence: {entry.licence}; commercial use: {entry.commercial}; read it at {entry.page}")
    if entry.note:
        say(f"note: {entry.note}")
    if not accept:
        if not sys.stdin.isatty():
            raise MatteError("nobody can be asked here: --accept says that you accept the licence")
        typer.confirm("Do you accept it?", abort=True, err=True)
    added = fetch(name, file)
    say(f"added: --weights {added.name} ({added.path}, SHA-256 {added.record.sha256})", err=False)


@app.command(cls=Command)
def remove(
    name: Annotated[str, typer.Argument(help="Weights that were added or downloaded.")],
) -> None:
    """Take weights out of the cache."""
    from mattecli.core.runtime.named_weights import remove_weights

    for path in remove_weights(name):
        say(f"removed: {path}", err=False)


@app.command(cls=Command)
def verify() -> None:
    """Compare every file with its checksum."""
    from mattecli.core.runtime.named_weights import is_sound, list_weights

    damaged = False
    for weights in list_weights().values():
        sound = is_sound(weights)
        damaged |= not sound
        state = "as it should be" if sound else "damaged or gone"
        say(f"{weights.name}: {state} ({weights.path})", err=not sound)
    if damaged:
        raise typer.Exit(ExitStatus.FAILURE)


@app.command(cls=Command)
def add(
    source: Annotated[
        str,
        typer.Argument(metavar="FILE|URL", help="A .safetensors file of ours, or any .onnx one."),
    ],
    sha256: Annotated[
        str | None, typer.Option(help="Checksum that the file must have; an address needs one.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What to call it.", show_default="the file's name")
    ] = None,
    licence: Annotated[str, typer.Option(help="A note for the list.")] = "",
    figures: Annotated[str, typer.Option(help="A note for the list.")] = "",
) -> None:
    """Copy or download weights into the cache, so that --weights NAME finds them."""
    from mattecli.core.runtime.named_weights import add_weights

    added = add_weights(source, sha256=sha256, name=name, licence=licence, figures=figures)
    say(f"added: --weights {added.name} ({added.path}, SHA-256 {added.record.sha256})", err=False)


@app.command(cls=Command)
def average(
    out: Annotated[Path, typer.Argument(help="The .safetensors file to write.")],
    weights: Annotated[
        list[Path], typer.Argument(help="Two files or more, of runs with a common start.")
    ],
) -> None:
    """Write the mean of several weights, which is often better than most of them."""
    from mattecli.core.errors import MatteError
    from mattecli.core.network.weights import average_networks, save_network

    if len(weights) < 2:
        raise typer.BadParameter("a mean needs two files or more")
    if out.exists():
        raise MatteError(
            f"{out} is there already: name the file to write first, before those to average, or "
            "delete it"
        )
    network, provenance = average_networks(weights)
    save_network(network, out, provenance=provenance)
    say(f"weights: {out}", err=False)
