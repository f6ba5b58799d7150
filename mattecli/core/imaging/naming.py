"""Which file each result goes to: the tree is kept and no two results share a name."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from pathlib import Path, PurePosixPath
from string import Formatter

from mattecli.core.errors import MatteError

_LONGEST_NAME = 255


#: What a pattern for names may hold.
PATTERN_FIELDS = ("stem", "suffix", "kind")


def name_outputs(
    stems: list[str], out: Path, kinds: list[str], suffix: str, pattern: str | None = None
) -> list[dict[str, Path]]:
    """Give every image its output path of each kind.

    One kind goes straight into `out` as ``<stem><suffix>``, several go into ``out/<kind>/``.

    Parameters
    ----------
    stems : list of str
        Relative paths without suffix, as `distinct_stems` gives them.
    pattern : str, optional
        How a result is called in its folder, with ``{stem}``, ``{kind}`` and ``{suffix}``, which is
        appended where it is missing. Where the kind is in it, several kinds share a folder.

    Returns
    -------
    list of dict
        For every image a path for each kind.

    Raises
    ------
    MatteError
        If the pattern is none, leads out of `out`, or names two results alike.
    """
    apart = len(kinds) > 1 and not (pattern and "{kind}" in pattern)
    folders = {kind: out / kind if apart else out for kind in kinds}
    if pattern is None:
        return [
            {kind: with_suffix(folder / stem, suffix) for kind, folder in folders.items()}
            for stem in stems
        ]
    outputs = [
        {kind: _by_pattern(pattern, folders[kind], stem, kind, suffix) for kind in kinds}
        for stem in stems
    ]
    named: set[str] = set()
    for path in (path for paths in outputs for path in paths.values()):
        if str(path).casefold() in named:
            raise MatteError(f"pattern '{pattern}' names several results {path}")
        named.add(str(path).casefold())
    return outputs


def _by_pattern(pattern: str, folder: Path, stem: str, kind: str, suffix: str) -> Path:
    place = PurePosixPath(stem)
    fields = dict(zip(PATTERN_FIELDS, (place.name, suffix, kind), strict=True))
    name = fill_pattern(pattern, folder, fields, suffix)
    return with_suffix(folder / place.parent / name, suffix)


def fill_pattern(
    pattern: str, folder: Path, fields: dict[str, str], suffix: str = ""
) -> PurePosixPath:
    """Put names into a pattern for the name of a result in `folder`.

    Returns
    -------
    PurePosixPath
        Relative to the folder, and without this suffix.

    Raises
    ------
    MatteError
        If the pattern holds anything but these fields as they are, or leads out of the folder.
    """
    try:
        parsed = list(Formatter().parse(pattern))
    except ValueError:
        parsed = [("", "", "", None)]
    # A field may be followed by attributes, widths of gigabytes and the like.
    if any(field not in (None, *fields) or spec or how for _, field, spec, how in parsed):
        known = ", ".join(f"{{{field}}}" for field in fields)
        raise MatteError(f"pattern '{pattern}' may hold {known} only")
    name = pattern.format_map(fields)
    relative = PurePosixPath(name.removesuffix(suffix))
    if relative.is_absolute() or ".." in relative.parts or not relative.name or "\0" in name:
        raise MatteError(f"pattern '{pattern}' names {name!r}, which is no file below {folder}")
    return relative


def distinct_stems(images: list[Path], root: Path, suffix: str = "") -> list[str]:
    """Name each image by its path under `root`, without suffix where `distinct` allows it."""
    return distinct(
        [image.name if image == root else image.relative_to(root).as_posix() for image in images],
        suffix,
    )


def distinct(names: list[str], suffix: str = "") -> list[str]:
    """Take the suffixes off relative paths, unless that would name two alike.

    Where several would share a name (``x.jpg`` and ``x.webp``, or ``X.jpg`` on a disk that ignores
    case), all of them keep their suffix: ``x.jpg``, ``x.webp``.

    Parameters
    ----------
    suffix : str
        Of the results, if they are put into such a tree. What would be called as a folder there
        (``x.jpg`` beside a folder ``x.png``) keeps its own suffix, too.
    """
    folders = {
        folder.as_posix().casefold()
        for parent in {PurePosixPath(name).parent for name in names}
        for folder in (parent, *parent.parents)
    }

    def is_folder(stem: str) -> bool:
        return bool(suffix) and (stem + suffix).casefold() in folders

    def is_taken(stem: str) -> bool:
        return count[stem.casefold()] > 1 or is_folder(stem)

    stems = [PurePosixPath(name).with_suffix("").as_posix() for name in names]
    # A full name may in turn meet the stem of another image (x.jpg beside x.png and x.jpg.png), so
    # this is repeated; every round lengthens a name for good, hence it ends.
    while True:
        count = Counter(stem.casefold() for stem in stems)
        clashing = [i for i, stem in enumerate(stems) if stem != names[i] and is_taken(stem)]
        if not clashing:
            break
        for i in clashing:
            stems[i] = names[i]
    # Full names differ, but perhaps only by case, and a folder may be called like a result of one.
    seen: dict[str, int] = defaultdict(int)
    for i, stem in enumerate(stems):
        repeat = seen[stem.casefold()]
        seen[stem.casefold()] += 1
        if repeat or is_folder(stem):
            stems[i] = f"{stem}~{repeat}"
    return stems


def with_suffix(path: Path, suffix: str) -> Path:
    """Append `suffix`; shorten names too long for a file system, by a digest."""
    # As the file system holds it: not every name is UTF-8.
    name = os.fsencode(path.name)
    if len(name) + len(suffix) > _LONGEST_NAME:
        tail = "~" + hashlib.sha256(name).hexdigest()[:8]
        kept = name[: _LONGEST_NAME - len(suffix) - len(tail)].decode(errors="ignore")
        return path.with_name(kept + tail + suffix)
    return path.with_name(path.name + suffix)
