"""The index of weights in a folder: what is known of each, as TOML."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from mattecli.core.errors import MatteError
from mattecli.core.storage import locked, write_whole
from mattecli.core.toml import from_table, read_toml

INDEX = "index.toml"


@dataclass(frozen=True)
class Record:
    """What the index beside the files says of one of them."""

    file: str
    sha256: str
    licence: str = ""
    figures: str = ""
    int8_sha256: str = ""


def read_index(folder: Path) -> dict[str, Record]:
    """Give the records of a folder by the weights' names; none if it has no index.

    Raises
    ------
    MatteError
        If the index is not understood.
    """
    path = folder / INDEX
    if not path.is_file():
        return {}
    try:
        return {name: from_table(Record, entry) for name, entry in read_toml(path).items()}
    except ValueError as error:
        raise MatteError(f"{path}: {error}") from None


@contextlib.contextmanager
def hold_index(folder: Path) -> Iterator[dict[str, Record]]:
    """Give the records of a folder, which nobody else changes before the block ends.

    Files that the records name are put in place and removed in the block, too.
    """
    with locked(folder / INDEX):
        yield read_index(folder)


def write_index(folder: Path, records: dict[str, Record]) -> None:
    """Write the index of a folder whole."""
    import tomli_w

    text = tomli_w.dumps({name: asdict(record) for name, record in records.items()})
    write_whole(folder / INDEX, text.encode())
