"""What a set is made of: foregrounds, backgrounds, and which split each belongs to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from mattecli.core.dataset.recipe import Recipe, Split
from mattecli.core.errors import MatteError
from mattecli.core.imaging.walking import by_stem, find_images, pair_by_stem, relative_stem

# Where the files lie. A reference such as "backgrounds:city/street.jpg" names a root and a path
# below it, so that a manifest holds no path of the machine that wrote it.
Roots = dict[str, Path]


@dataclass(frozen=True)
class Foreground:
    """One subject.

    Attributes
    ----------
    name : str
        Relative path without suffix.
    color : str
        Reference to the color file.
    alpha : str or None
        Reference to the matte; None where `color` has an alpha channel of its own.
    photo : bool
        Whether `color` still shows the old background, so that the color must be estimated.
    """

    name: str
    color: str
    alpha: str | None = None
    photo: bool = False


@dataclass(frozen=True)
class Material:
    """The foregrounds and the references of the backgrounds of one split, in order."""

    foregrounds: list[Foreground]
    backgrounds: list[str]


def resolve(reference: str, roots: Roots) -> Path:
    """Give the path that a reference stands for."""
    root, _, path = reference.partition(":")
    if root not in roots:
        raise MatteError(f"'{reference}' lies under '{root}': say where that is")
    # A root may be a single file, of which the reference then has no path.
    return roots[root] / path if path else roots[root]


def gather(recipe: Recipe, roots: Roots) -> dict[str, Material]:
    """Find the material of every split.

    Parameters
    ----------
    roots : dict
        ``raw`` for a recipe that names its folders; otherwise ``backgrounds`` and at least one of
        ``foregrounds`` (cutouts with an alpha channel, or colors to go with ``alphas``) and
        ``photos`` (which go with ``alphas``).

    Raises
    ------
    MatteError
        If something is missing, empty, or has no partner.
    """
    if recipe.names_folders:
        return _gather_raw(recipe, roots)
    foregrounds = _gather_foregrounds(roots)
    backgrounds = _references("backgrounds", roots)
    if not foregrounds:
        raise MatteError("found no foregrounds")
    if not backgrounds:
        raise MatteError(f"found no pictures in {roots['backgrounds']}")
    shares = {name: split.share for name, split in recipe.splits.items()}
    if sum(shares.values()) > 1 + 1e-9:
        raise MatteError(
            f"recipe {recipe.name}: the shares of {', '.join(shares)} must add up to at most 1: "
            f"got {sum(shares.values()):g}"
        )
    foreground_parts = _divide(foregrounds, shares, key=lambda item: item.name)
    background_parts = _divide(backgrounds, shares, key=str)
    for name in shares:
        if not foreground_parts[name] or not background_parts[name]:
            raise MatteError(
                f"split {name} is left without foregrounds or backgrounds: "
                f"{len(foregrounds)} and {len(backgrounds)} are too few for these shares"
            )
    return {name: Material(foreground_parts[name], background_parts[name]) for name in shares}


def _gather_foregrounds(roots: Roots) -> list[Foreground]:
    found: list[Foreground] = []
    if "photos" in roots:
        found += _pairs("photos", roots, photo=True)
        if "foregrounds" in roots:
            found += _cutouts("foregrounds", roots)
    elif "alphas" in roots:
        found += _pairs("foregrounds", roots, photo=False)
    else:
        found += _cutouts("foregrounds", roots)
    names: dict[str, Foreground] = {}
    for item in found:
        other = names.setdefault(item.name, item)
        if other is not item:
            raise MatteError(f"{other.color} and {item.color} have the same name: rename one")
    return sorted(found, key=lambda item: item.name)


def _cutouts(root: str, roots: Roots) -> list[Foreground]:
    return [
        Foreground(name, _reference(path, root, roots))
        for name, path in by_stem(roots[root]).items()
    ]


def _pairs(root: str, roots: Roots, photo: bool) -> list[Foreground]:
    pairing = pair_by_stem(roots[root], roots["alphas"])
    if not pairing.pairs:
        raise MatteError(
            f"no picture in {roots[root]} has a matte of its name in {roots['alphas']}"
        )
    if pairing.only_first:
        raise MatteError(
            f"{len(pairing.only_first)} pictures have no matte in {roots['alphas']}, "
            f"such as {pairing.only_first[0]}"
        )
    return [
        Foreground(
            relative_stem(color, roots[root]),
            _reference(color, root, roots),
            _reference(alpha, "alphas", roots),
            photo,
        )
        for color, alpha in pairing.pairs
    ]


def _references(root: str, roots: Roots) -> list[str]:
    return [_reference(path, root, roots) for path in find_images(roots[root])]


def _reference(path: Path, root: str, roots: Roots) -> str:
    below = "" if path == roots[root] else path.relative_to(roots[root]).as_posix()
    return f"{root}:{below}"


def _divide(items: list, shares: dict[str, float], key) -> dict[str, list]:
    """Deal items out to splits by a hash of their names, in order within each split.

    A new item changes the split of few others, and the seed of none.
    """
    ranked = sorted(items, key=lambda item: hashlib.sha256(key(item).encode()).digest())
    parts, start, reached = {}, 0, 0.0
    for name, share in shares.items():
        reached += share
        end = round(len(items) * reached)
        parts[name] = sorted(ranked[start:end], key=key)
        start = end
    return parts


def _gather_raw(recipe: Recipe, roots: Roots) -> dict[str, Material]:
    root = roots["raw"]
    missing = sorted(
        {
            path
            for split in recipe.splits.values()
            for path in (
                *split.foregrounds,
                *split.alphas,
                *split.backgrounds,
                split.foreground_names,
                split.background_names,
            )
            if path and not (root / path).exists()
        }
    )
    if missing:
        lines = [f"recipe {recipe.name} needs, under {root}:"]
        lines += [f"  {path}: {what}" for path, what in recipe.raw.items()]
        lines += ["not there yet:", *(f"  {path}" for path in missing)]
        raise MatteError("\n".join(lines))
    return {name: _gather_split(split, root) for name, split in recipe.splits.items()}


def _gather_split(split: Split, root: Path) -> Material:
    colors = _Index(root, split.foregrounds)
    alphas = _Index(root, split.alphas) if split.alphas else None
    backgrounds = _Index(root, split.backgrounds)
    names = (
        colors.names() if split.foreground_names is None else _names(root, split.foreground_names)
    )
    foregrounds = [
        Foreground(
            Path(name).with_suffix("").as_posix(),
            colors.find(name),
            alphas.find(name) if alphas else None,
            split.photos,
        )
        for name in names
    ]
    if split.background_names is None:
        return Material(foregrounds, [backgrounds.find(name) for name in backgrounds.names()])
    names = _names(root, split.background_names)
    # Lists name far more backgrounds than a smaller build uses.
    used = names[: len(foregrounds) * split.per_foreground]
    return Material(foregrounds, [backgrounds.find(name) for name in used])


def _names(root: Path, listing: str) -> list[str]:
    lines = (root / listing).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip()]


class _Index:
    """The pictures of several folders under a root by relative path, with or without suffix."""

    def __init__(self, root: Path, folders: tuple[str, ...]) -> None:
        self._where = ", ".join(folders)
        self._references: dict[str, str] = {}
        self._by_stem: dict[str, str] = {}
        for folder in folders:
            for path in find_images(root / folder):
                name = path.relative_to(root / folder).as_posix()
                reference = f"raw:{path.relative_to(root).as_posix()}"
                self._references.setdefault(name, reference)
                self._by_stem.setdefault(relative_stem(path, root / folder), reference)

    def names(self) -> list[str]:
        return sorted(self._references)

    def find(self, name: str) -> str:
        """Give the file of this name, or the one that differs only in its suffix."""
        stem = Path(name).with_suffix("").as_posix()
        found = self._references.get(name) or self._by_stem.get(stem)
        if found is None:
            raise MatteError(f"{name} is on the list but not in {self._where}")
        return found
