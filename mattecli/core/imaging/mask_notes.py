"""What is said of many masks in few lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from mattecli.core.errors import MatteError
from mattecli.core.imaging.mask_reading import read_mask
from mattecli.core.imaging.masks import MaskError

# Masks of a set that are looked at beforehand, spread evenly: what is odd about one is about all.
_LOOKS = 50


def gathered(notes: Iterable[str]) -> list[str]:
    """Say each thing once: of ``FILE: note`` lines, how many files it holds for and the first."""
    files: defaultdict[str, list[str]] = defaultdict(list)
    for line in notes:
        name, _, note = line.partition(": ")
        files[note].append(name)
    return [
        f"{names[0]} {note}" if len(names) == 1 else f"{names[0]} and {len(names) - 1} more: {note}"
        for note, names in files.items()
    ]


def look_at_masks(masks: Sequence[Path]) -> list[str]:
    """Read some of the masks of a set, before it is used, and say how they are understood.

    Returns
    -------
    list of str
        A line for each thing; empty if all are simply alpha. Damaged files are left to the reader.

    Raises
    ------
    MaskError
        If one of them is no mask.
    """
    notes = []
    for path in masks[:: -(-len(masks) // _LOOKS)] if masks else ():
        try:
            note = read_mask(path).note
        except MaskError:
            raise
        except MatteError:
            continue
        if note:
            notes.append(f"{path}: {note}")
    return gathered(notes)
