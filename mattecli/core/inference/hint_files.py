"""Lists of hints for a folder: a CSV file with a line for each photo, or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from mattecli.core.errors import MatteError, suggest
from mattecli.core.inference.hint_values import check_places, check_subject, places_of
from mattecli.core.inference.photo_hints import PICTURES, PhotoHints

_PHOTO = "photo"
_PLACES = ("box", "points", "not_points")
_KEYS = (_PHOTO, *_PLACES, *PICTURES, "subject")
# What the list of a review says beside hints.
_REMARKS = ("confidence", "status")
# A list is text; larger files are something else.
_MOST_BYTES = 50_000_000


class Line(NamedTuple):
    """What a list says of one photo, and where it says so."""

    photo: str
    where: str
    hints: PhotoHints


def read_hint_file(path: Path, *, may_be_empty: bool = False) -> list[Line]:
    """Read a list of hints.

    CSV has a header with some of the columns ``photo``, ``box``, ``points``, ``not_points``,
    ``keep``, ``drop``, ``trimap``, ``guide`` and ``subject``; several places in one cell are
    separated by semicolons. JSON is a list of objects with these keys, or an object of such objects
    by the photo's name; several places are a list. Names of pictures are relative to the list.

    Parameters
    ----------
    path : Path
    may_be_empty : bool
        Whether it is no mistake that it is about no photo.

    Raises
    ------
    MatteError
        If it cannot be read or understood; the line is named.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise MatteError(f"{path} is too large for a list of hints")
        # Names of photos may be no UTF-8; no name holds NUL, of which UTF-16 is full.
        text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise MatteError(f"cannot read {path}: {error.strerror or error}") from None
    if "\0" in text:
        raise MatteError(f"cannot read {path}: it is no text in UTF-8")
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".json"):
        raise MatteError(f"{path}: a list of hints is a .csv or a .json file")
    rows = _rows_of_json(path, text) if suffix == ".json" else _rows_of_csv(path, text)
    lines: list[Line] = []
    seen: dict[str, str] = {}
    for where, row in rows:
        line = _line(path, where, row)
        if line.photo in seen:
            raise MatteError(f"{where}: {line.photo} has hints at {seen[line.photo]} already")
        seen[line.photo] = where
        lines.append(line)
    if not (lines or may_be_empty):
        raise MatteError(f"{path} holds no hints")
    return lines


def blank_list(photos: Iterable[tuple[str, str, str]]) -> str:
    """Give a list in CSV to write hints into: lines of photo, confidence and status."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    quoting = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    columns = [key for key in _KEYS if key != _PHOTO]
    writer.writerow([_PHOTO, *_REMARKS, *columns])
    for photo in photos:
        # Python 3.11 puts no lone carriage return in quotes by itself.
        chosen = quoting if "\r" in photo[0] else writer
        chosen.writerow([*photo, *("" for _ in columns)])
    return text.getvalue()


def _rows_of_csv(path: Path, text: str) -> Iterable[tuple[str, dict[str, Any]]]:
    try:
        # Names may hold whatever else Python takes for line ends.
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        keys = [key.strip() for key in reader.fieldnames or ()]
        for number, key in enumerate(keys):
            if ";" in key or "\t" in key:
                raise MatteError(f"{path}: separate columns by commas")
            _check_key(str(path), key)
            if key in keys[:number]:
                raise MatteError(f"{path} has two columns '{key}': keep one of them")
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if None in row or None in row.values():
                raise MatteError(
                    f"{where} has not as many cells as the header: put what has commas in quotes"
                )
            cells = {key.strip(): value for key, value in row.items()}
            # Blanks around the name of a photo may be its own.
            yield where, {key: cells[key] if key == _PHOTO else cells[key].strip() for key in cells}
    except csv.Error as error:
        raise MatteError(f"{path}: not valid CSV ({error})") from None


def _rows_of_json(path: Path, text: str) -> Iterable[tuple[str, dict[str, Any]]]:
    try:
        content = json.loads(text, object_pairs_hook=lambda pairs: _object_of(path, pairs))
    except (ValueError, RecursionError) as error:
        raise MatteError(f"{path}: not valid JSON ({error})") from None
    if isinstance(content, dict):
        rows = [
            {_PHOTO: name, **row} if isinstance(row, dict) else row for name, row in content.items()
        ]
    elif isinstance(content, list):
        rows = content
    else:
        rows = [None]
    for number, row in enumerate(rows, 1):
        where = f"{path}, photo {number}"
        if not isinstance(row, dict):
            raise MatteError(f'{where}: hints are an object such as {{"box": "10,10,50,50"}}')
        for key in row:
            _check_key(where, key)
        yield where, row


def _object_of(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of JSON, of whose repeated keys Python would keep the last."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise MatteError(f"{path}: an object has '{key}' twice: keep one of them")
        found[key] = value
    return found


def _check_key(where: str, key: str) -> None:
    if key not in (*_KEYS, *_REMARKS):
        raise MatteError(f"{where}: there is no hint '{key}': {suggest(key, _KEYS)}")


def _line(path: Path, where: str, row: dict[str, Any]) -> Line:
    """Understand a row; texts that are empty say nothing."""
    photo = row.get(_PHOTO)
    if not isinstance(photo, str) or not photo.strip():
        raise MatteError(f"{where} names no photo")
    said: dict[str, Any] = {}
    for key, value in row.items():
        if key in (_PHOTO, *_REMARKS) or value in (None, "", []):
            continue
        if key in _PLACES:
            try:
                said[key] = places_of(value)
                check_places(**{key: said[key]})
            except MatteError as error:
                raise MatteError(f"{where}: {error}") from None
        elif not isinstance(value, str):
            raise MatteError(f"{where}: '{key}' must be a text")
        elif key in PICTURES:
            said[key] = path.parent / value
            if not said[key].is_file():
                raise MatteError(f"{where}: there is no file {said[key]}")
        else:
            try:
                check_subject(value)
            except MatteError as error:
                raise MatteError(f"{where}: {error}") from None
            said[key] = value
    return Line(photo, where, PhotoHints(**said))
