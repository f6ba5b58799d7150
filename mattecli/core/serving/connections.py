"""Connections: how long each may be silent, and how many there may be."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Most open connections, where the system does not set a lower limit; Windows has 512 at most.
_MOST = 400
# Seconds between two complaints that no further connection can be taken.
_PAUSE = 60.0
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def most_connections() -> int:
    """Give how many connections may be open: a third of the files that this process may have.

    Those that have come are only counted a moment later, and photos are files too.
    """
    try:
        import resource
    except ImportError:  # Windows
        return _MOST
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _MOST if limit == resource.RLIM_INFINITY else max(1, min(_MOST, limit // 3))


class Connection(HttpToolsProtocol):
    """A connection whose requests begin with a header that comes in time.

    uvicorn's own waits for a header as long as the client likes. Where too many are open, the one
    that has waited for a request for longest is closed.

    Parameters
    ----------
    seconds : float
        In which a header has come, from the connection or the header's first byte on.
    most : int
        Connections that are open at once.
    """

    def __init__(self, *arguments: Any, seconds: float, most: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._seconds, self._most = seconds, most
        self._deadline: asyncio.TimerHandle | None = None
        self._in_header = self._in_body = False
        self._idle_since = time.monotonic()

    @property
    def is_waiting(self) -> bool:
        """Whether no request is in progress."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, in place of another one if there are too many."""
        super().connection_made(transport)
        self._expect_header()
        there = [one for one in self.connections if isinstance(one, Connection)]
        there = [one for one in there if not one.transport.is_closing()]
        if len(there) > self._most:
            # What is answered may still be on its way.
            idle = [
                one for one in there if one.is_waiting and not one.transport.get_write_buffer_size()
            ]
            min(idle, key=lambda one: one._idle_since).transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take data."""
        super().data_received(data)
        # uvicorn's own limit on the rest between two requests ends with the first byte. A body that
        # was answered before it had come is no header.
        if self.is_waiting and not self._in_body and not self.transport.is_closing():
            self._expect_header()

    def on_message_begin(self) -> None:
        """Begin a header."""
        self._in_header = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin a request."""
        self._in_header, self._in_body = False, True
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request."""
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._idle_since = time.monotonic()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _expect_header(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self._seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self.transport.get_write_buffer_size():
            # An answer is still on its way, and the next request may wait until it has come.
            self._expect_header()
            return
        # Browsers open connections ahead, and would take it for the answer to a later request.
        if self._in_header:
            self.transport.write(_TOO_SLOW)
        self.transport.abort()


class Complaints:
    """Tells what goes wrong in the event loop, but once in a while only that files have run out.

    asyncio says so for each connection that it tries to take, many times a second.
    """

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handle an error as `loop.set_exception_handler` has it."""
        if "socket.accept()" not in context.get("message", ""):
            loop.default_exception_handler(context)
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + _PAUSE
            logging.getLogger(__name__).warning(
                "matte: no further connection is taken at present: %s", context.get("exception")
            )
