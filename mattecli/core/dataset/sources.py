"""What a folder given to ``matte train`` holds: photo and matte pairs, or RGBA cutouts."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mattecli.core.errors import MatteError
from mattecli.core.imaging.reading import has_alpha, image_size, read_picture
from mattecli.core.imaging.walking import by_stem, find_images

#: Pictures of a source whose headers are looked at beforehand, spread evenly: what does not fit
#: together comes in crowds, and all headers of a large set would take minutes.
_LOOKS = 1000
_NUMBER = re.compile(r"_\d+$")

#: Folder names that sets are published with, in the order in which they are looked for.
FOLDERS = {
    "image": ("image", "images", "Image", "merged", "original", "original_image", "input"),
    "alpha": ("alpha", "alphas", "Alpha", "GT", "gt", "mask", "masks", "matte", "mattes", "pha"),
    "fg": ("fg", "FG", "foreground"),
    "bg": ("bg", "BG", "background"),
    "trimap": ("trimap", "trimaps"),
    "known": ("known",),
}


@dataclass(frozen=True)
class Source:
    """One kind of training material.

    Attributes
    ----------
    kind : "pairs", "cutouts", "backgrounds" or "photos"
        The last are photos whose mattes nobody knows.
    files : sequence of (image, alpha) paths; alpha is None where the image file carries it, or has
        none. The image of cutouts is their foreground.
    weight : float
        How often samples start from here, relative to the other sources.
    known : dict of Path
        By image: a mask that is black where the matte is not to be learnt from.
    """

    kind: str
    files: Sequence[tuple[Path, Path | None]]
    weight: float = 1.0
    known: dict[Path, Path] = field(default_factory=dict)


def find_sources(specification: str | Path) -> list[Source]:
    """Read ``FOLDER`` or ``FOLDER=WEIGHT`` into sources.

    Every folder below (or at) FOLDER that has an image and an alpha subfolder is a set of pairs
    (with a ``known`` subfolder, only where its masks of the same names are white are mattes right),
    and one that has a foreground and an alpha subfolder, as the raw parts of Composition-1k and
    Distinctions-646 do, a set of cutouts. A FOLDER without any is taken as RGBA cutouts. The weight
    is shared out by the number of files.

    Raises
    ------
    MatteError
        If the folder is missing or empty, or photos and mattes do not match in name or size.
    """
    root, share = split_weight(str(specification))
    if not root.is_dir():
        raise MatteError(f"{root}: no such folder of training data")

    below = sorted(path for path in root.rglob("*") if path.is_dir())
    found: list[Source] = []
    for folders in map(_named_folders, (root, *below)):
        if {"image", "alpha"} <= folders.keys():
            pairs = _read_pairs(folders["image"], folders["alpha"])
            found.append(Source("pairs", pairs, known=_read_known(folders, pairs)))
        elif {"fg", "alpha"} <= folders.keys():
            found.append(Source("cutouts", _read_pairs(folders["fg"], folders["alpha"])))
    if not found:
        found = [Source("cutouts", [(path, None) for path in find_images(root)])]
    total = sum(len(source.files) for source in found)
    if not total:
        raise MatteError(
            f"{root}: no training data; expected image/ and alpha/ folders, or RGBA cutouts"
        )
    found = [replace(s, weight=share * len(s.files) / total) for s in found if s.files]
    _check_headers(root, found)
    return found


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


def find_unlabeled(specification: str) -> Source:
    """Read ``FOLDER`` or ``FOLDER=WEIGHT`` into a source of photos that have no mattes.

    Raises
    ------
    MatteError
        If the folder is missing or holds no photos.
    """
    root, share = split_weight(specification)
    if not root.is_dir():
        raise MatteError(f"{root}: no such folder of photos without mattes")
    photos = find_images(root)
    if not photos:
        raise MatteError(f"{root}: no photos")
    return Source("photos", [(path, None) for path in photos], share)


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


def split_weight(specification: str) -> tuple[Path, float]:
    """Read ``PATH`` or ``PATH=WEIGHT``.

    Raises
    ------
    MatteError
        If the weight is no number above 0.
    """
    if Path(specification).exists():
        return Path(specification), 1.0
    root, _, weight = specification.rpartition("=")
    if not root:
        return Path(specification), 1.0
    try:
        share = float(weight)
    except ValueError:
        raise MatteError(f"{specification}: the weight after '=' must be a number") from None
    if not 0 < share < float("inf"):
        raise MatteError(f"{specification}: the weight after '=' must be above 0")
    return Path(root), share


def _read_pairs(image: Path, alpha: Path) -> list[tuple[Path, Path]]:
    """Pair by name; composites that a published script numbered (x_0, x_1, ...) share matte x."""
    images, mattes = by_stem(image), by_stem(alpha)
    mine = {}
    for stem in images:
        whole = _NUMBER.sub("", stem)
        mine[stem] = stem if stem in mattes or whole in images else whole
    unpaired = [images[stem] for stem, matte in mine.items() if matte not in mattes]
    unpaired += [mattes[stem] for stem in mattes.keys() - set(mine.values())]
    if unpaired:
        raise MatteError(
            f"{len(unpaired)} file(s) in {image} and {alpha} have no partner of the same name, "
            f"first: {_first(sorted(unpaired))}"
        )
    return [(path, mattes[mine[stem]]) for stem, path in images.items()]


def _read_known(folders: dict[str, Path], pairs: list[tuple[Path, Path]]) -> dict[Path, Path]:
    """Find the masks of what is known by the names of the mattes; not every matte needs one."""
    if "known" not in folders:
        return {}
    masks = by_stem(folders["known"])
    stems = {path: stem for stem, path in by_stem(folders["alpha"]).items()}
    return {image: masks[stems[alpha]] for image, alpha in pairs if stems[alpha] in masks}


def _check_headers(root: Path, sources: list[Source]) -> None:
    """Refuse mattes of another size than their pictures, and cutouts that carry no alpha.

    Files that cannot be read are left to `mattecli.core.dataset.probing`.
    """
    files = [pair for source in sources for pair in source.files]
    wrong = []
    for image, alpha in files[:: -(-len(files) // _LOOKS)]:
        with contextlib.suppress(MatteError):
            if trouble := header_trouble(image, alpha, cutout=alpha is None):
                wrong.append(trouble)
    if wrong:
        raise MatteError(
            f"{root}: {len(wrong)} file(s) cannot be trained on: photos need mattes of their size "
            f"in image/ and alpha/, cutouts an alpha channel; first: {_first(wrong)}"
        )


def header_trouble(image: Path, alpha: Path | None = None, *, cutout: bool = False) -> str | None:
    """Say what does not fit together by the headers alone, None if all does.

    Raises
    ------
    MatteError
        If a file cannot be read.
    """
    if alpha is None:
        if cutout and not _has_alpha(image):
            return f"{image} (no alpha channel)"
        if not cutout:
            _size(image)
    elif (size := _size(image)) != (other := _size(alpha)):
        return f"{image} ({size[0]}x{size[1]}, its matte {other[0]}x{other[1]})"
    return None


def _first(names: list) -> str:
    return ", ".join(str(name) for name in names[:3])


def _size(path: Path) -> tuple[int, int]:
    # Kinds whose header Pillow cannot read are decoded, and what nobody can read is refused.
    with contextlib.suppress(MatteError):
        return image_size(path)
    height, width = read_picture(path).color.shape[:2]
    return width, height


def _has_alpha(path: Path) -> bool:
    with contextlib.suppress(MatteError):
        return has_alpha(path)
    return read_picture(path).alpha is not None
