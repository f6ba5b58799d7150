"""The one way to write files: whole or not at all, and every OSError as one line."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from mattecli.core.errors import MatteError, OutputUnusable
from mattecli.core.objects.paths import ObjectPath, located
from mattecli.core.objects.stores import check_writable, write_object

# After one of these no other file in the same place can be written either.
_HOPELESS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}

# Temporary files are made private; a finished file shall be as readable as any other.
_UMASK = os.umask(0o077)
os.umask(_UMASK)

# The leading dot hides what a killed process leaves behind. The name does not grow with that of the
# file, which may have the full 255 bytes. Machine and process tell whether anybody still writes it.
_MACHINE = f"{zlib.crc32(os.uname().nodename.encode()):08x}" if hasattr(os, "uname") else "local"
_TEMPORARY = re.compile(rf"\.matte-{_MACHINE}-(\d+)-(\w+)\.tmp")
# Links to what is open already, which may be a file.
_STREAM = re.compile(r"/dev/(stdout|stderr|fd/\d+)|/proc/(self|\d+)/fd/\d+")

_swept: set[Path] = set()
_sweeping = threading.Lock()


@contextlib.contextmanager
def whole_file(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a temporary name beside `path`, to be renamed to it: `path` never holds half a file.

    The temporary file is renamed when the block ends well and removed when it does not. Missing
    folders are made. A link is replaced itself, see `followed`; the new file is as readable as the
    old one. What is meant for an object or a pipe is written to a file on this machine first, and
    sent where it belongs.

    Parameters
    ----------
    durable : bool
        Whether the file is on the disk before it is renamed; caches can do without.

    Raises
    ------
    OutputUnusable
        If the disk is full or the folder cannot be written to.
    MatteError
        If only this file cannot be written.
    """
    path = located(path)
    if isinstance(path, ObjectPath):
        with _whole_object(path) as local:
            yield local
        return
    temporary: Path | None = None
    with clear_errors(path):
        mode = _mode_of(path)
        if _STREAM.fullmatch(str(path)) or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            with _sent_through(path) as local:
                yield local
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _sweep_once(path.parent)
            descriptor, name = tempfile.mkstemp(
                prefix=f".matte-{_MACHINE}-{os.getpid()}-", suffix=".tmp", dir=path.parent
            )
            temporary = Path(name)
            try:
                yield temporary
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.chmod(temporary, stat.S_IMODE(mode) & 0o777)
            os.replace(temporary, path)
        except BaseException:
            if temporary is not None:
                temporary.unlink(missing_ok=True)
            raise


def followed(path: Path) -> Path:
    """Give what a link leads to that a user has named as the place of a file.

    Links among the files of a folder are not followed: theirs may belong to somebody else.
    """
    is_link = not isinstance(located(path), ObjectPath) and path.is_symlink()
    return Path(os.path.realpath(path)) if is_link and not _STREAM.fullmatch(str(path)) else path


def _mode_of(path: Path) -> int:
    """Give kind and permissions of what is there, or those of a new file."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return stat.S_IFREG | (0o666 & ~_UMASK)


@contextlib.contextmanager
def _sent_through(path: Path) -> Iterator[Path]:
    """Give a temporary name for what a pipe or a device gets once it is whole."""
    with tempfile.TemporaryDirectory(prefix="matte-") as folder:
        temporary = Path(folder, f"file{path.suffix}")
        yield temporary
        # A stream may lead to a file that others write to as well.
        with temporary.open("rb") as file, path.open("ab") as target:
            shutil.copyfileobj(file, target)


@contextlib.contextmanager
def _whole_object(path: ObjectPath) -> Iterator[Path]:
    check_writable(path)
    with tempfile.TemporaryDirectory(prefix="matte-") as folder:
        # The suffix tells many a writer what to write.
        temporary = Path(folder, f"object{path.suffix}")
        yield temporary
        write_object(path, temporary)


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`; see `whole_file` for what may go wrong."""
    path = located(path)
    if isinstance(path, ObjectPath):
        write_object(path, data)
        return
    with whole_file(path) as temporary, temporary.open("wb") as file:
        file.write(data)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until no other process or thread holds `path`, which is read and then changed here.

    Missing folders are made. Where a file system has no locks nobody waits.

    Raises
    ------
    MatteError
        If a file beside `path` cannot be made.
    """
    lock = path.with_name(f".{path.name}.lock")
    with clear_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _hold(lock)
    try:
        yield
    finally:
        # Windows lets no open file be removed.
        with contextlib.suppress(OSError):
            lock.unlink()
        os.close(descriptor)


def _hold(lock: Path) -> int:
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        with contextlib.suppress(OSError):
            _wait_for(descriptor)
        # Whoever held it has removed it, and the next one may hold a new file of that name.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                return descriptor
        os.close(descriptor)


def _wait_for(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        while True:
            with contextlib.suppress(PermissionError):
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
                return
            time.sleep(0.05)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)


@contextlib.contextmanager
def clear_errors(path: Path | str) -> Iterator[None]:
    """Turn an OSError while `path` is written into a `MatteError` with file and reason.

    Raises
    ------
    OutputUnusable
        If the disk is full or the folder cannot be written to.
    MatteError
        On any other OSError.
    """
    try:
        yield
    except OSError as error:
        kind = OutputUnusable if error.errno in _HOPELESS else MatteError
        raise kind(f"cannot write {path}: {error.strerror or error}") from None


def check_folder(folder: Path) -> None:
    """Raise `OutputUnusable` if a file stands where a folder for results is to be."""
    if isinstance(located(folder), ObjectPath):
        return
    for place in (folder, *folder.parents):
        if place.is_dir():
            return
        if place.exists():
            raise OutputUnusable(f"cannot write into {folder}: {place} is a file, not a folder")


def sweep(folder: Path) -> None:
    """Remove the temporary files in `folder` whose process on this machine has ended."""
    for path in abandoned_files(folder):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def process_file(folder: Path, purpose: str) -> Path:
    """Name a file of this process in `folder`; `abandoned_files` finds it when the process died."""
    return folder / f".matte-{_MACHINE}-{os.getpid()}-{purpose}.tmp"


def abandoned_files(folder: Path, purpose: str = "") -> Iterator[Path]:
    """Give the temporary files in `folder` whose process on this machine has ended.

    Parameters
    ----------
    purpose : str
        Of `process_file`; those of a process that had this one's number count, too.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            if match is None or (purpose and match[2] != purpose):
                continue
            process = int(match[1])
            # In a container every process may have the same number.
            if not _is_alive(process) or (purpose and process == os.getpid()):
                yield Path(entry.path)


def _sweep_once(folder: Path) -> None:
    """Sweep a folder when this process first writes to it: listing a large one takes time."""
    with _sweeping:
        if folder in _swept:
            return
        _swept.add(folder)
    sweep(folder)


def _is_alive(process: int) -> bool:
    # Signal 0 would end the process on Windows.
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
