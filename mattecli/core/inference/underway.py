"""Which photos are being cut, on the disk: one that ends the process is known to the next run."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mattecli.core.objects.paths import ObjectPath
from mattecli.core.storage import abandoned_files, process_file

_PURPOSE = "underway"
# Of a name; longer ones than any file or object has are not told from one another.
_SLOT_BYTES = 4096


class Underway:
    """Notes the photos that are under way in a file, which stays only if the process dies.

    Each has a place of its own in the file, so that the file does not grow, and a photo costs two
    writes. Where none can be written, as on a full disk, nothing is noted.

    Parameters
    ----------
    out : Path
        Folder of the results. The file is in it, or, for an object store, among the user's caches.
    """

    def __init__(self, out: Path) -> None:
        self._folder = _folder_for(out)
        self._lock = threading.Lock()
        self._slots: dict[str, int] = {}
        self._free: list[int] = []
        self._file: BinaryIO | None = None
        self._suspects: set[str] = set()

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        """Begin to note; what processes that died had under way are suspects from here on."""
        earlier = list(abandoned_files(self._folder, _PURPOSE))
        self._suspects = {name for path in earlier for name in _names_in(path)}
        made = [path for path in (self._folder, *self._folder.parents) if not path.exists()]
        path = process_file(self._folder, _PURPOSE)
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb", buffering=0)
        for name in self._suspects:
            self.begin(name)
        with contextlib.suppress(OSError):
            for old in earlier:
                if old != path:
                    old.unlink(missing_ok=True)
        try:
            yield
        finally:
            self._close(path)
            with contextlib.suppress(OSError):
                for folder in made:  # unless there are results
                    folder.rmdir()

    def is_suspect(self, name: str) -> bool:
        """Tell whether a photo was under way in a process that died."""
        return name in self._suspects

    def begin(self, name: str) -> None:
        """Note that a photo is under way."""
        with self._lock:
            slot = self._slots.get(name)
            if slot is None:
                slot = self._free.pop() if self._free else len(self._slots)
                self._slots[name] = slot
            self._write(slot, os.fsencode(name)[: _SLOT_BYTES - 1])

    def end(self, name: str) -> None:
        """Note that a photo is not under way any more, and no suspect."""
        with self._lock:
            slot = self._slots.pop(name, None)
            if slot is not None:
                self._free.append(slot)
                self._write(slot, b"")
            self._suspects.discard(name)

    def end_all_but(self, names: set[str]) -> None:
        """Note that of the suspects only these still are any."""
        for name in self._suspects - names:
            self.end(name)

    def _write(self, slot: int, name: bytes) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.seek(slot * _SLOT_BYTES)
                self._file.write(name.ljust(_SLOT_BYTES, b"\0"))

    def _close(self, path: Path) -> None:
        """Leave the suspects that are left, if there are any, for the next run."""
        for name in self._slots.keys() - self._suspects:
            self.end(name)
        if self._file is not None:
            self._file.close()
            self._file = None
            if not self._suspects:
                path.unlink(missing_ok=True)


def _folder_for(out: Path) -> Path:
    if not isinstance(out, ObjectPath):
        return out
    import platformdirs

    place = hashlib.sha256(str(out).encode()).hexdigest()[:16]
    return platformdirs.user_cache_path("mattecli") / "underway" / place


def _names_in(path: Path) -> Iterator[str]:
    try:
        content = path.read_bytes()
    except OSError:
        return
    for start in range(0, len(content), _SLOT_BYTES):
        if name := content[start : start + _SLOT_BYTES].rstrip(b"\0"):
            yield os.fsdecode(name)
