"""The one folder walker, and the pairing of two folders by name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mattecli.core.errors import MatteError, not_found
from mattecli.core.imaging.kinds import START, SUFFIXES, is_raw_start, kind_of
from mattecli.core.imaging.object_walking import find_pictures, without_raws_of_pictures
from mattecli.core.objects.paths import ObjectPath, located

IMAGE_SUFFIXES = SUFFIXES


@dataclass
class Pairing:
    """What `pair_by_stem` found: pairs, and the files that have no partner on the other side."""

    pairs: list[tuple[Path, Path]]
    only_first: list[Path]
    only_second: list[Path]


def find_images(root: Path) -> list[Path]:
    """List the pictures under `root`, recursively and sorted; `root` may be one file.

    Raises
    ------
    MatteError
        If `root` does not exist.
    """
    return scan(root)[0]


def require_images(root: Path, results: Path | None = None) -> list[Path]:
    """List the pictures under `root`, as `find_images`, but at least one.

    Those in `results`, a folder inside `root`, were made of the others and are left out.

    Raises
    ------
    MatteError
        If there is none, or `root` does not exist.
    """
    images = without_results(find_images(root), root, results)
    if not images:
        raise MatteError(f"{root} holds no pictures")
    return images


def stands_for_folder(place: str) -> bool:
    """Tell whether a folder is there, or whether an address is not that of a picture."""
    path = located(place)
    if isinstance(path, ObjectPath):
        return place.endswith("/") or path.suffix.lower() not in IMAGE_SUFFIXES
    return path.is_dir()


def without_results(images: list[Path], root: Path, results: Path | None) -> list[Path]:
    """Leave out what lies in the folder `results` inside `root`."""
    if results is None or not root.is_dir() or within(root, results):
        return images
    return [image for image in images if not within(image, results)]


def check_apart(outputs: Iterable[Path], root: Path, results: Path) -> None:
    """Raise `MatteError` if the next run over `root` would take a result for an input.

    A folder `results` inside `root` is left out of it, but `root` itself cannot be.
    """
    if not root.is_dir() or not within(root, results):
        return
    for output in outputs:
        if within(output, root):
            raise MatteError(
                f"{output} would lie among the pictures of {root}, and the next run would take it "
                f"for one of them: choose another folder, such as {root / 'results'}"
            )


def scan(root: Path) -> tuple[list[Path], int]:
    """List the pictures under `root`, and count the files passed over; see `walk`."""
    images, passed_over = walk(root)
    return images, passed_over.total()


def walk(
    root: Path, also: Callable[[Path], bool] = lambda path: False
) -> tuple[list[Path], Counter[str]]:
    """List the pictures under `root`, and count the files passed over by their kind.

    Passed over are files that are no pictures by their suffix, or by their content where they have
    none, special files such as pipes, and what is hidden; a hidden folder counts as one. Links to
    folders are followed, but no folder is entered twice, so loops end.

    Parameters
    ----------
    also : callable
        Tells of files that are no pictures whether they are listed, too; not asked about objects.

    Returns
    -------
    images : list of Path, sorted by their parts
    passed_over : Counter of str
        How many of each suffix, such as ``.txt``, of those without one, and ``hidden`` ones.
    """
    root = located(root)
    if root.is_file():
        return [root], Counter()
    if not root.is_dir():
        raise not_found(root)
    return find_pictures(root) if isinstance(root, ObjectPath) else _walk_folders(root, also)


def _walk_folders(root: Path, also: Callable[[Path], bool]) -> tuple[list[Path], Counter[str]]:
    images: list[Path] = []
    passed_over: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise MatteError(f"cannot list {folder}: {error.strerror or error}") from None
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith("."):
                passed_over["hidden"] += 1
            # Not entry.is_dir(): a link that points at itself raises there, and is no folder here.
            elif path.is_dir():
                waiting.append(path)
            elif path.is_file() and (_is_picture(path) or also(path)):
                images.append(path)
            else:
                passed_over[path.suffix.lower() or "no suffix"] += 1
    images = without_raws_of_pictures(images, passed_over)
    return sorted(images), passed_over


def _is_picture(path: Path) -> bool:
    """Tell by its suffix, or by its content if it has none, whether a file is a picture."""
    if path.suffix not in ("", "."):
        return path.suffix.lower() in IMAGE_SUFFIXES
    try:
        with path.open("rb") as file:
            start = file.read(START)
        return kind_of(start) is not None or is_raw_start(start)
    except OSError:
        return False


def within(path: Path, folder: Path) -> bool:
    """Tell whether a path is a folder or lies below it, links followed."""
    return path.resolve().is_relative_to(folder.resolve())


def relative_stem(path: Path, root: Path) -> str:
    """Name a file by its path under `root` without suffix: ``a/x`` for ``root/a/x.png``."""
    path, root = located(path), located(root)
    return path.stem if path == root else path.relative_to(root).with_suffix("").as_posix()


def pair_by_stem(first_root: Path, second_root: Path) -> Pairing:
    """Pair the pictures of two folders by relative path without suffix; two files always pair.

    Raises
    ------
    MatteError
        If a root does not exist, or holds two pictures of one name (``x.png`` and ``x.jpg``).
    """
    first_root, second_root = located(first_root), located(second_root)
    if first_root.is_file() and second_root.is_file():
        return Pairing([(first_root, second_root)], [], [])
    first, second = by_stem(first_root), by_stem(second_root)
    return Pairing(
        pairs=[(first[stem], second[stem]) for stem in first if stem in second],
        only_first=[path for stem, path in first.items() if stem not in second],
        only_second=[path for stem, path in second.items() if stem not in first],
    )


def by_stem(root: Path) -> dict[str, Path]:
    """Index the pictures under `root` by their relative path without suffix, in sorted order.

    Raises
    ------
    MatteError
        If `root` does not exist, or holds two pictures of one name (``x.png`` and ``x.jpg``).
    """
    found: dict[str, Path] = {}
    for path in find_images(root):
        other = found.setdefault(relative_stem(path, root), path)
        if other is not path:
            raise MatteError(f"{other} and {path} have the same name: keep one of them")
    return found
