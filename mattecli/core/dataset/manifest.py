"""The manifest: one JSON line a sample, enough to make the sample again."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from mattecli.core.errors import MatteError
from mattecli.core.objects.paths import ObjectPath
from mattecli.core.storage import clear_errors, write_whole

NAME = "manifest.jsonl"
RECIPE_NAME = "recipe.toml"
_PARTIAL = ".manifest.part"
# Bytes of a name that are no UTF-8 become escapes, which JSON knows too.
_ESCAPE = "backslashreplace"
# Lines that are noted in a store at a time; as many samples are made again after a crash.
_LINES_OF_A_PART = 100

#: What checking a set and taking up a build need of a line; ``...`` stands for any key.
CHECKED: dict[str, Any] = {
    "name": str,
    "split": str,
    "layers": [{"color": str}],
    "files": {...: {"sha256": str}},
}
FINISHED: dict[str, Any] = {
    "name": str,
    "key": str,
    "files": {...: {"sha256": str, "bytes": int}},
}


def to_line(record: dict) -> str:
    """Write a record as one line, the same for the same record."""
    return json.dumps(record, ensure_ascii=False, separators=(", ", ": ")) + "\n"


def _to_bytes(records: list[dict]) -> bytes:
    return "".join(map(to_line, records)).encode(errors=_ESCAPE)


def read_lines(path: Path, shape: dict[str, Any] | None = None) -> list[dict]:
    """Read the records of a file, if it is there; a last line cut off by a crash is left out.

    Parameters
    ----------
    shape : dict, optional
        The keys that every record must have, with the type of each, or a shape or a list of one.

    Raises
    ------
    MatteError
        If the file cannot be read, or another line is damaged or no such record.
    """
    try:
        # Names may hold any of the other characters that Python takes for line ends.
        lines = path.read_bytes().decode("utf-8").split("\n")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise MatteError(f"cannot read {path}: {error}") from None
    records = []
    lines = lines if lines[-1] else lines[:-1]
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        # Besides its own: integers of thousands of digits, lists nested thousands deep.
        except (ValueError, RecursionError):
            if number == len(lines):
                break
            raise MatteError(f"{path}, line {number}: not a JSON line") from None
        if wrong := _misfit(record, {} if shape is None else shape, ""):
            raise MatteError(f"{path}, line {number}: {wrong}")
        records.append(record)
    return records


def _misfit(value: Any, shape: Any, where: str) -> str:
    """Say what of a value is not as its shape wants it, or nothing."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{where or 'the line'} is no table of keys"
        keys = value if ... in shape else shape
        for key in keys:
            if key not in value:
                return f"{where}{'.' if where else ''}{key} is missing"
            inner = shape[...] if ... in shape else shape[key]
            if wrong := _misfit(value[key], inner, f"{where}{'.' if where else ''}{key}"):
                return wrong
        return ""
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{where} is no list"
        return next(filter(None, (_misfit(item, shape[0], where) for item in value)), "")
    return "" if type(value) is shape else f"{where} is of the wrong kind"


def read_finished(out: Path) -> dict[str, dict]:
    """Gather by name what earlier runs and other processes have noted as finished under `out`."""
    # The manifest is read last, as another process may be replacing the notes by it just now; where
    # there are both, notes are of samples that were made anew.
    noted = [read_lines(path, FINISHED) for path in sorted(out.glob(f"{_PARTIAL}-*"))]
    records = [*read_lines(out / NAME, FINISHED), *itertools.chain.from_iterable(noted)]
    return {record["name"]: record for record in records}


def write(out: Path, records: list[dict]) -> None:
    """Write the manifest whole, and remove the notes it was gathered from."""
    write_whole(out / NAME, _to_bytes(records))
    for path in out.glob(f"{_PARTIAL}-*"):
        path.unlink(missing_ok=True)


def part_path(out: Path, rank: int) -> Path:
    """Say where a rank notes the samples it has finished."""
    return out / f"{_PARTIAL}-{rank}"


def read_notes(path: Path, shape: dict[str, Any] | None = None) -> list[dict]:
    """Read what `Notes` wrote, also where a run has broken off; see `read_lines`."""
    return [record for part in (path, *_parts(path)) for record in read_lines(part, shape)]


def _parts(path: Path) -> list[Path]:
    """Name the objects that have been noted beside another one, as objects cannot grow."""
    return sorted(path.parent.glob(f"{path.name}-*")) if isinstance(path, ObjectPath) else []


class Notes:
    """A file of JSON lines that grows as a run goes on, and is taken up by the next run.

    In a store, lines go into new objects beside it, which become one at the end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: list[dict] = []
        self._count = 0
        self._file = None
        # A line that a crash cut off must not swallow the next one.
        self._gather()
        if not isinstance(path, ObjectPath):
            with clear_errors(path):
                self._file = open(path, "a", encoding="utf-8", errors=_ESCAPE)  # noqa: SIM115

    def __enter__(self) -> Notes:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        else:
            self._send()
            self._gather()

    def _gather(self) -> None:
        parts = _parts(self._path)
        write_whole(self._path, _to_bytes(read_notes(self._path)))
        for part in parts:
            part.unlink(missing_ok=True)

    def _send(self) -> None:
        if self._waiting:
            self._count += 1
            part = self._path.with_name(f"{self._path.name}-{self._count:06d}")
            write_whole(part, _to_bytes(self._waiting))
            self._waiting = []

    def add(self, record: dict) -> None:
        """Write one line."""
        if self._file is None:
            self._waiting.append(record)
            if len(self._waiting) == _LINES_OF_A_PART:
                self._send()
            return
        with clear_errors(self._path):
            self._file.write(to_line(record))
            self._file.flush()
