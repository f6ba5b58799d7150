"""What the options of ``matte build-dataset`` mean together."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mattecli.cli.streams import say
from mattecli.core.objects.paths import located

if TYPE_CHECKING:
    from mattecli.core.dataset.material import Roots
    from mattecli.core.dataset.recipe import Recipe


class Placement(str, Enum):
    """Where subjects are put."""

    as_is = "as-is"
    scene = "scene"


def check_task(
    out: Path | None,
    check: Path | None,
    from_photos: Path | None,
    foregrounds: Path | None,
    alphas: Path | None,
    photos: Path | None,
    backgrounds: Path | None,
    raw: Path | None,
) -> None:
    """Refuse options that name more than one task, or none.

    Raises
    ------
    typer.BadParameter
    """
    if check is not None:
        if out is not None:
            raise typer.BadParameter("--check looks at a set that is there: leave OUT out")
        return
    if out is None:
        raise typer.BadParameter("name the folder OUT, or a set to --check")
    material = (foregrounds, alphas, photos, backgrounds, raw)
    if from_photos is not None and any(path is not None for path in material):
        raise typer.BadParameter("--from-photos fills OUT with cutouts from DIR alone")


def check_options(
    out: Path | None,
    check: Path | None,
    from_photos: Path | None,
    foregrounds: Path | None,
    alphas: Path | None,
    photos: Path | None,
    backgrounds: Path | None,
    raw: Path | None,
    recipe: str,
    only: str | None,
    per_foreground: int | None,
    splits: str | None,
    placement: Placement | None,
    outputs: str | None,
    bits: int | None,
    linear_light: bool,
) -> None:
    """Refuse what contradicts itself, as the command will, without doing anything.

    Raises
    ------
    typer.BadParameter
    """
    check_task(out, check, from_photos, foregrounds, alphas, photos, backgrounds, raw)
    if check is not None or from_photos is not None:
        return
    chosen = choose_recipe(
        recipe, only, per_foreground, splits, placement, outputs, bits, linear_light
    )
    find_roots(chosen, recipe, raw, foregrounds, alphas, photos, backgrounds)


def choose_recipe(
    name: str,
    only: str | None,
    per_foreground: int | None,
    splits: str | None,
    placement: Placement | None,
    outputs: str | None,
    bits: int | None,
    linear_light: bool,
) -> Recipe:
    """Load the recipe and lay the command line's wishes over it."""
    from dataclasses import replace

    from mattecli.core.dataset.recipe import check_recipe, load_recipe, recipe_names

    recipe = load_recipe(name)
    wanted: dict[str, Any] = {
        "placement": placement and Placement(placement).value,
        "bits": bits,
        "light": "linear" if linear_light else None,
    }
    changes = {key: value for key, value in wanted.items() if value is not None}
    if recipe.published and (changes or per_foreground or splits):
        raise typer.BadParameter(f"recipe {recipe.name} is published, and built as it is")
    if bits == 16 and name in recipe_names() and recipe.augment.jpeg:
        say(f"recipe {name} at 16 bits: without the traces of JPEG, which has 8")
        changes["augment"] = replace(recipe.augment, jpeg=None)
    if outputs is not None:
        changes["outputs"] = tuple(part.strip() for part in outputs.split(","))
    if splits is not None:
        if recipe.names_folders:
            raise typer.BadParameter(f"recipe {recipe.name} has its own splits")
        first = next(iter(recipe.splits.values()))
        changes["splits"] = {
            split: replace(first, share=share) for split, share in _parse_splits(splits).items()
        }
    recipe = replace(recipe, **changes)
    if per_foreground is not None:
        counted = {
            split: replace(part, per_foreground=per_foreground)
            for split, part in recipe.splits.items()
        }
        recipe = replace(recipe, splits=counted)
    if only is not None:
        if only not in recipe.splits:
            raise typer.BadParameter(f"--only is one of {', '.join(recipe.splits)}")
        recipe = replace(recipe, splits={only: recipe.splits[only]})
    return check_recipe(recipe)


def _parse_splits(text: str) -> dict[str, float]:
    try:
        pairs = [part.split("=") for part in text.split(",")]
        shares = {name.strip(): float(share) for name, share in pairs}
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not NAME=SHARE,...") from None
    if not all(shares) or min(shares.values()) <= 0 or sum(shares.values()) > 1 + 1e-9:
        raise typer.BadParameter("shares must lie above 0 and add up to at most 1")
    return shares


def find_roots(
    recipe: Recipe,
    recipe_name: str,
    raw: Path | None,
    foregrounds: Path | None,
    alphas: Path | None,
    photos: Path | None,
    backgrounds: Path | None,
) -> Roots:
    """Name the folders that references start from, and refuse what does not go together."""
    named = {
        "foregrounds": foregrounds,
        "alphas": alphas,
        "photos": photos,
        "backgrounds": backgrounds,
    }
    given = {name: located(path) for name, path in named.items() if path is not None}
    if recipe.names_folders:
        if given:
            raise typer.BadParameter(
                f"recipe {recipe.name} names its folders: say with --raw where they lie"
            )
        if raw is None and recipe_name.endswith(".toml"):
            raw = Path(recipe_name).parent
        if raw is None:
            raise typer.BadParameter(f"recipe {recipe.name} needs --raw")
        return {"raw": located(raw)}
    if raw is not None:
        raise typer.BadParameter(f"recipe {recipe.name} names no folders, so --raw has no meaning")
    if "backgrounds" not in given or not given.keys() & {"foregrounds", "photos"}:
        raise typer.BadParameter("name --backgrounds and --foregrounds or --photos")
    if "photos" in given and "alphas" not in given:
        raise typer.BadParameter("--photos need --alphas")
    return given
