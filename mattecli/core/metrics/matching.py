"""Which prediction belongs to which truth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mattecli.core.imaging.walking import by_stem

# Composition-1k and Distinctions-646 paste one foreground onto many backgrounds: the composites
# truth_0 … truth_19 share the matte of truth.
_COMPOSITE_NUMBER = re.compile(r"_\d+$")


@dataclass
class Entry:
    """One prediction (a matte, a cutout, or a photo to predict) with what it is scored against."""

    name: str
    prediction: Path
    truth: Path
    trimap: Path | None = None
    photo: Path | None = None


@dataclass
class Matching:
    """What was found: entries by name in sorted order, and all that does not fit together."""

    entries: list[Entry] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    extra: list[Path] = field(default_factory=list)
    without_trimap: list[str] = field(default_factory=list)

    def files(self) -> Iterator[Path | None]:
        """Give all files that were found; None for those that an entry lacks."""
        for entry in self.entries:
            yield from (entry.prediction, entry.truth, entry.trimap, entry.photo)
        yield from self.extra


def match(
    predictions: Path, truths: Path, trimaps: Path | None = None, photos: Path | None = None
) -> Matching:
    """Pair predictions with truths, trimaps and photos by relative path without suffix.

    A file is looked up by its name first (``a/x`` for ``PRED/a/x.png``), and then, as in
    Composition-1k and Distinctions-646, without the number of the composite: ``dog_7`` is scored
    against ``dog``. Two single files always belong together.

    ``missing`` names every truth that no prediction uses, and every trimap or photo that has a
    truth but no prediction: of twenty composites of one truth these show which was forgotten.

    Raises
    ------
    MatteError
        If a folder does not exist or holds two files of one name.
    """
    found = by_stem(predictions)
    only = next(iter(found)) if predictions.is_file() else None
    sides = {
        kind: _index(root, only)
        for kind, root in (("truth", truths), ("trimap", trimaps), ("photo", photos))
        if root is not None
    }
    matching = Matching()
    used: dict[str, set[str]] = {kind: set() for kind in sides}
    for name, path in found.items():
        keys = {kind: _find(name, files) for kind, files in sides.items()}
        if keys["truth"] is None:
            matching.extra.append(path)
            continue
        for kind, key in keys.items():
            if key is not None:
                used[kind].add(key)
        if "trimap" in keys and keys["trimap"] is None:
            matching.without_trimap.append(name)
            continue
        files = {kind: sides[kind][key] for kind, key in keys.items() if key is not None}
        matching.entries.append(Entry(name, path, **files))
    matching.missing = sorted(
        {
            name
            for kind, files in sides.items()
            for name in files.keys() - used[kind]
            if _find(name, sides["truth"]) is not None
        }
    )
    return matching


def _index(root: Path, only: str | None) -> dict[str, Path]:
    """List files under `root` by name; a single one beside a single prediction takes its name."""
    return {only: root} if only is not None and root.is_file() else by_stem(root)


def _find(name: str, files: dict[str, Path]) -> str | None:
    for key in (name, _COMPOSITE_NUMBER.sub("", name)):
        if key in files:
            return key
    return None
