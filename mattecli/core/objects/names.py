"""The names of objects: addresses such as ``s3://bucket/folder/x.jpg`` in parts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    _Base = Path
else:
    _Base = type(Path())

#: The extra of mattecli that each kind of address needs.
EXTRAS = {
    "s3": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "memory": "objects",
    "zip": "objects",
    "http": "objects",
    "https": "objects",
}
READ_ONLY = ("http", "https", "zip")

#: In front of the archive's own address, which is the second part of a path into an archive.
ARCHIVE = "@"


class ObjectName(_Base):
    """The name of an object, or what the names of several begin with; `str` gives the address.

    Attributes
    ----------
    size : int or None
        Bytes of the object, where it was listed.
    """

    size: int | None = None

    @property
    def protocol(self) -> str:
        """What the address begins with, such as ``s3``."""
        return self.parts[0][:-1]

    @property
    def archive(self) -> str | None:
        """The address of the archive that this lies in."""
        inside = self.protocol == "zip" and len(self.parts) > 1
        return unquote(self.parts[1][len(ARCHIVE) :]) if inside else None

    @property
    def key(self) -> str:
        """What the store calls it."""
        if self.protocol in ("http", "https"):
            return str(self)
        return "/".join(self.parts[2 if self.protocol == "zip" else 1 :])

    @property
    def is_read_only(self) -> bool:
        """Whether nothing can be written there."""
        return self.protocol in READ_ONLY

    def __str__(self) -> str:
        parts = self.parts
        if not parts or parts[0][:-1] not in EXTRAS:
            return "/".join(parts) or "."  # below another one, as relative_to() gives it
        if self.archive:
            return f"zip://{'/'.join(parts[2:])}::{self.archive}"
        return f"{parts[0]}//{'/'.join(parts[1:])}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"
