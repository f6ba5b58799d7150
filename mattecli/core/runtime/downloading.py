"""Files from addresses: which ones are asked, and how much of an answer is taken."""

from __future__ import annotations

import http.client
import ipaddress
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import SplitResult, urlsplit

from mattecli.core.errors import MatteError
from mattecli.core.storage import clear_errors

#: No weights that this program can run are larger, in bytes.
MOST_BYTES = 4 << 30
_CHUNK = 1 << 20
_SCHEMES = ("http", "https")
# IPv4 behind a translator (RFC 6052).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# All of IPv6 that is given out to the internet, and what of it stands in documents only (RFC 9637):
# older Pythons count more as global, such as addresses of one site and of translators in it.
_GIVEN_OUT, _DOCUMENTS = ipaddress.ip_network("2000::/3"), ipaddress.ip_network("3fff::/20")


def parse_address(source: str) -> SplitResult | None:
    """Take an http(s) address apart; what is none, but the path of a file, gives None.

    Raises
    ------
    MatteError
        If it begins like an address but is none that can be asked.
    """
    scheme = source.partition(":")[0].lower()
    if "://" not in source and scheme not in _SCHEMES:
        return None
    if scheme not in _SCHEMES:
        raise MatteError(f"{source} is neither a file nor an http(s) address")
    try:
        address = urlsplit(source)
        sound = bool(address.hostname) and (address.port is None or address.port > 0)
        # As the client will: not every name of a host can be asked for.
        (address.hostname or "").encode("idna")
    # A port that is no number, brackets that are not closed, letters that no host has.
    except (ValueError, UnicodeError):
        sound = False
    if not sound or not source.isascii() or any(c.isspace() or not c.isprintable() for c in source):
        raise MatteError(
            f"{source} is no address: write it as https://HOST/FILE, with %20 and so on for what "
            "is not ASCII"
        )
    return address


def is_public(address: object) -> bool:
    """Tell whether an IP address, or the text of one, is of the internet and no network behind."""
    found = ipaddress.ip_address(str(address).partition("%")[0])
    # Addresses that carry one of IPv4 lead there.
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if found not in _GIVEN_OUT or found in _DOCUMENTS:
            return False
    return found.is_global and not found.is_multicast


def download(url: str, most: int = MOST_BYTES) -> Iterator[bytes]:
    """Give what is at an address, part by part.

    Raises
    ------
    MatteError
        If it cannot be had, or is longer than `most` bytes.
    """
    from mattecli.core.progress import progress

    too_long = MatteError(f"{url} is longer than {most / 1e9:.1f} GB: no weights file is")
    try:
        with closing(urllib.request.urlopen(url, timeout=30)) as answer:
            length = answer.headers.get("Content-Length") or ""
            size = int(length) if length.isascii() and length.isdecimal() else 0
            if size > most:
                raise too_long
            read = 0
            with progress(total=-(-size // _CHUNK) or None, unit="MB") as bar:
                while chunk := answer.read(_CHUNK):
                    read += len(chunk)
                    if read > most:
                        raise too_long
                    yield chunk
                    bar.update()
            if read < size:
                raise OSError(f"the answer broke off after {read} of {size} bytes")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise MatteError(
            f"cannot download {url} ({error or type(error).__name__}): fetch it where that works, "
            "and run 'matte weights add FILE' here"
        ) from None


def download_resuming(url: str, target: Path, length: int = 0, *, resume: bool) -> None:
    """Download to a file that stays as far as it came, so that another call can go on with it.

    Parameters
    ----------
    length : int
        What the file will be long; 0 is not known.
    resume : bool
        Whether what is there already is the beginning of this file, or is thrown away.

    Raises
    ------
    MatteError
        If it cannot be had, or is longer than it should be.
    """
    most = length or MOST_BYTES
    with clear_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if not resume:
            target.unlink(missing_ok=True)
        there = target.stat().st_size if target.is_file() else 0
    if length and there == length:
        return
    request = urllib.request.Request(url, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except HTTPError as error:
        # What is there is all there is; whether it is the right file is for the caller to say.
        if error.code == 416 and there:
            return
        raise MatteError(f"cannot download {url}: {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _not_downloaded(url, error) from None
    with closing(answer):
        # Servers that know no ranges send everything again.
        _append(answer, target, url, there if answer.status == 206 else 0, most)


def _append(answer: Any, target: Path, url: str, there: int, most: int) -> None:
    from mattecli.core.progress import progress

    announced = answer.headers.get("Content-Length") or ""
    left = int(announced) if announced.isascii() and announced.isdecimal() else 0
    if there + left > most:
        raise MatteError(f"{url} is {there + left} bytes long, more than the {most} it should have")
    read = 0
    with (
        clear_errors(target),
        target.open("ab" if there else "wb") as file,
        progress(total=-(-(there + left) // _CHUNK) or None, unit="MB") as bar,
    ):
        bar.update(there // _CHUNK)
        while True:
            try:
                chunk = answer.read(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _not_downloaded(url, error) from None
            if not chunk:
                break
            read += len(chunk)
            if there + read > most:
                raise MatteError(f"{url} is longer than the {most} bytes it should have")
            file.write(chunk)
            bar.update()
    if read < left:
        raise MatteError(f"{url} broke off after {there + read} bytes: the same command goes on")


def _not_downloaded(url: str, error: Exception) -> MatteError:
    reason = getattr(error, "reason", None) or error or type(error).__name__
    return MatteError(f"cannot download {url} ({reason})")
