"""Addresses of objects as paths, so that whatever names, pairs and walks files knows them too."""

from __future__ import annotations

import io
import itertools
import os
import re
from collections.abc import Generator
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from mattecli.core.errors import MatteError
from mattecli.core.objects.listing import list_objects
from mattecli.core.objects.names import ARCHIVE, EXTRAS, READ_ONLY, ObjectName
from mattecli.core.objects.stores import read_object, remove_object, size_of

# A path keeps only one of the two slashes.
_ADDRESS = re.compile(rf"({'|'.join(EXTRAS)}):/+(.*)", re.DOTALL)


class ObjectPath(ObjectName):
    """A place in an object store: an object, or what the names of several begin with.

    Made by `located`. Parts, parents and suffixes are those of any path; what a file system would
    be asked is asked of the store.
    """

    def __fspath__(self) -> str:
        raise MatteError(f"{self} is in an object store: this needs a file on this machine")

    def __reduce__(self) -> Any:
        return _object_path, (tuple(self.parts), self.size)

    def resolve(self, strict: bool = False) -> ObjectPath:
        """Give itself: there are no links."""
        return self

    def absolute(self) -> ObjectPath:
        """Give itself."""
        return self

    def exists(self, **_: Any) -> bool:
        """Tell whether there is such an object, or any below it."""
        return self.is_file() or self.is_dir()

    def is_file(self, **_: Any) -> bool:
        """Tell whether there is such an object."""
        return size_of(self) is not None

    def is_dir(self, **_: Any) -> bool:
        """Tell whether there are objects below it."""
        return next(list_objects(self), None) is not None

    def is_symlink(self) -> bool:
        """Tell that it is no link."""
        return False

    def glob(self, pattern: str, **_: Any) -> Generator[Any, None, None]:
        """List the objects straight below it whose names match; sorted."""
        if "**" in pattern or "/" in pattern:
            raise NotImplementedError(pattern)
        start = re.split(r"[*?\[]", pattern)[0]
        # Names in order: what comes before the pattern's start is not asked for, what is behind it
        # is left.
        names = (found.name for found in list_objects(self, after=start[:-1]))
        near = itertools.takewhile(lambda name: name[: len(start)] <= start, names)
        return (self / n for n in list(near) if "/" not in n and PurePath(n).match(pattern))

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Do nothing: folders are there as soon as something is in them."""

    def read_bytes(self) -> bytes:
        """Read the whole object.

        Raises
        ------
        FileNotFoundError
            If there is none.
        MatteError
            If it cannot be read.
        """
        if size_of(self) is None:
            raise FileNotFoundError(str(self))
        return read_object(self)

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        """Read the whole object as text; see `read_bytes`."""
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def open(self, mode: str = "r", *_: Any, **__: Any) -> Any:
        """Open the object for reading bytes.

        Raises
        ------
        MatteError
            If it cannot be read, or is to be written, which `whole_file` is for.
        """
        if mode != "rb":
            raise MatteError(f"{self} is in an object store: this needs a file on this machine")
        return io.BytesIO(self.read_bytes())

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the object.

        Raises
        ------
        MatteError
            If it cannot be removed.
        """
        remove_object(self)


def _object_path(parts: tuple[str, ...], size: int | None) -> ObjectPath:
    path = ObjectPath(*parts)
    path.size = size
    return path


def is_object(text: str | PurePath) -> bool:
    """Tell whether this is the address of an object, also of one that was taken for a path."""
    return isinstance(text, ObjectPath) or _ADDRESS.fullmatch(str(text)) is not None


def located(place: str | PurePath) -> Path:
    """Give the path that a text names: one on this machine, or an `ObjectPath`.

    A file that is called like an address is no object.

    Raises
    ------
    MatteError
        If an address names no place, or holds credentials.
    """
    if isinstance(place, ObjectPath):
        return place
    found = _ADDRESS.fullmatch(str(place))
    if found is None or Path(place).exists():
        return Path(place)
    protocol, rest = found.groups()
    if re.match(r"[^/]*:[^/]*@", rest) or (protocol.startswith("http") and re.search("[?#]", rest)):
        shown = re.sub(r"^[^/]*@|[?#].*", "", rest, flags=re.DOTALL)
        raise MatteError(
            f"{protocol}://{shown}: credentials and queries do not belong into an address, log in "
            "as the library of the store says"
        )
    if protocol == "zip":
        inside, separator, archive = rest.partition("::")
        if not separator or not archive:
            raise MatteError(
                f"zip://{rest}: name the archive behind ::, such as zip://::photos.zip"
            )
        return ObjectPath("zip:", ARCHIVE + quote(archive, safe=""), inside)
    if not rest.strip("/"):
        raise MatteError(f"{protocol}:// names no place: a bucket goes behind it")
    return ObjectPath(f"{protocol}:", rest)


def located_results(place: str | PurePath) -> Path:
    """Give the path that a text names as the place of results; see `located`.

    Raises
    ------
    MatteError
        Also if it begins like an address, of which a folder here would be made.
    """
    path, text = located(place), str(place)
    slashes = "//" if isinstance(place, str) else "/"
    # A scheme of one letter is a drive of Windows.
    is_address = re.match(rf"[A-Za-z][A-Za-z0-9+.-]+:{slashes}", text)
    if not is_address or isinstance(path, ObjectPath) or path.exists():
        return path
    known = ", ".join(f"{name}://" for name in EXTRAS if name not in (*READ_ONLY, "memory"))
    raise MatteError(
        f"{text} is no place for results: name one on this machine by its path, or an address with "
        f"{known}"
    )


def real_place(path: Path) -> str:
    """Give what tells two places apart, however they are named: links of this machine followed."""
    return str(path) if isinstance(path, ObjectPath) else os.path.realpath(path)
