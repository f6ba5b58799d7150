"""Objects read and written whole, with patience; what a store says becomes one line."""

from __future__ import annotations

import contextlib
import logging
import random
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from mattecli.core.errors import MatteError, OutputUnusable
from mattecli.core.extras import needs_extra
from mattecli.core.objects.names import EXTRAS, ObjectName

Answer = TypeVar("Answer")

#: Seconds, more or less, before each new try of what a store may do the next time.
WAITS = (0.2, 0.6, 2.0, 6.0, 15.0)

# What stays as it is however often it is tried.
_LASTING = (
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    FileExistsError,
    ImportError,
    NotImplementedError,
    TypeError,
    ValueError,
)
_LASTING_NAMES = ("BadZipFile", "ParamValidationError")
_NO_CREDENTIALS = ("Credentials", "ProfileNotFound", "TokenRetrieval", "SSOToken")
# Where addresses that libraries name in their messages could hold some.
_CREDENTIALS = re.compile(r"(?<=//)[^/\s@]*@|\?\S+|(?i:signature|credential|token|secret)=\S+")

# What these write to standard error, where no one has set up logging, is said in one line here.
_TALKATIVE = ("adlfs", "asyncio", "azure", "gcsfs", "s3fs")

_systems: dict[tuple[str, str | None], Any] = {}
_opening = threading.Lock()


def file_system(path: ObjectName) -> Any:
    """Give the fsspec file system that a path belongs to, one for the process.

    Raises
    ------
    MatteError
        If a library is missing, or the store cannot be opened.
    """
    place = path.protocol, path.archive
    with _opening:
        if place not in _systems:
            try:
                _systems[place] = attempt(path, "open", lambda: _open(*place))
            except FileNotFoundError as error:
                raise MatteError(f"cannot open {path}: {_reason(error)}") from None
        return _systems[place]


def _open(protocol: str, archive: str | None) -> Any:
    for name in _TALKATIVE:
        logging.getLogger(name).addHandler(logging.NullHandler())
    with needs_extra(f"{protocol}://", EXTRAS[protocol]):
        import fsspec

        if archive is not None:
            return fsspec.core.url_to_fs(f"zip://::{archive}", skip_instance_cache=True)[0]
        options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
        if protocol == "s3":
            # `attempt` does the waiting, once and not at three levels.
            options["config_kwargs"] = {"retries": {"total_max_attempts": 1}}
        system = fsspec.filesystem(protocol, **options)
        if protocol == "s3":
            system.retries = 1
        return system


def attempt(
    path: ObjectName, doing: str, operation: Callable[[], Answer], *, writing: bool = False
) -> Answer:
    """Do something with a store, again and again where that may help.

    Parameters
    ----------
    doing : str
        For the message: "cannot <doing> <path>".

    Raises
    ------
    FileNotFoundError
        If there is no such object, unless something was written.
    OutputUnusable
        If nothing can be written there.
    MatteError
        If it did not work.
    """
    for wait in (*WAITS, None):
        try:
            return operation()
        except MatteError:
            raise
        except FileNotFoundError:
            if not writing:
                raise
            raise OutputUnusable(
                f"cannot {doing} {path}: there is no {path.protocol}://{path.parts[1]}"
            ) from None
        # Libraries of stores raise anything, and what passes is known to none of them alone.
        except Exception as error:
            lasting = isinstance(error, _LASTING) or type(error).__name__ in _LASTING_NAMES
            if _lacks_credentials(error) or lasting or wait is None:
                unusable = writing and not isinstance(error, (ValueError, TypeError))
                kind = OutputUnusable if unusable else MatteError
                raise kind(f"cannot {doing} {path}: {_reason(error)}") from None
        time.sleep(wait * random.uniform(0.5, 1.5))
    raise AssertionError("the last try returns or raises")


def _lacks_credentials(error: Exception) -> bool:
    return any(part in type(error).__name__ for part in _NO_CREDENTIALS)


def _reason(error: Exception) -> str:
    """Say why, without anything that is secret."""
    if _lacks_credentials(error):
        return "no credentials were found: log in as the library of the store says"
    # What is said first; Azure goes on with its whole answer.
    text = (getattr(error, "strerror", None) or str(error)).strip().partition("\n")[0]
    return _CREDENTIALS.sub("", " ".join(str(text).split())) or type(error).__name__


def read_object(path: ObjectName, most: int | None = None) -> bytes:
    """Read an object.

    Parameters
    ----------
    most : int, optional
        No more than that many bytes and one, which tells that there are more.

    Raises
    ------
    MatteError
        If it is not there or cannot be read.
    """
    system = file_system(path)

    def read() -> bytes:
        if most is None:
            return system.cat_file(path.key)
        if path.protocol in ("http", "https"):  # not every server knows ranges
            with system.open(path.key, "rb") as file:
                return file.read(most + 1)
        try:
            return system.cat_file(path.key, start=0, end=most + 1)
        except FileNotFoundError:
            raise
        except Exception:
            # Nothing is in the range of an empty object.
            if size_of(path) == 0:
                return b""
            raise

    try:
        return attempt(path, "read", read)
    except FileNotFoundError:
        raise MatteError(f"{path} does not exist") from None


def size_of(path: ObjectName) -> int | None:
    """Give the length of an object in bytes, -1 if the store does not say; None if it is not there.

    Raises
    ------
    MatteError
        If the store cannot be asked.
    """
    system = file_system(path)
    try:
        info = attempt(path, "look for", lambda: system.info(path.key))
    except FileNotFoundError:
        return None
    if info.get("type") == "directory":
        return None
    size = info.get("size")
    return -1 if size is None else int(size)


def write_object(path: ObjectName, content: bytes | Path) -> None:
    """Write an object whole: it is there with all its bytes, or as before.

    Parameters
    ----------
    content : bytes or Path
        Bytes, or a file of this machine that holds them. Long ones go in parts, which are put
        together at the end and dropped if one fails.

    Raises
    ------
    OutputUnusable
        If nothing can be written there.
    MatteError
        If only this object cannot be written.
    """
    check_writable(path)
    system = file_system(path)
    if isinstance(content, bytes):
        data = content
        attempt(path, "write", lambda: system.pipe_file(path.key, data), writing=True)
    else:
        file = str(content)
        attempt(path, "write", lambda: system.put_file(file, path.key), writing=True)


def check_writable(path: Path) -> None:
    """Refuse what nothing can be written to, before anything is done for it.

    Raises
    ------
    OutputUnusable
        If addresses of this kind are for reading only.
    MatteError
        If a library is missing.
    """
    if not isinstance(path, ObjectName):
        return
    if path.is_read_only:
        raise OutputUnusable(f"cannot write {path}: {path.protocol}:// is for reading only")
    file_system(path)


def remove_object(path: ObjectName) -> None:
    """Remove an object; none is no mistake.

    Raises
    ------
    MatteError
        If it cannot be removed.
    """
    system = file_system(path)
    with contextlib.suppress(FileNotFoundError):
        attempt(path, "remove", lambda: system.rm_file(path.key))
