"""What a folder given to ``matte train`` holds: photo and matte pairs, or RGBA cutouts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mattecli.core.errors import MatteError
from mattecli.core.imaging.walking import find_images, pair_by_stem

#: Folder names that sets are published with, in the order in which they are looked for.
FOLDERS = {
    "image": ("image", "images", "Image", "merged", "original", "original_image", "input"),
    "alpha": ("alpha", "alphas", "Alpha", "GT", "gt", "mask", "masks", "matte", "mattes", "pha"),
    "fg": ("fg", "FG", "foreground"),
    "bg": ("bg", "BG", "background"),
    "trimap": ("trimap", "trimaps"),
}


@dataclass(frozen=True)
class Source:
    """One kind of training material.

    Attributes
    ----------
    kind : "pairs", "cutouts" or "backgrounds"
    files : list of (image, alpha) paths; alpha is None where the image file carries it, or has
        none. The image of cutouts is their foreground.
    weight : float
        How often samples start from here, relative to the other sources.
    """

    kind: str
    files: list[tuple[Path, Path | None]]
    weight: float = 1.0


def find_sources(specification: str | Path) -> list[Source]:
    """Read ``FOLDER`` or ``FOLDER=WEIGHT`` into sources.

    Every folder below (or at) FOLDER that has an image and an alpha subfolder is a set of pairs,
    and one that has a foreground and an alpha subfolder, as the raw parts of Composition-1k and
    Distinctions-646 do, a set of cutouts. A FOLDER without any is taken as RGBA cutouts. The weight
    is shared out by the number of files.

    Raises
    ------
    MatteError
        If the folder is missing or empty, or photos and mattes do not match.
    """
    text, _, weight = str(specification).partition("=")
    root = Path(text)
    try:
        share = float(weight) if weight else 1.0
    except ValueError:
        raise MatteError(f"{specification}: the weight after '=' must be a number") from None
    if not root.is_dir():
        raise MatteError(f"{root}: no such folder of training data")

    below = sorted(path for path in root.rglob("*") if path.is_dir())
    found: list[Source] = []
    for folders in map(_named_folders, (root, *below)):
        if {"image", "alpha"} <= folders.keys():
            found.append(Source("pairs", _read_pairs(folders["image"], folders["alpha"])))
        elif {"fg", "alpha"} <= folders.keys():
            found.append(Source("cutouts", _read_pairs(folders["fg"], folders["alpha"])))
    if not found:
        found = [Source("cutouts", [(path, None) for path in find_images(root)])]
    total = sum(len(source.files) for source in found)
    if not total:
        raise MatteError(
            f"{root}: no training data; expected image/ and alpha/ folders, or RGBA cutouts"
        )
    return [replace(s, weight=share * len(s.files) / total) for s in found if s.files]


def find_backgrounds(root: Path) -> Source:
    """All images under `root` as backgrounds.

    Raises
    ------
    MatteError
        If there are none.
    """
    files = [(path, None) for path in find_images(root)]
    if not files:
        raise MatteError(f"{root}: no background images")
    return Source("backgrounds", files)


def find_folders(root: Path) -> dict[str, Path]:
    """Find the folders of a set that lies in `root`; nothing if it lacks images or mattes."""
    found = _named_folders(root)
    return found if {"image", "alpha"} <= found.keys() else {}


def _named_folders(root: Path) -> dict[str, Path]:
    found = {}
    for kind, names in FOLDERS.items():
        path = next((root / name for name in names if (root / name).is_dir()), None)
        if path:
            found[kind] = path
    return found


def _read_pairs(image: Path, alpha: Path) -> list[tuple[Path, Path]]:
    pairing = pair_by_stem(image, alpha)
    if pairing.only_first or pairing.only_second:
        lonely = [*pairing.only_first, *pairing.only_second]
        names = ", ".join(str(path) for path in lonely[:3])
        raise MatteError(
            f"{len(lonely)} file(s) in {image} and {alpha} have no partner of the same name, "
            f"first: {names}"
        )
    return pairing.pairs
