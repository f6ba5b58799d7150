"""The manifest: one JSON line a sample, enough to make the sample again."""

from __future__ import annotations

import json
from pathlib import Path

from mattecli.core.errors import MatteError
from mattecli.core.storage import clear_errors, write_whole

NAME = "manifest.jsonl"
RECIPE_NAME = "recipe.toml"
_PARTIAL = ".manifest.part"


def to_line(record: dict) -> str:
    """Write a record as one line, the same for the same record."""
    return json.dumps(record, ensure_ascii=False, separators=(", ", ": ")) + "\n"


def read_lines(path: Path) -> list[dict]:
    """Read the records of a file, if it is there; a last line cut off by a crash is left out.

    Raises
    ------
    MatteError
        If the file cannot be read or another line is damaged.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise MatteError(f"cannot read {path}: {error}") from None
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            if number == len(lines):
                break
            raise MatteError(f"{path}, line {number}: not a JSON line") from None
    return records


def read_finished(out: Path) -> dict[str, dict]:
    """Gather by name what earlier runs and other processes have noted as finished under `out`."""
    # The manifest last: another process may be replacing the notes by it just now.
    paths = [*sorted(out.glob(f"{_PARTIAL}-*")), out / NAME]
    return {record["name"]: record for path in paths for record in read_lines(path)}


def write(out: Path, records: list[dict]) -> None:
    """Write the manifest whole, and remove the notes it was gathered from."""
    write_whole(out / NAME, "".join(map(to_line, records)).encode())
    for path in out.glob(f"{_PARTIAL}-*"):
        path.unlink(missing_ok=True)


def part_path(out: Path, rank: int) -> Path:
    """Say where a rank notes the samples it has finished."""
    return out / f"{_PARTIAL}-{rank}"


class Notes:
    """A file of JSON lines that grows as a run goes on, and is taken up by the next run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # A line that a crash cut off must not swallow the next one.
        write_whole(path, "".join(map(to_line, read_lines(path))).encode())
        with clear_errors(path):
            self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115

    def __enter__(self) -> Notes:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, record: dict) -> None:
        """Write one line."""
        with clear_errors(self._path):
            self._file.write(to_line(record))
            self._file.flush()
