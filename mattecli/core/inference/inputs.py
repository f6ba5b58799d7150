"""What a run reads: files, folders, lists and addresses, and what each photo is called."""

from __future__ import annotations

import codecs
import os
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from mattecli.core.errors import MatteError, address_of, not_found
from mattecli.core.imaging.animations import has_several
from mattecli.core.imaging.clips.opening import is_made_here
from mattecli.core.imaging.clips.reading import import_av, is_clip, is_clip_file
from mattecli.core.imaging.layered import has_our_layers
from mattecli.core.imaging.reading import has_alpha, is_result
from mattecli.core.imaging.walking import check_apart, stands_for_folder, walk, without_results
from mattecli.core.imaging.writing import LAYERED
from mattecli.core.objects.paths import ObjectPath, located, real_place

#: A list of inputs that is longer than this is none, in bytes.
_MOST_OF_A_LIST = 256 << 20


class Address(str):
    """Where a photo can be had by http."""

    __slots__ = ()


@dataclass
class Inputs:
    """Photos and clips that were found.

    Attributes
    ----------
    photos : list of Path or Address
        Each once, in the order in which they were named.
    places : list of str
        The path of each below the folder that all have in common.
    clips : list of Path
        Those on this machine, if they were looked for.
    clip_places : list of str
        As `places`.
    folders : list of Path
        Those that were searched.
    passed_over : Counter of str
        Files in these folders that are no pictures, by suffix.
    """

    photos: list[Path | Address]
    places: list[str]
    folders: list[Path] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    clips: list[Path] = field(default_factory=list)
    clip_places: list[str] = field(default_factory=list)

    def of_clips(self) -> Inputs:
        """Give the clips in the place of photos."""
        return replace(self, photos=[*self.clips], places=self.clip_places)


def read_list(path: Path, *, null_separated: bool = False) -> list[str]:
    """Read inputs from a list, one a line or, as ``find -print0`` gives them, with NUL between.

    Parameters
    ----------
    path : Path
        ``-`` is standard input.

    Raises
    ------
    MatteError
        If it cannot be read, or names nothing.
    """
    try:
        if str(path) == "-":
            if sys.stdin is None or sys.stdin.closed:
                raise MatteError("standard input is closed: pipe a list of photos into it")
            data = sys.stdin.buffer.read(_MOST_OF_A_LIST + 1)
        else:
            with path.open("rb") as file:
                data = file.read(_MOST_OF_A_LIST + 1)
    except OSError as error:
        raise MatteError(f"cannot read {path}: {error.strerror or error}") from None
    if len(data) > _MOST_OF_A_LIST:
        raise MatteError(f"{path} is larger than any list of photos")
    data = data.removeprefix(codecs.BOM_UTF8)
    if b"\0" in data and not null_separated:
        raise MatteError(f"{path} holds NUL bytes: a list has one path a line, or -0 with NULs")
    lines = data.split(b"\0") if null_separated else data.splitlines()
    found = [os.fsdecode(line) for line in lines if line.strip()]
    if not found:
        raise MatteError(f"{path} names no photos")
    return found


def gather(
    sources: list[str],
    results: Path | None = None,
    *,
    allow_url: bool = False,
    with_clips: bool = False,
) -> Inputs:
    """Find the photos that files, folders and addresses stand for.

    Files are taken as they are, also those that are not there, whose turn to fail comes later.

    Parameters
    ----------
    results : Path, optional
        A folder that gets the results: what lies in it is left out of folders around it.
    allow_url : bool
        Whether addresses are inputs.
    with_clips : bool
        Whether clips are; those of object stores are passed over in any case.

    Raises
    ------
    MatteError
        If a folder cannot be listed, the only input is not there, or there is an address that is
        not allowed.
    """
    found: dict[str, tuple[Path | Address, str]] = {}
    inputs = Inputs([], [])
    below = _common_folder([source for source in sources if not is_address(source)])
    for source in sources:
        path = Path(source) if is_address(source) else located(source)
        if is_address(source):
            if not allow_url:
                hint = ", or let --allow-url fetch it" if source.lower().startswith("http") else ""
                raise MatteError(f"{not_found(path)}{hint}")
            found.setdefault(source, (Address(source), _name_at(source)))
        elif stands_for_folder(source):
            images, passed_over = walk(path, is_clip_file if with_clips else lambda path: False)
            inputs.folders.append(path)
            inputs.passed_over += passed_over
            for image in without_results(images, path, results):
                found.setdefault(_place(image), (image, _name_below(image, below)))
        elif len(sources) == 1 and not path.is_file():
            raise not_found(path)
        else:
            found.setdefault(_place(path), (path, _name_below(path, below)))
    for photo, place in found.values():
        is_here = isinstance(photo, Path) and not isinstance(photo, ObjectPath)
        if with_clips and is_here and is_clip(photo):
            inputs.clips.append(Path(photo))
            inputs.clip_places.append(place)
        else:
            inputs.photos.append(photo)
            inputs.places.append(place)
    return inputs


