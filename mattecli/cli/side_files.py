"""Files that options name beside the results: reports, tables and contact sheets."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import typer

from mattecli.cli.defaults import SETTINGS_FILES
from mattecli.core.objects.paths import ObjectPath, located, real_place

#: Those that are pictures.
_PICTURES = ("--preview", "--sheet")
# Text holds no NUL; these many bytes of anything else do.
_SOME = 4096


def check_side_files(files: dict[str, Path | None], used: Iterable[Path | str | None] = ()) -> None:
    """Refuse what would be written over photos, results, or one another.

    A pattern of the shell behind an option, as in ``--report *.jpg out/``, makes its first photo
    the file of the option.

    Parameters
    ----------
    files : dict of Path
        By option; None where it is not given.
    used : iterable of Path or str
        What the run reads and writes, files and folders; None is passed over.

    Raises
    ------
    typer.BadParameter
        If one is to go to standard output.
    MatteError
        If one would replace something else.
    """
    from mattecli.core.errors import MatteError

    given = {option: located(path) for option, path in files.items() if path is not None}
    if not given:
        return
    used = chain(used, map(Path, SETTINGS_FILES))
    taken = {real_place(located(path)) for path in used if path is not None}
    folders = _above([*taken, *map(real_place, given.values())])
    for option, path in given.items():
        if str(path) == "-":
            raise typer.BadParameter(f"{option} takes a file, not -")
        if real_place(path) in taken:
            raise MatteError(
                f"{path} would be written over, which the run reads or writes: choose another "
                f"place for {option}"
            )
        if real_place(path) in folders:
            raise MatteError(
                f"{path} is to be a folder of what the run reads or writes: choose another place "
                f"for {option}"
            )
        taken.add(real_place(path))
        _check_replaceable(path, option)


def _above(places: Iterable[str]) -> set[str]:
    """Give all folders that places lie in."""
    folders: set[str] = set()
    for place in places:
        while (place := os.path.dirname(place)) not in folders:
            folders.add(place)
    return folders


def _check_replaceable(path: Path, option: str) -> None:
    from mattecli.core.errors import MatteError
    from mattecli.core.imaging.kinds import START, kind_of
    from mattecli.core.imaging.reading import is_result

    if isinstance(path, ObjectPath) or not path.is_file():
        return
    try:
        with path.open("rb") as file:
            start = file.read(_SOME)
    except OSError as error:
        raise MatteError(f"cannot read {path}: {error.strerror or error}") from None
    is_picture = kind_of(start[:START]) is not None
    if option in _PICTURES:
        is_other, what = is_picture and not is_result(path), "a picture that matte did not draw"
    else:
        is_other, what = is_picture or b"\0" in start, "no text file"
    if is_other:
        raise MatteError(
            f"{path} would be written over, which is {what}: choose another place for {option}, or "
            "delete it first"
        )
