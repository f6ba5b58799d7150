"""Who may ask: this machine's own pages and programs, or whoever shows the token."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import secrets
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote, unquote, urlsplit

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mattecli.core.errors import MatteError
from mattecli.core.serving.refusals import Refusal, error_response

COOKIE = "matte_token"
#: Paths that tell nothing and are asked without a token, by those who watch over the server.
OPEN_PATHS = ("/v1/health",)
_SAFE_METHODS = ("GET", "HEAD")
_LOOPBACK_NAMES = ("localhost",)
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")

# The page loads nothing from elsewhere, is shown in no frame, and answers are no one else's.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes
    ----------
    token : str or None
        What they have to show; None where only this machine can ask.
    hosts : tuple of str
        Names under which the server is reached without a token, beside those of this machine.
    """

    token: str | None = None
    hosts: tuple[str, ...] = field(default=())

    def check_host(self, host: str) -> None:
        """Refuse a name that may be another's, whose page has it point to this machine.

        With a token that does not matter: that page does not know it.

        Raises
        ------
        Refusal
        """
        if self.token is not None:
            return
        name = host_name(host)
        if name in _LOOPBACK_NAMES or name in self.hosts or is_loopback(name):
            return
        raise Refusal(403, f"'{name}' is not a name of this server: start it with --allow-host")

    def check_origin(self, headers: Headers, method: str) -> None:
        """Refuse what the page of another site makes a browser ask.

        Raises
        ------
        Refusal
        """
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        # Without the scheme: behind a proxy that speaks https it is another.
        if origin is not None and origin.partition("://")[2] != headers.get("host"):
            raise Refusal(403, "requests from pages of other sites are refused")
        if site in ("cross-site", "same-site") and not (
            method in _SAFE_METHODS and headers.get("sec-fetch-mode") == "navigate"
        ):
            raise Refusal(403, "requests from pages of other sites are refused")

    def check_token(self, headers: Headers) -> None:
        """Refuse who does not show the token.

        Raises
        ------
        Refusal
        """
        if self.token is None:
            return
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        shown = [headers.get("x-api-key", ""), _cookie(headers)]
        if scheme.lower() == "bearer":
            shown.append(bearer.strip())
        if not any(self.knows(text) for text in shown):
            raise Refusal(
                401,
                "a token is needed: 'Authorization: Bearer TOKEN' or 'X-Api-Key: TOKEN'",
                {"WWW-Authenticate": "Bearer"},
            )

    def knows(self, text: str) -> bool:
        """Tell whether `text` is the token, in the same time whatever it is."""
        return self.token is not None and secrets.compare_digest(
            text.encode("utf-8", "surrogateescape"), self.token.encode("utf-8", "surrogateescape")
        )


class Guard:
    """The middleware that lets requests in, and adds headers to what goes out."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.lower().encode(), value.encode())
                        for name, value in _HEADERS.items()
                        if name.lower().encode() not in there
                    ),
                ]
            await send(message)

        headers = Headers(scope=scope)
        try:
            self._access.check_host(headers.get("host", ""))
            self._access.check_origin(headers, scope["method"])
            if token := self._token_of_link(scope):
                await _to_page(token)(scope, receive, send_guarded)
                return
            if scope["path"] not in OPEN_PATHS:
                self._access.check_token(headers)
        except Refusal as error:
            await error_response(error)(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    def _token_of_link(self, scope: Scope) -> str | None:
        """Give the right token of the link that is printed, which opens the page."""
        if scope["path"] != "/" or scope["method"] != "GET" or not scope["query_string"]:
            return None
        # No token holds a space, so that a + in one is a + as well.
        query = scope["query_string"].decode("latin-1").replace("+", "%2B")
        shown = parse_qs(query).get("token", [""])[0]
        return shown if self._access.knows(shown) else None


def host_name(host: str) -> str:
    """Give the name of a ``Host`` header, without port, in small letters."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def asked_name(name: str) -> str:
    """Give the name of a host as browsers ask for it: small letters, others than ASCII encoded.

    Raises
    ------
    MatteError
        If it is none, or has more around it.
    """
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(name.removeprefix("[").removesuffix("]")))
    try:
        asked = name.encode("idna").decode().lower().rstrip(".")
    except UnicodeError:
        asked = ""
    if not _HOST.fullmatch(asked):
        raise MatteError(
            f"'{name}' is no name of a host: write it alone, such as photos.example, without "
            "http:// and port"
        )
    return asked


def is_loopback(name: str) -> bool:
    """Tell whether an address, not a name, is this machine's own."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _cookie(headers: Headers) -> str:
    cookies = SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except CookieError:
        return ""
    return unquote(cookies[COOKIE].value) if COOKIE in cookies else ""


def _to_page(token: str) -> RedirectResponse:
    """Keep the token in a cookie, where no page of another site and no history shows it."""
    response = RedirectResponse("/", 303)
    response.set_cookie(
        COOKIE,
        # Clients differ in how they take signs such as quotes.
        quote(token, safe=""),
        httponly=True,
        samesite="strict",
        max_age=30 * 24 * 3600,
    )
    return response
