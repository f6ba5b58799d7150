"""The lines that a report has from earlier runs, so that each photo keeps one."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mattecli.core.storage import whole_file

Line = dict[str, Any]


class EarlierLines:
    """What a report says already, kept outside of memory.

    A line counts until a later one tells of the same photo and results; that a photo failed counts
    until any later line tells of the photo. What is no such line stays as it is, but for a last one
    that a killed process did not finish.

    Parameters
    ----------
    path : Path
        The report.
    tidies : bool
        Whether lines that no longer count are taken out of the file, now and by `close`.
    """

    def __init__(self, path: Path, *, tidies: bool) -> None:
        self._path = path
        self._tidies = tidies
        self._is_stale = False
        self._undone: set[bytes] = set()
        # A temporary file of SQLite's own: names of millions of photos would fill the memory.
        self._numbers = sqlite3.connect("")
        self._numbers.execute("CREATE TABLE lines (key BLOB PRIMARY KEY, number INT) WITHOUT ROWID")
        self._tidy()

    def tell_of(self, line: Line) -> bool:
        """Tell whether there is a line of these results of this photo."""
        return self._number(_key(line)) is not None

    def add(self, line: Line, outputs: dict[str, str]) -> None:
        """Take note of a new line, and of the results that were meant, should there be none."""
        done = _key({**line, "outputs": outputs})
        was_done = self._number(done) is not None
        if was_done or self._number(_key({**line, "outputs": {}})) is not None:
            self._is_stale = True
        if was_done and not line["outputs"]:
            self._undone.add(done)

    def close(self) -> None:
        """Take the lines out of the file that those of this run have replaced."""
        if self._is_stale:
            self._tidy()
        self._numbers.close()

    def _tidy(self) -> None:
        """Learn which lines there are, and take out of the file what no longer counts."""
        self._numbers.execute("DELETE FROM lines")
        count = 0
        for count, (_, line) in enumerate(self._read(), start=1):
            if line is not None:
                self._note(line, count)
        kept = sum(1 for _ in self._that_count())
        if kept == count or not self._tidies:
            return
        with whole_file(self._path) as temporary, temporary.open("wb") as file:
            file.writelines(self._that_count())

    def _note(self, line: Line, number: int) -> None:
        self._numbers.execute("REPLACE INTO lines VALUES (?, ?)", (_key(line), number))
        if line["outputs"]:
            failed = _key({**line, "outputs": {}})
            self._numbers.execute("DELETE FROM lines WHERE key = ?", (failed,))

    def _number(self, key: bytes) -> int | None:
        found = self._numbers.execute("SELECT number FROM lines WHERE key = ?", (key,)).fetchone()
        return found and found[0]

    def _that_count(self) -> Iterator[bytes]:
        for number, (raw, line) in enumerate(self._read(), start=1):
            if line is None:
                counts = raw.endswith(b"\n")
            else:
                key = _key(line)
                counts = self._number(key) == number and key not in self._undone
            if counts:
                yield raw if raw.endswith(b"\n") else raw + b"\n"

    def _read(self) -> Iterator[tuple[bytes, Line | None]]:
        with self._path.open("rb") as file:
            for raw in file:
                yield raw, _line_of(raw)


def _line_of(raw: bytes) -> Line | None:
    try:
        line = json.loads(raw)
    except ValueError:
        return None
    if isinstance(line, dict) and isinstance(line.get("outputs"), dict) and "input" in line:
        return line
    return None


def _key(line: Line) -> bytes:
    text = json.dumps([line["input"], sorted(line["outputs"].items())])
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
