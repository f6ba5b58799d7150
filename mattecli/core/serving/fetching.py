"""Photos from addresses that requests name: from the public internet only."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from contextlib import closing
from urllib.parse import SplitResult, urljoin

from mattecli.core.errors import MatteError
from mattecli.core.imaging.opening import NamedBytes
from mattecli.core.runtime.downloading import is_public as _is_public
from mattecli.core.runtime.downloading import parse_address
from mattecli.core.serving.refusals import Refusal

_PORTS = {"http": 80, "https": 443}
_MOST_HOPS = 3
_CHUNK = 1 << 16
_REDIRECTS = (301, 302, 303, 307, 308)


def fetch(url: str, most: int, seconds: float) -> NamedBytes:
    """Fetch a photo.

    The name of the host is looked up once, and the connection goes to the address that was checked:
    a second look-up could give another one. Redirections are checked in the same way.

    Parameters
    ----------
    most : int
        Longest answer in bytes.
    seconds : float
        Time for all of it.

    Raises
    ------
    Refusal
        If it lies in a private network, is too long, takes too long, or cannot be had.
    """
    until = time.monotonic() + seconds
    for _ in range(_MOST_HOPS + 1):
        address = _parsed(url)
        try:
            with closing(_connect(address, until)) as connection:
                path = address.path or "/"
                connection.request("GET", path + (f"?{address.query}" if address.query else ""))
                answer = connection.getresponse()
                if answer.status not in _REDIRECTS:
                    return NamedBytes(_read(answer, url, most, until), "the photo")
                url = urljoin(url, answer.headers.get("Location") or "")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Refusal(
                400, f"{url} cannot be fetched: {error or type(error).__name__}"
            ) from None
    raise Refusal(400, f"{url} redirects too often")


def public_address(host: str, port: int) -> str:
    """Look a host up and give an address of it in the public internet.

    Raises
    ------
    Refusal
        If it has none, or also addresses that are not public.
    OSError
        If it is unknown.
    """
    found = {entry[4][0] for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    addresses = [ipaddress.ip_address(str(text).partition("%")[0]) for text in found]
    if not addresses or not all(map(_is_public, addresses)):
        raise Refusal(403, f"{host} is not in the public internet: nothing is fetched from there")
    return str(min(addresses, key=lambda address: address.version))


def _parsed(url: str) -> SplitResult:
    try:
        address = parse_address(url)
    except MatteError as error:
        raise Refusal(400, str(error)) from None
    if address is None:
        raise Refusal(400, f"'{url}' is no http(s) address")
    if address.port not in (None, _PORTS[address.scheme]):
        raise Refusal(403, f"{url} names another port than that of its scheme")
    if address.username is not None or address.password is not None:
        raise Refusal(400, f"{url} names a user, who is not passed on")
    return address


def _connect(address: SplitResult, until: float) -> http.client.HTTPConnection:
    host, port = address.hostname or "", _PORTS[address.scheme]
    connection = http.client.HTTPConnection(host, port, timeout=_left(until))
    checked = public_address(host, port)
    plain = socket.create_connection((checked, port), timeout=_left(until))
    if address.scheme == "https":
        try:
            plain = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise
    connection.sock = plain
    return connection


def _read(answer: http.client.HTTPResponse, url: str, most: int, until: float) -> bytes:
    if answer.status != 200:
        raise Refusal(400, f"{url} cannot be fetched: its server answers {answer.status}")
    data = bytearray()
    while chunk := answer.read1(_CHUNK):
        data += chunk
        if len(data) > most:
            raise Refusal(413, f"{url} is longer than {most / 1e6:g} MB")
        _left(until)
    return bytes(data)


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("it takes too long")
    return left
