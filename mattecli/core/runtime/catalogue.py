"""Public networks by name: where they are, under what licence, and how they take pictures."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from mattecli.core.errors import MatteError, suggest
from mattecli.core.runtime.downloading import download_resuming
from mattecli.core.runtime.named_weights import (
    Weights,
    cache_folder,
    list_weights,
    register_weights,
)
from mattecli.core.storage import locked
from mattecli.core.toml import from_table, read_toml

#: Where files are fetched from instead of their own address: a folder of them, at an address.
MIRROR = "MATTE_WEIGHTS_MIRROR"
_FILE = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True)
class Entry:
    """A network.

    Attributes
    ----------
    about : str
        What it was made for.
    licence, commercial : str
        The licence, and whether it lets the network be used to earn money: yes, no or unknown.
    page : str
        Its authors' page.
    url : str
        Of the ONNX file; empty where it has to be fetched by hand.
    bytes : int
        Its length; 0 is not known.
    sha256, md5 : str
        What is known of its content.
    preset : str
        How it takes pictures, see `PRESETS`; empty for one that cannot run here.
    settings : dict
        What differs from that.
    elsewhere : str
        Where else the file can be had.
    note : str
        What its authors say of its use beside the licence.
    """

    about: str
    licence: str
    commercial: str = field(metadata={"choices": ("yes", "no", "unknown")})
    page: str
    url: str = ""
    bytes: int = 0
    sha256: str = ""
    md5: str = ""
    preset: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    elsewhere: str = ""
    note: str = ""

    @property
    def checksum(self) -> str:
        """What is known of the file's content, in a few words."""
        if self.sha256:
            return f"SHA-256 {self.sha256}"
        return f"MD5 {self.md5}" if self.md5 else "recorded at the first download"


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Entry]:
    """Give all networks that are known, by name."""
    entries: dict[str, Any] = read_toml(_FILE)
    return {name: from_table(Entry, table) for name, table in entries.items()}


def find_entry(name: str) -> Entry:
    """Find a network by its name.

    Raises
    ------
    MatteError
        If it is not known, or cannot run here.
    """
    known = catalogue()
    if name not in known:
        raise MatteError(
            f"no network '{name}' in the catalogue: {suggest(name, known)} "
            "('matte weights list' shows them)"
        )
    if not known[name].preset:
        raise MatteError(f"{name} {known[name].about}: {known[name].page}")
    return known[name]


def fetch(name: str, file: Path | None = None) -> Weights:
    """Download a network, or take it from a file, check it, and give it its name.

    What broke off is resumed if the file's content is known, so that parts of two files cannot
    come together. Proxies are those of the environment; `MIRROR` names another place.

    Parameters
    ----------
    file : Path, optional
        The file, if it has been fetched by hand.

    Raises
    ------
    MatteError
        If it is not known, is there already, cannot be had, or is not the right file.
    """
    entry = find_entry(name)
    _check_new(name)
    if file is not None:
        _check(file, entry, str(file))
        return register_weights(name, file, _spec(entry), licence=_licence(entry))
    address = _address(name, entry)
    partial = cache_folder() / f".{name}.onnx.part"
    # Two at once would write into one another's part.
    with locked(partial):
        _check_new(name)
        return _downloaded(name, entry, address, partial)


def _check_new(name: str) -> None:
    if name in list_weights():
        raise MatteError(f"{name} is there already: matte predict … --weights {name}")


def _downloaded(name: str, entry: Entry, address: str, partial: Path) -> Weights:
    try:
        download_resuming(address, partial, entry.bytes, resume=bool(entry.sha256 or entry.md5))
    except MatteError as error:
        raise MatteError(f"{error}; {by_hand(name, entry)}") from None
    try:
        _check(partial, entry, address)
    except MatteError:
        partial.unlink(missing_ok=True)
        raise
    return register_weights(name, partial, _spec(entry), licence=_licence(entry), move=True)


def by_hand(name: str, entry: Entry) -> str:
    """Say how to go on without a connection."""
    places = " or ".join(filter(None, (entry.url, entry.elsewhere))) or entry.page
    checked = f" ({entry.checksum})" if entry.sha256 or entry.md5 else ""
    return f"by hand: get {places}{checked}, then 'matte weights get {name} --file FILE'"


def _address(name: str, entry: Entry) -> str:
    if mirror := os.environ.get(MIRROR):
        if "://" not in mirror:
            raise MatteError(f"{MIRROR}={mirror} is no address: write it as https://HOST/FOLDER")
        return f"{mirror.rstrip('/')}/{(entry.url or name + '.onnx').rpartition('/')[2]}"
    if not entry.url:
        raise MatteError(f"{name} cannot be downloaded by this program: {by_hand(name, entry)}")
    return entry.url


def _spec(entry: Entry) -> dict[str, Any]:
    return {"preset": entry.preset, **entry.settings}


def _licence(entry: Entry) -> str:
    return entry.licence + (" (not commercial)" if entry.commercial == "no" else "")


def _check(path: Path, entry: Entry, source: str) -> None:
    """Raise `MatteError` if a file is not the one that the catalogue knows."""
    try:
        length = path.stat().st_size
        if entry.bytes and length != entry.bytes:
            raise MatteError(f"{source} is {length} bytes long, not {entry.bytes}")
        for kind in ("sha256", "md5"):
            wanted = getattr(entry, kind)
            if not wanted:
                continue
            if (found := _digest(path, kind)) != wanted:
                raise MatteError(f"{source} has the {kind.upper()} {found}, not {wanted}")
    except OSError as error:
        raise MatteError(f"cannot read {source}: {error.strerror or error}") from None


def _digest(path: Path, kind: str) -> str:
    digest = hashlib.new(kind)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
