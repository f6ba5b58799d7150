"""Checking a set, built here or downloaded: what is missing, damaged, odd or double."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from mattecli.core.dataset import manifest
from mattecli.core.dataset.recipe import load_recipe
from mattecli.core.dataset.sources import FOLDERS, find_folders
from mattecli.core.errors import MatteError
from mattecli.core.imaging.mask_reading import read_mask
from mattecli.core.imaging.masks import MaskError
from mattecli.core.imaging.pixels import to_unit
from mattecli.core.imaging.reading import read_picture
from mattecli.core.imaging.trimaps import BACKGROUND, SUBJECT, UNKNOWN, trimap_of
from mattecli.core.imaging.walking import by_stem
from mattecli.core.matting.compositing import composite
from mattecli.core.progress import progress

# Bits of the perceptual hash that two nearly equal pictures may differ in, of 256.
_NEAR = 6


@dataclass
class Finding:
    """One kind of trouble.

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


@dataclass
class _Look:
    """What one sample showed."""

    name: str
    troubles: list[str] = field(default_factory=list)
    image_hash: np.ndarray | None = None
    alpha_hash: np.ndarray | None = None


# What can be wrong with one sample: whether it is an error or only worth a look.
_TROUBLES = {
    "cannot be read": True,
    "alpha is no matte: labels or colors": True,
    "sizes differ": True,
    "hash differs from the manifest": True,
    "image is not αF + (1−α)B": True,
    "trimap contradicts alpha": True,
    "trimap has other values than 0, 128, 255 or 0, 1, 2": True,
    "alpha is empty": False,
    "alpha is full everywhere": False,
    "alpha has no soft pixel": False,
    "alpha may be inverted": False,
    "alpha is read as a mask: 0 and 1, a palette, or unusual bits": False,
}


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
    look = partial(_look, files=files, records=records, light=light)
    looks = list(
        progress(_map(look, whole, workers), total=len(whole), label="checking", quiet=quiet)
    )
    for trouble, is_error in _TROUBLES.items():
        names = [look.name for look in looks if trouble in look.troubles]
        findings.append(Finding(trouble, is_error, names))

    splits = {name: records[name]["split"] if name in records else _folder(name) for name in whole}
    findings.append(Finding("foreground in two splits", True, _leaks(looks, records, splits)))
    findings.append(Finding("image nearly equal to another", False, _doubles(looks)))
    counts: defaultdict[str, int] = defaultdict(int)
    for split in splits.values():
        counts[split] += 1
    return Report(len(whole), dict(counts), [finding for finding in findings if finding.names])


def _map(function, names: list[str], workers: int) -> Iterator[_Look]:
    if workers == 1:
        yield from map(function, names)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, cv2.setNumThreads, (1,)) as pool:
        yield from pool.map(function, names, chunksize=16)


def _trimap(path: Path, look: _Look) -> np.ndarray:
    """Read a trimap; of one that cannot be understood nothing is known."""
    picture = read_picture(path)
    try:
        return trimap_of(picture)
    except MatteError:
        look.troubles.append("trimap has other values than 0, 128, 255 or 0, 1, 2")
        return np.full(picture.color.shape[:2], UNKNOWN, np.uint8)


def _look(
    name: str, files: dict[str, dict[str, Path]], records: dict[str, dict], light: str
) -> _Look:
    look = _Look(name)
    try:
        matte, note = read_mask(files["alpha"][name])
        pictures = {
            kind: matte if kind == "alpha" else read_picture(found[name]).color
            for kind, found in files.items()
            if kind != "trimap"
        }
        if "trimap" in files:
            pictures["trimap"] = _trimap(files["trimap"][name], look)
    except MaskError:
        look.troubles.append("alpha is no matte: labels or colors")
        return look
    except MatteError:
        look.troubles.append("cannot be read")
        return look
    if note:
        look.troubles.append("alpha is read as a mask: 0 and 1, a palette, or unusual bits")
    for kind, stored in records.get(name, {}).get("files", {}).items():
        data = files[kind][name].read_bytes() if kind in files else b""
        if hashlib.sha256(data).hexdigest() != stored["sha256"]:
            look.troubles.append("hash differs from the manifest")
            break
    if len({picture.shape[:2] for picture in pictures.values()}) > 1:
        look.troubles.append("sizes differ")
        return look
    alpha = to_unit(pictures["alpha"])
    look.troubles += _alpha_troubles(alpha)
    if "fg" in pictures and "bg" in pictures and light == "srgb":
        layers = (to_unit(pictures[kind]) for kind in ("fg", "bg"))
        difference = np.abs(composite(alpha, *layers) - to_unit(pictures["image"]))
        # Truncation alone takes up to one step.
        if difference.max() > 1.01 / 255:
            look.troubles.append("image is not αF + (1−α)B")
    if "trimap" in pictures:
        trimap = pictures["trimap"]
        if (alpha[trimap == BACKGROUND] > 0).any() or (alpha[trimap == SUBJECT] < 1).any():
            look.troubles.append("trimap contradicts alpha")
    look.image_hash = _perceptual_hash(pictures["image"])
    look.alpha_hash = _perceptual_hash(pictures["alpha"])
    return look


def _alpha_troubles(alpha: np.ndarray) -> list[str]:
    if alpha.max() < 0.01:
        return ["alpha is empty"]
    if alpha.min() > 0.99:
        return ["alpha is full everywhere"]
    troubles = []
    if not ((alpha > 0.01) & (alpha < 0.99)).any():
        troubles.append("alpha has no soft pixel")
    inner = np.zeros(alpha.shape, bool)
    height, width = alpha.shape
    inner[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
    border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    if border.mean() > 0.9 and alpha[inner].mean() < 0.5:
        troubles.append("alpha may be inverted")
    return troubles


def _perceptual_hash(picture: np.ndarray) -> np.ndarray:
    """Tell for 16×16 places whether brightness falls to the right, as ±1 (a difference hash)."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if picture.ndim == 3 else picture
    small = cv2.resize(grey, (17, 16), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.where(small[:, :-1] > small[:, 1:], 1, -1).astype(np.int8).reshape(-1)


def _doubles(looks: list[_Look]) -> list[str]:
    """Name the images that are nearly equal to one that comes before them."""
    seen = [look for look in looks if look.image_hash is not None]
    if not seen:
        return []
    hashes = np.array([look.image_hash for look in seen], np.float32)
    doubles = []
    for start in range(0, len(hashes), 1024):
        stop = min(start + 1024, len(hashes))
        # The product of ±1 vectors is 256 less two for every bit that differs.
        near = hashes[start:stop] @ hashes[:stop].T >= 256 - 2 * _NEAR
        rows, columns = np.nonzero(near)
        doubles += sorted(
            {start + row for row, column in zip(rows, columns, strict=True) if column < start + row}
        )
    return [seen[i].name for i in doubles]


def _leaks(looks: list[_Look], records: dict[str, dict], splits: dict[str, str]) -> list[str]:
    """Name the samples whose foreground also appears in another split.

    Foregrounds are known by the manifest, or else by the look of their mattes.
    """
    where: dict[object, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for look in looks:
        if look.name in records:
            subjects = [layer["color"] for layer in records[look.name]["layers"]]
        else:
            # A blank or simple matte looks like many others.
            hashed = look.alpha_hash
            is_distinctive = hashed is not None and (hashed > 0).sum() >= 16
            subjects = [hashed.tobytes()] if hashed is not None and is_distinctive else []
        for subject in subjects:
            where[subject][splits[look.name]].append(look.name)
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
