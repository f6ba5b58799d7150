"""Photos from addresses: public ones only, and no more than a photo can be."""

from __future__ import annotations

import http.client
import socket
import time
import urllib.error
import urllib.request
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from mattecli.core.errors import MatteError
from mattecli.core.imaging.opening import max_bytes
from mattecli.core.runtime.downloading import is_public, parse_address
from mattecli.version import __version__

#: No photo that comes by an address is larger, in bytes.
MOST_BYTES = 256 << 20
_MOST_REDIRECTS = 5
_SECONDS_OF_SILENCE, _SECONDS = 20, 300
_CHUNK = 1 << 18


def fetch(url: str, max_pixels: int, *, most: int = MOST_BYTES, seconds: float = _SECONDS) -> bytes:
    """Download a photo.

    Hosts are looked up once and connected to by the number that was checked, so that a second
    answer of their name server cannot lead elsewhere; a proxy of the environment, which would look
    them up itself, is not used.

    Parameters
    ----------
    max_pixels : int
        See `max_bytes`; answers are `most` bytes long at most.
    seconds : float
        In which all has come.

    Raises
    ------
    MatteError
        If the address, or one that it leads to, is no public http(s) address, or what is there
        cannot be had, is too long, or is no picture by its own account.
    """
    most = min(most, max_bytes(max_pixels))
    if parse_address(url) is None:
        raise MatteError(f"{url} is no http(s) address")
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), _Http(), _Https(), _Redirects()
    )
    request = urllib.request.Request(url, headers={"User-Agent": f"matte/{__version__}"})
    until = time.monotonic() + seconds
    try:
        with closing(opener.open(request, timeout=min(seconds, _SECONDS_OF_SILENCE))) as answer:
            _check_kind(answer.headers.get_content_type(), url)
            length = answer.headers.get("Content-Length") or ""
            expected = int(length) if length.isascii() and length.isdecimal() else None
            parts, read = [], 0
            while (expected or 0) <= most and (chunk := answer.read1(_CHUNK)):
                parts.append(chunk)
                read += len(chunk)
                if read > most or time.monotonic() > until:
                    break
    except urllib.error.HTTPError as error:
        raise MatteError(f"cannot fetch {url}: {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error or type(error).__name__
        raise MatteError(f"cannot fetch {url}: {reason}") from None
    if max(read, expected or 0) > most:
        raise MatteError(f"{url} is longer than {most / 1e6:.0f} MB: no photo that is fetched is")
    if time.monotonic() > until:
        raise MatteError(f"{url} took longer than {seconds:g} s: fetch it another way")
    if expected is not None and read < expected:
        raise MatteError(f"cannot fetch {url}: it broke off after {read} of {expected} bytes")
    return b"".join(parts)


def _check_kind(kind: str, url: str) -> None:
    # Stores of files often say nothing, or that it is binary.
    if not kind.startswith("image/") and kind not in (
        "application/octet-stream",
        "binary/octet-stream",
        "text/plain",  # what answers without a type count as
    ):
        raise MatteError(f"{url} is {kind}, not a picture: name the address of the file itself")


def _connect(place: tuple[str, int], timeout: Any = None, source_address: Any = None) -> Any:
    """Connect to a host all of whose addresses are public.

    Raises
    ------
    MatteError
        If one is not.
    OSError
        If none answers.
    """
    host, port = place
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, sockaddr in entries:
        if not is_public(str(sockaddr[0])):
            where = host if host == sockaddr[0] else f"{host} is {sockaddr[0]},"
            raise MatteError(f"{where} in a private network: nothing is asked there")
    problem: OSError = OSError(f"{host} has no address")
    for *_, sockaddr in entries:
        try:
            return socket.create_connection((str(sockaddr[0]), port), timeout, source_address)
        except OSError as error:
            problem = error
    raise problem


class _PublicHttp(http.client.HTTPConnection):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._create_connection = _connect


class _PublicHttps(http.client.HTTPSConnection):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._create_connection = _connect


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: Any) -> Any:
        return self.do_open(_PublicHttp, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: Any) -> Any:
        return self.do_open(_PublicHttps, req)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few, to http(s) only and never from https to http."""

    max_redirections = _MOST_REDIRECTS

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str):
        """Refuse what the first address would have been refused for."""
        if urlsplit(newurl).scheme not in ("http", "https") or parse_address(newurl) is None:
            raise MatteError(f"{req.full_url} leads to {newurl}, which is no http(s) address")
        if req.type == "https" and urlsplit(newurl).scheme == "http":
            raise MatteError(f"{req.full_url} leads to {newurl}, which is not encrypted any more")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
