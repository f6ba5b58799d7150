"""What ``matte build-dataset`` does once its options are understood."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mattecli.cli.status import ExitStatus
from mattecli.cli.streams import say
from mattecli.core.plain_text import cell

if TYPE_CHECKING:
    from mattecli.core.dataset.builder import Builder
    from mattecli.core.dataset.material import Material
    from mattecli.core.dataset.plan import Sample
    from mattecli.core.executing.tasks import Executor


def build_set(
    builder: Builder,
    samples: list[Sample],
    workers: int,
    rank: int,
    ranks: int,
    quiet: bool,
    executor: Executor,
) -> None:
    """Build, say what was done, and exit 1 if a sample failed."""
    from mattecli.core.dataset import manifest

    for name, split in builder.recipe.splits.items():
        count = len({sample.foregrounds[0] for sample in samples if sample.split == name})
        if split.foreground_count not in (None, count) and rank == 0 and not quiet:
            say(
                f"note: split {name} has {count} foregrounds, "
                f"the published one {split.foreground_count}"
            )
    outcome = builder.build(
        samples, workers, rank, ranks, quiet=quiet or rank > 0, executor=executor
    )
    for line in outcome.failures:
        say(f"failed: {line}", color="red")
    mine = f" by rank {rank} of {ranks}" if ranks > 1 else ""
    if not quiet:
        failed = f"{len(outcome.failures)} failed"
        typer.echo(f"{outcome.made} made{mine}, {outcome.kept} already there, {failed}")
    if outcome.failures:
        if not (builder.out / manifest.NAME).exists():
            typer.echo("the manifest is written by a run without failures or ranks", err=True)
        raise typer.Exit(ExitStatus.FAILURE)


def show_plan(builder: Builder, material: dict[str, Material], samples: list[Sample]) -> None:
    """Print counts, and the disk and time that a few samples tell of."""
    from rich.console import Console
    from rich.table import Table

    from mattecli.core.dataset.worker import free_bytes

    recipe = builder.recipe
    table = Table(title=f"{cell(recipe.name)}: {len(samples)} composites")
    for column in ("split", "foregrounds", "published", "backgrounds", "each", "composites"):
        table.add_column(column, justify="left" if column == "split" else "right")
    for name, split in recipe.splits.items():
        count = len(material[name].foregrounds)
        table.add_row(
            cell(name),
            str(count),
            str(split.foreground_count or "–"),
            str(len(material[name].backgrounds)),
            str(split.per_foreground),
            str(count * split.per_foreground),
        )
    console = Console()
    console.print(table)
    size, seconds = builder.estimate(samples)
    free = free_bytes(builder.out)
    room = "" if free is None else f" of disk ({free / 1e9:.1f} GB are free)"
    console.print(f"about {size / 1e9:.2f} GB{room}, {seconds / 60:.1f} minutes on one core")


def mine_cutouts(
    photos: Path, out: Path, weights: Path | None, device: str, min_agreement: float, quiet: bool
) -> None:
    """Mine cutouts, say how many, and exit 1 if a photo could not be read."""
    from mattecli.core.dataset.mining import Limits, mine_foregrounds, views
    from mattecli.core.inference.predictor import Predictor

    looks = views(Predictor.load(weights, device, two_pass=False))
    mined = mine_foregrounds(photos, out, looks, Limits(min_agreement=min_agreement), quiet)
    for line in mined.failures:
        say(f"failed: {line}", color="red")
    if not quiet:
        typer.echo(
            f"{mined.kept} cutouts kept, {mined.rejected} rejected, {mined.seen_before} seen "
            f"before, {len(mined.failures)} failed"
        )
    if mined.failures:
        raise typer.Exit(ExitStatus.FAILURE)


def check_set(root: Path, sheet: Path | None, workers: int, quiet: bool) -> None:
    """Print what is wrong with a set, and exit 1 if that makes it unfit."""
    from rich.console import Console
    from rich.table import Table

    from mattecli.core.dataset.checking import check_dataset

    report = check_dataset(root, workers, quiet)
    counts = ", ".join(f"{count} {cell(split)}" for split, count in sorted(report.splits.items()))
    console = Console()
    if not quiet:
        console.print(f"{report.samples} samples ({counts})")
    findings = [finding for finding in report.findings if finding.is_error or not quiet]
    if findings:
        table = Table("finding", "kind", "samples", "such as")
        for finding in findings:
            kind = "[red]error" if finding.is_error else "[yellow]warning"
            table.add_row(
                finding.what, kind, str(len(finding.names)), cell(", ".join(finding.names[:2]))
            )
        console.print(table)
    if sheet is not None:
        draw_sheet(root, sheet)
    if not report.is_sound:
        raise typer.Exit(ExitStatus.FAILURE)
    if not quiet:
        console.print("no errors")


def draw_sheet(root: Path, sheet: Path) -> None:
    """Draw a contact sheet of a set, and say where it is."""
    from mattecli.core.dataset.sheet import dataset_sheet
    from mattecli.core.imaging.writing import write_image
    from mattecli.core.storage import followed

    write_image(followed(sheet), dataset_sheet(root), is_result=True)
    say(f"contact sheet: {sheet}", err=False)
