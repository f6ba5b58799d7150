"""Checking a set, built here or downloaded: what is missing, damaged, odd or double."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mattecli.core.dataset import manifest
from mattecli.core.dataset.check_task import CheckTask
from mattecli.core.dataset.recipe import load_recipe
from mattecli.core.dataset.sample_check import ISSUES, SampleCheck
from mattecli.core.dataset.sources import FOLDERS, find_folders
from mattecli.core.errors import MatteError
from mattecli.core.executing.executor import executor_for
from mattecli.core.imaging.walking import by_stem
from mattecli.core.progress import progress

# Bits of the perceptual hash that two nearly equal pictures may differ in, of 256.
_MAX_HASH_DISTANCE = 6


@dataclass
class Finding:
    """One kind of issue, and the samples that have it.

    Attributes
    ----------
    what : str
    is_error : bool
        Whether it makes the set unfit, rather than deserving a look.
    names : list of str
        The samples concerned.
    """

    what: str
    is_error: bool
    names: list[str] = field(default_factory=list)


@dataclass
class Report:
    """What a check found: how many samples of which split, and the findings that have names."""

    samples: int
    splits: dict[str, int]
    findings: list[Finding]

    @property
    def is_sound(self) -> bool:
        """Whether there is no error, warnings aside."""
        return not any(finding.is_error for finding in self.findings)


def find_files(root: Path) -> dict[str, dict[str, Path]]:
    """Index the files of a set by kind and name, folder names taken from those in use.

    A set lies in `root` itself, or in one folder for each split; names then begin with the split.

    Raises
    ------
    MatteError
        If there are no images or no mattes, or two files of one name.
    """
    sets = {"": find_folders(root)}
    if not sets[""] and root.is_dir():
        splits = {path.name + "/": find_folders(path) for path in sorted(root.iterdir())}
        sets = {prefix: folders for prefix, folders in splits.items() if folders}
    if not any(sets.values()):
        wanted = " and ".join(f"{kind}/" for kind in ("image", "alpha"))
        raise MatteError(f"{root} is no set: it has no folders {wanted}, nor has a split in it")
    kinds = {kind for folders in sets.values() for kind in folders}
    return {
        kind: {
            prefix + name: path
            for prefix, folders in sets.items()
            if kind in folders
            for name, path in by_stem(folders[kind]).items()
        }
        for kind in FOLDERS
        if kind in kinds
    }


def check_dataset(root: Path, workers: int, quiet: bool = False) -> Report:
    """Look at every file of a set.

    Pairs are matched by relative path without suffix. A sample's split is its manifest's, or else
    the first folder of its name.

    Raises
    ------
    MatteError
        If `root` is no set.
    """
    files = find_files(root)
    path = root / manifest.NAME
    records = {record["name"]: record for record in manifest.read_lines(path, manifest.CHECKED)}
    if not files["image"] and not records:
        raise MatteError(f"{root} holds no images")
    names = sorted(set().union(*files.values(), records))
    whole = [name for name in names if all(name in found for found in files.values())]

    findings = [
        Finding("not in every folder", True, [name for name in names if name not in set(whole)])
    ]
    if records:
        findings.append(
            Finding("not in the manifest", False, [name for name in whole if name not in records])
        )
    light = load_recipe(str(root / manifest.RECIPE_NAME)).light if records else "srgb"
    found = executor_for(None).run(CheckTask(files, records, light, workers), whole)
    # What ended a process comes last.
    checks = sorted(
        progress(found, total=len(whole), label="checking", quiet=quiet),
        key=lambda check: check.name,
    )
    for issue, is_error in ISSUES.items():
        names = [check.name for check in checks if issue in check.issues]
        findings.append(Finding(issue, is_error, names))

    splits = {name: records[name]["split"] if name in records else _folder(name) for name in whole}
    findings.append(
        Finding("foreground in two splits", True, _split_leakage(checks, records, splits))
    )
    findings.append(Finding("image nearly equal to another", False, _near_duplicates(checks)))
    counts: defaultdict[str, int] = defaultdict(int)
    for split in splits.values():
        counts[split] += 1
    return Report(len(whole), dict(counts), [finding for finding in findings if finding.names])


def _near_duplicates(checks: list[SampleCheck]) -> list[str]:
    """Name the images that are nearly equal to one that comes before them."""
    hashed = [check for check in checks if check.image_hash is not None]
    if not hashed:
        return []
    hashes = np.array([check.image_hash for check in hashed], np.float32)
    duplicates: list[int] = []
    for start in range(0, len(hashes), 1024):
        stop = min(start + 1024, len(hashes))
        # The product of ±1 vectors is 256 less two for every bit that differs.
        near = hashes[start:stop] @ hashes[:stop].T >= 256 - 2 * _MAX_HASH_DISTANCE
        rows, columns = np.nonzero(near)
        duplicates += sorted(
            {start + row for row, column in zip(rows, columns, strict=True) if column < start + row}
        )
    return [hashed[i].name for i in duplicates]


def _split_leakage(
    checks: list[SampleCheck], records: dict[str, dict], splits: dict[str, str]
) -> list[str]:
    """Name the samples whose foreground also appears in another split.

    Foregrounds are known by the manifest, or else by the look of their mattes.
    """
    where: dict[object, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for check in checks:
        if check.name in records:
            subjects = [layer["color"] for layer in records[check.name]["layers"]]
        else:
            # A blank or simple matte looks like many others.
            matte = check.alpha_hash
            is_distinctive = matte is not None and (matte > 0).sum() >= 16
            subjects = [matte.tobytes()] if matte is not None and is_distinctive else []
        for subject in subjects:
            where[subject][splits[check.name]].append(check.name)
    leaking = {
        name
        for by_split in where.values()
        if len(by_split) > 1
        for names in by_split.values()
        for name in names
    }
    return sorted(leaking)


def _folder(name: str) -> str:
    return name.split("/")[0] if "/" in name else "all"
