"""What a folder given to ``matte train`` holds: photo and matte pairs, or RGBA cutouts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mattecli.core.errors import MatteError
from mattecli.core.imaging.walking import find_images, pair_by_stem

#: Folder names under which published sets and our own builder keep photos and mattes.
IMAGE_FOLDERS = ("image", "images", "merged", "original", "photo")
ALPHA_FOLDERS = ("alpha", "alphas", "matte", "mattes", "mask", "masks", "gt")


@dataclass(frozen=True)
class Source:
    """One kind of training material.

    Attributes
    ----------
    kind : "pairs", "cutouts" or "backgrounds"
    files : list of (image, alpha) paths; alpha is None where the image file carries it, or has none
    weight : float
        How often samples start from here, relative to the other sources.
    """

    kind: str
    files: list[tuple[Path, Path | None]]
    weight: float = 1.0


def find_sources(specification: str | Path) -> list[Source]:
    """Read ``FOLDER`` or ``FOLDER=WEIGHT`` into sources.

    Every folder below (or at) FOLDER that has an image and an alpha subfolder is a set of pairs;
    a FOLDER without any is taken as RGBA cutouts. The weight is shared out by the number of files.

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

    found = [_read_pairs(image, alpha) for image, alpha in _pair_folders(root)]
    kind = "pairs" if found else "cutouts"
    if not found:
        found = [[(path, None) for path in find_images(root)]]
    total = sum(len(files) for files in found)
    if not total:
        raise MatteError(
            f"{root}: no training data; expected image/ and alpha/ folders, or RGBA cutouts"
        )
    return [Source(kind, files, share * len(files) / total) for files in found if files]


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


def _pair_folders(root: Path) -> list[tuple[Path, Path]]:
    """Every (image folder, alpha folder) that lie side by side at or below `root`."""
    pairs = []
    for folder in [root, *sorted(p for p in root.rglob("*") if p.is_dir())]:
        image = next((folder / n for n in IMAGE_FOLDERS if (folder / n).is_dir()), None)
        alpha = next((folder / n for n in ALPHA_FOLDERS if (folder / n).is_dir()), None)
        if image and alpha:
            pairs.append((image, alpha))
    return pairs


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
