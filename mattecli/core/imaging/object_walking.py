"""The pictures of an object store, as they are listed."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TypeVar

from mattecli.core.imaging.kinds import RAW_SUFFIXES, SUFFIXES
from mattecli.core.objects.listing import list_objects
from mattecli.core.objects.paths import ObjectPath

AnyPath = TypeVar("AnyPath", bound=Path)


def stream_pictures(
    root: ObjectPath, passed_over: Counter[str], results: ObjectPath | None = None
) -> Iterator[list[ObjectPath]]:
    """List the pictures below `root` in the order of their names.

    A picture is told by its suffix alone, as every look at the content is a request. Those whose
    results could share a name, such as ``x.jpg`` and ``x.png``, come together.

    Parameters
    ----------
    passed_over : Counter of str
        Gets what is no picture, by suffix, as it is passed.
    results : ObjectPath, optional
        A folder inside `root` that is left out.

    Yields
    ------
    list of ObjectPath
        Pictures of one folder with the same name up to the first dot.

    Raises
    ------
    MatteError
        If the store cannot be asked, or does not list in order.
    """
    pictures = (
        (found, root / found.name)
        for found in list_objects(root)
        if _is_picture(root, found.name, passed_over, results)
    )
    for _, group in itertools.groupby(pictures, key=lambda entry: _start_of(entry[0].name)):
        paths = []
        for found, path in group:
            path.size = found.size
            paths.append(path)
        yield without_raws_of_pictures(paths, passed_over)


def without_raws_of_pictures(images: list[AnyPath], passed_over: Counter[str]) -> list[AnyPath]:
    """Leave out raw files beside the picture that the camera made of the same shot."""
    developed = {
        (path.parent, path.stem.lower())
        for path in images
        if path.suffix.lower() not in RAW_SUFFIXES
    }
    kept = []
    for path in images:
        suffix = path.suffix.lower()
        if suffix in RAW_SUFFIXES and (path.parent, path.stem.lower()) in developed:
            passed_over[f"{suffix} beside a picture of that name"] += 1
        else:
            kept.append(path)
    return kept


def find_pictures(root: ObjectPath) -> tuple[list[Path], Counter[str]]:
    """List the pictures below `root`, and count what was passed over; see `stream_pictures`."""
    passed_over: Counter[str] = Counter()
    groups = stream_pictures(root, passed_over)
    return sorted(itertools.chain.from_iterable(groups)), passed_over


def _is_picture(
    root: ObjectPath, name: str, passed_over: Counter[str], results: ObjectPath | None
) -> bool:
    parts = PurePosixPath(name).parts
    # What pathlib reads otherwise than the store, such as a//b or a/./b, has no path.
    if "/".join(parts) != name or ".." in parts:
        passed_over["unusual name"] += 1
    elif any(part.startswith(".") for part in parts):
        passed_over["hidden"] += 1
    elif results is not None and (root / name).is_relative_to(results):
        pass
    elif (suffix := PurePosixPath(name).suffix.lower()) in SUFFIXES:
        return True
    else:
        passed_over[suffix or "no suffix"] += 1
    return False


def _start_of(name: str) -> tuple[str, str]:
    folder, _, last = name.rpartition("/")
    return folder, last.partition(".")[0]
