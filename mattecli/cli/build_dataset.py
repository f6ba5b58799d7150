"""``matte build-dataset``: training and test sets from foregrounds and backgrounds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mattecli.cli.cluster import check_cluster, chosen_executor
from mattecli.cli.commands import yields_to_what_is_typed
from mattecli.cli.dataset_options import (
    Placement,
    check_options,
    check_task,
    choose_recipe,
    find_roots,
)
from mattecli.cli.dataset_work import build_set, check_set, draw_sheet, mine_cutouts, show_plan
from mattecli.cli.option_groups import with_options
from mattecli.cli.side_files import check_side_files
from mattecli.cli.streams import say
from mattecli.core.inference.run_options import ClusterOptions
from mattecli.core.objects.paths import located, located_results
from mattecli.core.objects.stores import check_writable

if TYPE_CHECKING:
    from mattecli.core.dataset.material import Material, Roots

_MATERIAL, _SAMPLES, _CUTOUTS = "Material", "Samples", "Cutouts from photos"
_CHECK, _RUN = "Checks", "Run"


@yields_to_what_is_typed(
    check_options,
    {"out": Path("set"), "foregrounds": Path("fg"), "backgrounds": Path("bg")},
    {"out": Path("set"), "photos": Path("fg"), "alphas": Path("a"), "backgrounds": Path("bg")},
    {"out": Path("set"), "recipe": "composition-1k", "raw": Path("raw")},
    {"out": Path("set")},
    {},
)
@with_options(cluster=ClusterOptions)
def build_dataset(
    out: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of the set: image/, alpha/, fg/ and bg/ (in a folder for each split, if "
            "there are several), manifest.jsonl. A run that was interrupted is taken up again.",
            show_default=False,
        ),
    ] = None,
    foregrounds: Annotated[
        Path | None,
        typer.Option(
            help="Cutouts with an alpha channel, or clean colors for --alphas.",
            rich_help_panel=_MATERIAL,
        ),
    ] = None,
    alphas: Annotated[
        Path | None,
        typer.Option(
            help="Mattes of --foregrounds or --photos, matched by name.", rich_help_panel=_MATERIAL
        ),
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            help="Photos for --alphas that still show their background: the color of the "
            "subject is estimated first.",
            rich_help_panel=_MATERIAL,
        ),
    ] = None,
    backgrounds: Annotated[
        Path | None, typer.Option(help="Pictures to compose on.", rich_help_panel=_MATERIAL)
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            help="composition-1k, distinctions-646, custom, or a .toml file.",
            rich_help_panel=_MATERIAL,
        ),
    ] = "custom",
    raw: Annotated[
        Path | None,
        typer.Option(
            help="Where the folders lie that the recipe names (published sets).",
            rich_help_panel=_MATERIAL,
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="SPLIT", help="Build only this split of the recipe.", rich_help_panel=_SAMPLES
        ),
    ] = None,
    per_foreground: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Composites of each foreground.",
            show_default="the recipe's",
            rich_help_panel=_SAMPLES,
        ),
    ] = None,
    splits: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=SHARE,...",
            help="Divide by foreground (and background), such as train=0.8,val=0.1,test=0.1.",
            show_default="the recipe's",
            rich_help_panel=_SAMPLES,
        ),
    ] = None,
    placement: Annotated[
        Placement | None,
        typer.Option(
            help="as-is: the foreground's own frame; scene: other sizes, places and lights.",
            show_default="the recipe's",
            rich_help_panel=_SAMPLES,
        ),
    ] = None,
    outputs: Annotated[
        str | None,
        typer.Option(
            metavar="KIND,...",
            help="Folders to write, of image, alpha, fg, bg, trimap.",
            show_default="the recipe's",
            rich_help_panel=_SAMPLES,
        ),
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(
            help="Bits per channel: 8 or 16.", show_default="the recipe's", rich_help_panel=_SAMPLES
        ),
    ] = None,
    linear_light: Annotated[
        bool,
        typer.Option(
            "--linear-light",
            help="Compose amounts of light, not sRGB values.",
            rich_help_panel=_SAMPLES,
        ),
    ] = False,
    seed: Annotated[
        int, typer.Option(min=0, help="Same seed, same files.", rich_help_panel=_SAMPLES)
    ] = 0,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes.", show_default="one a core", rich_help_panel=_RUN),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Say what would be made and what it needs.", rich_help_panel=_CHECK
        ),
    ] = False,
    from_photos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Fill OUT with cutouts (RGBA) instead: those that the network is sure of.",
            rich_help_panel=_CUTOUTS,
        ),
    ] = None,
    min_agreement: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="With --from-photos: how alike mirrored and smaller views must be.",
            rich_help_panel=_CUTOUTS,
        ),
    ] = 0.9,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="NAME|FILE",
            help="With --from-photos: the network.",
            show_default="the bundled one",
            rich_help_panel=_CUTOUTS,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="Device that composes, or with --from-photos predicts: auto, cpu, cuda[:N], mps.",
            show_default="cpu, or auto with --from-photos",
            rich_help_panel=_RUN,
        ),
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Check a set that is there; exit 1 if it is unsound.",
            rich_help_panel=_CHECK,
        ),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw a contact sheet of the set built or checked.",
            rich_help_panel=_CHECK,
        ),
    ] = None,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="Print errors only, no progress, summary or warnings.",
            rich_help_panel=_RUN,
        ),
    ] = False,
    *,
    cluster: ClusterOptions,
) -> None:
    """Build a training or test set: foregrounds on backgrounds, with true mattes.

    The published recipes reproduce Composition-1k and Distinctions-646 from their raw parts; your
    own cutouts and backgrounds become varied scenes. Under torchrun the ranks share the work.
    """
    from mattecli.core.device import usable_cores

    workers = workers or usable_cores()
    check_task(out, check, from_photos, foregrounds, alphas, photos, backgrounds, raw)
    builds = check is None and from_photos is None
    check_cluster(cluster, unfit="" if builds else "makes samples, and no other work")
    check_side_files({"--sheet": sheet}, [out])
    if check is not None:
        check_set(located(check), sheet, workers, quiet)
        return
    if from_photos is not None and sheet is not None:
        raise typer.BadParameter("--sheet draws sets, and no cutouts of --from-photos")
    assert out is not None  # or check_task would have refused
    out = located_results(out)
    check_writable(out)
    if from_photos is not None:
        mine_cutouts(located(from_photos), out, weights, device or "auto", min_agreement, quiet)
        return

    from mattecli.core.dataset.builder import Builder
    from mattecli.core.dataset.material import gather
    from mattecli.core.dataset.plan import plan
    from mattecli.core.ranks import rank_and_world

    chosen = choose_recipe(
        recipe, only, per_foreground, splits, placement, outputs, bits, linear_light
    )
    if sheet is not None and not {"image", "alpha"} <= {*chosen.outputs}:
        raise typer.BadParameter("--sheet shows images and mattes: add both to --outputs")
    roots = find_roots(chosen, recipe, raw, foregrounds, alphas, photos, backgrounds)
    material = gather(chosen, roots)
    _say_how_masks_are_read(material, roots, quiet=quiet)
    samples = plan(chosen, material, seed)
    builder = Builder(chosen, roots, seed, out, _device(device or "cpu"))
    if dry_run:
        show_plan(builder, material, samples)
        return
    rank, ranks = rank_and_world()
    executor = chosen_executor(cluster, uses_gpu=builder.device != "cpu")
    build_set(builder, samples, workers, rank, ranks, quiet, executor)
    if sheet is not None and rank == 0:
        draw_sheet(out, sheet)


def _say_how_masks_are_read(material: dict[str, Material], roots: Roots, *, quiet: bool) -> None:
    from mattecli.core.dataset.material import resolve
    from mattecli.core.imaging.mask_notes import look_at_masks

    foregrounds = [item for part in material.values() for item in part.foregrounds]
    masks = {resolve(item.alpha, roots) for item in foregrounds if item.alpha is not None}
    for line in look_at_masks(sorted(masks)):
        if not quiet:
            say(f"note: {line}")


def _device(name: str) -> str:
    if name == "cpu":  # without torch, whose import takes seconds in every worker
        return name
    from mattecli.core.device import choose_device

    return str(choose_device(name))