def is_address(source: str) -> bool:
    """Tell whether this is an address of the web, and no file that is called so."""
    if address_of(Path(source)) is None or Path(source).exists():
        return False
    path = None if source.lower().startswith("http") else located(source)
    return not isinstance(path, ObjectPath)


def check_apart_from(inputs: Inputs, outputs: list[Path], results: Path) -> None:
    """Raise `MatteError` if a result would replace a photo, or become one of the next run.

    Parameters
    ----------
    results : Path
        The folder of the results; that of the one result where there is no such folder.
    """
    originals = {real_place(photo) for photo in inputs.photos if isinstance(photo, Path)}
    for path in outputs:
        if real_place(path) in originals:
            raise MatteError(f"{path} would overwrite a photo: choose another place for output")
    for folder in inputs.folders:
        check_apart(outputs, folder, results)


def check_not_read(outputs: Iterable[Path], read: Iterable[Path]) -> None:
    """Raise `MatteError` if a result would replace something else that the run reads."""
    files = {real_place(path) for path in read}
    for out in outputs if files else ():
        if real_place(out) in files:
            raise MatteError(f"{out} would overwrite an input: choose another place for output")


def check_is_no_original(out: Path) -> None:
    """Raise `MatteError` if a result would replace a picture or a clip that is none.

    ``*.jpg`` may stand for two photos, of which the last would be taken as the place of the result.
    Of what cannot be read nothing is known, and it may be replaced.
    """
    try:
        if not out.is_file():
            return
        if is_clip(out) and not isinstance(out, ObjectPath):
            kind, is_ours = "clip", is_made_here(import_av(), out)
        else:
            kind, is_ours = "photo", _is_our_picture(out)
    except MatteError:
        return
    if not is_ours:
        raise MatteError(
            f"{out} would overwrite a {kind}, as nothing in it tells of a result: choose another "
            "place for output, or delete it first"
        )


def _is_our_picture(path: Path) -> bool:
    """Tell whether a picture has transparency, layers, or the note of `encode` that it is a result.

    Of several frames or pages only the note counts, as many an animation has transparency.
    """
    if is_result(path) or (has_alpha(path) and not has_several(path)):
        return True
    return path.suffix.lower() in LAYERED and has_our_layers(path)


def _common_folder(sources: list[str]) -> str:
    """Give the folder that all lie in; of one folder alone, that folder."""
    if len(sources) == 1 and stands_for_folder(sources[0]):
        return _whole(located(sources[0]))
    try:
        return os.path.commonpath([os.path.dirname(_whole(located(path))) for path in sources])
    except ValueError:  # there are none, or they are on several drives
        return ""


def _whole(path: Path) -> str:
    """Give the path from the root on; that of an object begins with its store."""
    return "/" + "/".join(path.parts) if isinstance(path, ObjectPath) else os.path.abspath(path)


def _place(path: Path) -> str:
    """Give where a file is, however it was named; a link to a photo is a photo of its own."""
    if isinstance(path, ObjectPath):
        return str(path)
    return os.path.join(os.path.realpath(path.parent), path.name)


def _name_below(path: Path, folder: str) -> str:
    whole = _whole(path)
    if not folder or not whole.startswith(folder):
        return path.name
    return Path(os.path.relpath(whole, folder)).as_posix()


def _name_at(address: str) -> str:
    """Name what is at an address by its last part, or by its host."""
    host, _, path = address.partition("://")[2].partition("/")
    last = PurePosixPath(unquote(path.partition("?")[0].partition("#")[0])).name
    name = (last or host).replace("\0", "").replace("/", "_").replace("\\", "_")
    return name.lstrip(".") or "photo"
