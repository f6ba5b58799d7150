"""Weights by name: those that ship with the program, and those in the user's cache."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

from mattecli.core.errors import MatteError, not_found, suggest
from mattecli.core.runtime.weights_index import INDEX, Record, hold_index, read_index, write_index
from mattecli.core.storage import clear_errors, whole_file, write_whole

SUFFIXES = (".safetensors", ".onnx")
#: Beside NAME.safetensors, the same network in int8. `matte export --int8` writes it.
INT8_SUFFIX = ".int8.onnx"
# What comes along with a file that is added: of other programs' networks, how to run them.
_BESIDE = {".safetensors": INT8_SUFFIX, ".onnx": ".toml"}
#: Inside an installed package, and at the top of the repository for editable installs.
_BUNDLED = (Path(__file__).parents[2] / "weights", Path(__file__).parents[3] / "weights")
_CHUNK = 1 << 20
# Letters and digits of any script, and what does no harm in the name of a file. What a name ends in
# must not make its file one of another name's.
_NAME = re.compile(r"[^\W_][\w.+-]{0,99}")
_NO_ENDINGS = (*SUFFIXES, ".int8", ".toml", ".")
# Paths keep one of an address's slashes.
_ADDRESS_AS_PATH = re.compile(r"(https?):/+(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Weights:
    """Weights that have a name."""

    name: str
    path: Path
    record: Record
    bundled: bool


def cache_folder() -> Path:
    """Where the user's weights are: ``$MATTE_WEIGHTS``, or the platform's folder for caches."""
    if folder := os.environ.get("MATTE_WEIGHTS"):
        return Path(folder)
    import platformdirs

    return platformdirs.user_cache_path("mattecli") / "weights"


def list_weights() -> dict[str, Weights]:
    """All weights that have a name, the bundled ones first."""
    bundled = next((path for path in _BUNDLED if (path / INDEX).is_file()), _BUNDLED[0])
    found: dict[str, Weights] = {}
    for folder, ships in ((bundled, True), (cache_folder(), False)):
        for name, record in read_index(folder).items():
            found.setdefault(name, Weights(name, folder / record.file, record, ships))
    return found


def find_weights(weights: str | Path | None = None) -> Path:
    """Turn the path of a weights file, or a name, into a path; None stands for ``default``.

    Raises
    ------
    MatteError
        If there is no such file, or no weights of that name.
    """
    path = Path(weights or "default")
    if weights and path.is_file():
        return path
    if address := _ADDRESS_AS_PATH.fullmatch(str(path)):
        raise MatteError(
            f"{address[1]}://{address[2]} is an address: 'matte weights add' downloads weights and "
            "gives them a name"
        )
    if path.is_dir():
        raise not_found(path)
    if path.suffix in SUFFIXES or len(path.parts) != 1:
        raise not_found(path)
    known = list_weights()
    if path.name not in known:
        raise MatteError(
            f"no weights file and no weights of the name '{path}': "
            f"{suggest(path.name, known)} ('matte weights' lists them)"
        )
    if not known[path.name].path.is_file():
        raise MatteError(f"{known[path.name].path} is gone: add the weights '{path}' again")
    return known[path.name].path


def is_sound(weights: Weights) -> bool:
    """Tell whether the file, and its int8 model if it came with one, are as the index says."""
    record, path = weights.record, weights.path
    files = {path: record.sha256}
    if record.int8_sha256:
        files[path.with_suffix(INT8_SUFFIX)] = record.int8_sha256
    return all(file.is_file() and digest(file) == found for file, found in files.items())


def add_weights(
    source: str,
    *,
    sha256: str | None = None,
    name: str | None = None,
    licence: str = "",
    figures: str = "",
) -> Weights:
    """Copy or download a weights file into the cache, under a name.

    Parameters
    ----------
    source : str
        A path, whose TOML or .int8.onnx file comes along, or an http(s) address.
    sha256 : str, optional
        What the file must have; an address needs one.
    name : str, optional
        By default the file's own, without suffix.
    licence, figures : str
        Noted in the index.

    Raises
    ------
    MatteError
        If the file cannot be had, is no weights file or not the right one, or the name is taken;
        the cache is then as it was.
    """
    # A client of http takes long to import, and cutting a photo needs none.
    from mattecli.core.runtime.downloading import download, parse_address

    address = parse_address(source)
    remote = address is not None
    file = Path(unquote(address.path) if address else source)
    name = file.stem if name is None else name
    _check_source(source, file, sha256, remote=remote)
    check_name(name)
    _check_free(name)

    folder = cache_folder()
    target = folder / f"{name}{file.suffix}"
    with contextlib.ExitStack() as held:
        with whole_file(target) as partial:
            with partial.open("wb") as opened:
                found = _digest(_written(download(source) if remote else _read(file), opened))
            if sha256 and found != sha256.lower():
                raise MatteError(
                    f"{source} has the SHA-256 {found}, not {sha256}: it is another file"
                )
            _check_readable(partial, file.suffix, source)
            # No sooner: nobody shall wait for a download. The name may be another's meanwhile.
            records = held.enter_context(hold_index(folder))
            _check_free(name)
        int8 = "" if remote else _bring_along(file, target)
        record = Record(target.name, found, licence, figures, int8)
        write_index(folder, {**records, name: record})
    return Weights(name, target, record, bundled=False)


def register_weights(
    name: str, file: Path, spec: dict[str, Any], *, licence: str = "", move: bool = False
) -> Weights:
    """Give an ONNX file a name and a place in the cache, with how it takes pictures beside it.

    Parameters
    ----------
    spec : dict
        What its TOML file says, see `PreprocessingSpec`.
    move : bool
        Whether the file is in the cache already, under another name, and is only renamed.

    Raises
    ------
    MatteError
        If it cannot be read or written; the cache is then as it was.
    """
    import tomli_w

    folder = cache_folder()
    target = folder / f"{name}.onnx"
    found = digest(file)
    record = Record(target.name, found, licence)
    with hold_index(folder) as records:
        if move:
            with clear_errors(target):
                os.replace(file, target)
        else:
            with whole_file(target) as partial:
                shutil.copyfile(file, partial)
        write_whole(target.with_suffix(".toml"), tomli_w.dumps(spec).encode())
        write_index(folder, {**records, name: record})
    return Weights(name, target, record, bundled=False)


def remove_weights(name: str) -> list[Path]:
    """Take weights out of the cache, with what came along, and give the files that are gone.

    Raises
    ------
    MatteError
        If there are none of this name in the cache.
    """
    folder = cache_folder()
    known = read_index(folder)
    if name not in known:
        if name in list_weights():
            raise MatteError(f"the weights '{name}' came with the program, and stay")
        raise MatteError(f"no weights '{name}' in {folder}: {suggest(name, known)}")
    path = folder / known[name].file
    files = [path, path.with_suffix(_BESIDE[path.suffix])]
    with hold_index(folder) as records:
        # What is not listed is not there any more, whatever happens to its files.
        records.pop(name, None)
        write_index(folder, records)
        gone = [file for file in files if file.is_file()]
        for file in gone:
            with clear_errors(file):
                file.unlink()
    return gone


def check_name(name: str) -> None:
    """Refuse a name for weights that could be a path, another file's name, or not be typed.

    Raises
    ------
    MatteError
    """
    lower = name.casefold()
    if not _NAME.fullmatch(name) or lower.endswith(_NO_ENDINGS) or lower == Path(INDEX).stem:
        raise MatteError(
            f"'{name}' cannot be the name of weights: use --name, with letters, digits, and . _ + "
            "or - after the first, 100 at most, and no suffix"
        )


def _check_free(name: str) -> None:
    if name.casefold() in map(str.casefold, list_weights()):
        raise MatteError(f"there are weights of the name '{name}' already: choose another name")


def _check_source(source: str, file: Path, sha256: str | None, *, remote: bool) -> None:
    if file.suffix not in SUFFIXES:
        raise MatteError(f"{source} is no weights file: it must end in {' or '.join(SUFFIXES)}")
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise MatteError(f"--sha256 {sha256}: a SHA-256 has 64 hexadecimal digits")
    if remote and not sha256:
        raise MatteError("weights from an address need --sha256, which its page should name")
    if not remote and not file.is_file():
        raise not_found(file)


def _bring_along(file: Path, target: Path) -> str:
    """Copy what lies beside a weights file; give its SHA-256 if it is an int8 model."""
    suffix = _BESIDE[file.suffix]
    beside = file.with_suffix(suffix)
    if not beside.is_file():
        return ""
    with whole_file(target.with_suffix(suffix)) as partial:
        shutil.copyfile(beside, partial)
    return digest(beside) if suffix == INT8_SUFFIX else ""


def digest(path: Path) -> str:
    """Give the SHA-256 of a file, in hexadecimal digits."""
    return _digest(_read(path))


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from iter(lambda: file.read(_CHUNK), b"")


def _written(chunks: Iterator[bytes], target: BinaryIO) -> Iterator[bytes]:
    for chunk in chunks:
        target.write(chunk)
        yield chunk


def _digest(chunks: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _check_readable(path: Path, suffix: str, source: str) -> None:
    """Refuse what is no weights file of ours; ONNX files are checked when they run."""
    if suffix == ".onnx":
        return
    from mattecli.core.network.weights import read_header

    try:
        read_header(path)
    except MatteError as error:
        raise MatteError(str(error).replace(str(path), source)) from None
