"""Checking one sample of a set: what is damaged or odd about it, and how its pictures look."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.mask_reading import read_mask
from mattecli.core.imaging.masks import MaskError
from mattecli.core.imaging.pixels import to_unit
from mattecli.core.imaging.reading import read_picture
from mattecli.core.imaging.trimaps import BACKGROUND, SUBJECT, UNKNOWN, trimap_of
from mattecli.core.matting.compositing import composite


@dataclass
class SampleCheck:
    """What one sample showed.

    Attributes
    ----------
    name : str
    issues : list of str
        Some of `ISSUES`.
    image_hash, alpha_hash : int8 ndarray of shape (256,), or None
        Perceptual hashes of ±1; None where the files cannot be read or do not fit together.
    """

    name: str
    issues: list[str] = field(default_factory=list)
    image_hash: np.ndarray | None = None
    alpha_hash: np.ndarray | None = None


#: Of a sample that cannot even be checked.
LOST = "ended the process that read it, twice: a crash, or too little memory"
#: What can be wrong with one sample: whether it is an error or only worth a look.
ISSUES = {
    "cannot be read": True,
    LOST: True,
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


def _read_trimap(path: Path, check: SampleCheck) -> np.ndarray:
    """Read a trimap; of one that cannot be understood nothing is known."""
    picture = read_picture(path)
    try:
        return trimap_of(picture)
    except MatteError:
        check.issues.append("trimap has other values than 0, 128, 255 or 0, 1, 2")
        return np.full(picture.color.shape[:2], UNKNOWN, np.uint8)


def check_sample(
    name: str, files: dict[str, dict[str, Path]], records: dict[str, dict], light: str
) -> SampleCheck:
    """Read all files of a sample and say what is wrong with them.

    Parameters
    ----------
    name : str
    files : dict of dict of Path
        By kind and name, as `find_files` gives them.
    records : dict
        Lines of the manifest by name; empty without one.
    light : "srgb" or "linear"
        In which light the set was composed.
    """
    check = SampleCheck(name)
    pictures = _read_pictures(check, files)
    if pictures is None:
        return check
    for kind, stored in records.get(name, {}).get("files", {}).items():
        data = files[kind][name].read_bytes() if kind in files else b""
        if hashlib.sha256(data).hexdigest() != stored["sha256"]:
            check.issues.append("hash differs from the manifest")
            break
    if len({picture.shape[:2] for picture in pictures.values()}) > 1:
        check.issues.append("sizes differ")
        return check
    alpha = to_unit(pictures["alpha"])
    check.issues += _alpha_issues(alpha)
    check.issues += _contradictions(pictures, alpha, light)
    check.image_hash = _perceptual_hash(pictures["image"])
    check.alpha_hash = _perceptual_hash(pictures["alpha"])
    return check


def _read_pictures(
    check: SampleCheck, files: dict[str, dict[str, Path]]
) -> dict[str, np.ndarray] | None:
    """Read a sample's pictures by kind; None where one cannot be read."""
    try:
        matte, note = read_mask(files["alpha"][check.name])
        pictures = {
            kind: matte if kind == "alpha" else read_picture(found[check.name]).color
            for kind, found in files.items()
            if kind != "trimap"
        }
        if "trimap" in files:
            pictures["trimap"] = _read_trimap(files["trimap"][check.name], check)
    except MaskError:
        check.issues.append("alpha is no matte: labels or colors")
        return None
    except MatteError:
        check.issues.append("cannot be read")
        return None
    if note:
        check.issues.append("alpha is read as a mask: 0 and 1, a palette, or unusual bits")
    return pictures


def _contradictions(pictures: dict[str, np.ndarray], alpha: np.ndarray, light: str) -> list[str]:
    """Name what does not fit together between pictures of one size and their alpha in [0, 1]."""
    issues = []
    if "fg" in pictures and "bg" in pictures and light == "srgb":
        layers = (to_unit(pictures[kind]) for kind in ("fg", "bg"))
        difference = np.abs(composite(alpha, *layers) - to_unit(pictures["image"]))
        # Truncation alone takes up to one step.
        if difference.max() > 1.01 / 255:
            issues.append("image is not αF + (1−α)B")
    if "trimap" in pictures:
        trimap = pictures["trimap"]
        if (alpha[trimap == BACKGROUND] > 0).any() or (alpha[trimap == SUBJECT] < 1).any():
            issues.append("trimap contradicts alpha")
    return issues


def _alpha_issues(alpha: np.ndarray) -> list[str]:
    if alpha.max() < 0.01:
        return ["alpha is empty"]
    if alpha.min() > 0.99:
        return ["alpha is full everywhere"]
    issues = []
    if not ((alpha > 0.01) & (alpha < 0.99)).any():
        issues.append("alpha has no soft pixel")
    inner = np.zeros(alpha.shape, bool)
    height, width = alpha.shape
    inner[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
    border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    if border.mean() > 0.9 and alpha[inner].mean() < 0.5:
        issues.append("alpha may be inverted")
    return issues


def _perceptual_hash(picture: np.ndarray) -> np.ndarray:
    """Tell for 16×16 places whether brightness falls to the right, as ±1 (a difference hash)."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if picture.ndim == 3 else picture
    small = cv2.resize(grey, (17, 16), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.where(small[:, :-1] > small[:, 1:], 1, -1).astype(np.int8).reshape(-1)
