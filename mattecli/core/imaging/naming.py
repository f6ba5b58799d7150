"""Which file each result goes to: the tree is kept and no two results share a name."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from pathlib import Path

from mattecli.core.imaging.walking import relative_stem

_LONGEST_NAME = 255


def name_outputs(
    images: list[Path], root: Path, out: Path, kinds: list[str], suffix: str
) -> list[dict[str, Path]]:
    """Give every image its output path of each kind.

    One kind goes straight into `out` as ``<relative path><suffix>``, several go into
    ``out/<kind>/``. Where several images would share a name (``x.jpg`` and ``x.webp``, or ``X.jpg``
    on a disk that ignores case), all of them keep their own suffix: ``x.jpg.png``, ``x.webp.png``.

    Returns
    -------
    list of dict
        For every image a path for each kind.
    """
    stems = distinct_stems(images, root)
    folders = {kind: out / kind if len(kinds) > 1 else out for kind in kinds}
    return [
        {kind: with_suffix(folder / stem, suffix) for kind, folder in folders.items()}
        for stem in stems
    ]


def distinct_stems(images: list[Path], root: Path) -> list[str]:
    """Name each image by its path under `root`, without suffix unless that would name two alike."""
    stems = [relative_stem(image, root) for image in images]
    full = [image.name if image == root else image.relative_to(root).as_posix() for image in images]
    # A full name may in turn meet the stem of another image (x.jpg beside x.png and x.jpg.png), so
    # this is repeated; every round lengthens a name for good, hence it ends.
    while True:
        count = Counter(stem.casefold() for stem in stems)
        clashing = [
            i for i, stem in enumerate(stems) if count[stem.casefold()] > 1 and stem != full[i]
        ]
        if not clashing:
            break
        for i in clashing:
            stems[i] = full[i]
    # Full names differ, but perhaps only by case.
    seen: dict[str, int] = defaultdict(int)
    for i, stem in enumerate(stems):
        repeat = seen[stem.casefold()]
        seen[stem.casefold()] += 1
        if repeat:
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
