"""What is in a store: one object after the other in the order of their names, page by page."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

from mattecli.core.errors import MatteError
from mattecli.core.objects.names import ObjectName
from mattecli.core.objects.stores import attempt, file_system, size_of

#: Objects on a page, which is as many as S3 gives at a time.
PAGE = 1000
# Folders whose names are kept, where a store is asked folder by folder.
_FOLDERS_KEPT = 8
# Objects beside those that are looked for, after which each is asked for by itself.
_MOST_BESIDE = 10_000

Name = TypeVar("Name", bound=ObjectName)


class Found(NamedTuple):
    """An object: its name below the folder that was listed, and its length in bytes."""

    name: str
    size: int


def list_objects(root: ObjectName, after: str = "") -> Iterator[Found]:
    """List what is below `root`, in the order of names; nothing if there is nothing.

    Of S3 a page is held at a time, of other stores the names of a folder and of those around it.

    Parameters
    ----------
    after : str
        Begin with the names that come after this one.

    Raises
    ------
    MatteError
        If the store cannot be asked, or names come in another order, as from S3 Express.
    """
    before = after
    for found in _pages(root, after) if root.protocol == "s3" else _folders(root, ""):
        if found.name <= before:
            if root.protocol != "s3":
                continue  # stores that are asked by folder know no beginning
            raise MatteError(f"{root} is not listed in the order of names: use another bucket")
        yield found
        before = found.name


def existing(paths: list[Name], known: OrderedDict[ObjectName, set[str]]) -> set[Name]:
    """Tell which of these objects are there, with few questions.

    Parameters
    ----------
    known : OrderedDict
        Empty at first, and the same for one question after the other.

    Raises
    ------
    MatteError
        If the store cannot be asked.
    """
    found: set[Name] = set()
    in_order = sorted(paths, key=lambda path: (path.parts[:2], path.key))
    for _, group in itertools.groupby(in_order, key=lambda path: path.parts[:2]):
        same = list(group)
        if same[0].protocol == "s3":
            found |= _among_pages(same)
        else:
            found |= {path for path in same if path.name in _names_in(path.parent, known)}
    return found


def _among_pages(paths: list[Name]) -> set[Name]:
    """Look for objects of one bucket, sorted by key, in a list from the first to the last."""
    bucket = type(paths[0])(*paths[0].parts[:2])
    wanted = {path.relative_to(bucket).as_posix(): path for path in paths}
    names = list(wanted)
    found: set[Name] = set()
    # The greatest text that is less than the first name, for all names that there are in practice.
    start = names[0][:-1] + chr(max(ord(names[0][-1]) - 1, 0)) + "\U0010ffff"
    last = start
    for beside, entry in enumerate(list_objects(bucket, after=start)):
        if entry.name > names[-1]:
            return found
        last = entry.name
        if entry.name in wanted:
            found.add(wanted[entry.name])
        if beside > _MOST_BESIDE + len(names):
            rest = [path for name, path in wanted.items() if name > last]
            return found | {path for path in rest if size_of(path) is not None}
    return found


def _names_in(folder: ObjectName, known: OrderedDict[ObjectName, set[str]]) -> set[str]:
    if folder not in known:
        known[folder] = {name for name, _, is_folder in _entries(folder, "") if not is_folder}
        if len(known) > _FOLDERS_KEPT:
            known.popitem(last=False)
    return known[folder]


def _pages(root: ObjectName, after: str) -> Iterator[Found]:
    """List by S3's own pages, which s3fs would gather into one list."""
    system = file_system(root)
    bucket, *rest = root.parts[1:]
    prefix = "".join(f"{part}/" for part in rest)
    request: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": PAGE}
    if after:
        request["StartAfter"] = prefix + after
    while True:
        try:
            page = attempt(root, "list", lambda: system.call_s3("list_objects_v2", **request))
        except FileNotFoundError:
            raise MatteError(f"cannot list {root}: there is no bucket {bucket}") from None
        for entry in page.get("Contents", ()):
            # What consoles put for a folder ends in a slash, or is the folder itself.
            if not entry["Key"].endswith("/"):
                yield Found(entry["Key"][len(prefix) :], int(entry["Size"]))
        if not page.get("IsTruncated"):
            return
        request["ContinuationToken"] = page["NextContinuationToken"]


def _folders(root: ObjectName, below: str) -> Iterator[Found]:
    """List folder by folder, as every file system of fsspec can."""
    for name, size, is_folder in _entries(root, below):
        if is_folder:
            yield from _folders(root, below + name)
        else:
            yield Found(below + name, size)


def _entries(root: ObjectName, below: str) -> list[tuple[str, int, bool]]:
    """Give what a folder holds: name, length, and whether it is a folder; its name ends in /.

    So sorted, folders take the place that their objects have among the names of all.
    """
    system = file_system(root)
    key = "/".join(part for part in (root.key, below.rstrip("/")) if part)
    try:
        listed = attempt(root, "list", lambda: system.ls(key, detail=True))
    except (FileNotFoundError, NotADirectoryError):
        return []
    entries = []
    for entry in listed:
        name = entry["name"].rstrip("/")
        if name.strip("/") == key.strip("/"):
            continue  # the marker of the folder, or an object that was taken for one
        is_folder = entry["type"] == "directory"
        last = name.rpartition("/")[2] + "/" * is_folder
        entries.append((last, int(entry.get("size") or 0), is_folder))
    return sorted(entries)
