"""What the server counts, in the text format of Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counts requests by path and status, and how long they took.

    Parameters
    ----------
    in_progress : callable
        Gives the number of requests in progress.
    """

    def __init__(self, in_progress: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Counter(
            "matte_requests", "Requests answered.", ["path", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "matte_request_seconds",
            "Seconds from a request's first line to the end of its answer.",
            ["path"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        waiting = Gauge(
            "matte_requests_in_progress", "Requests in progress.", registry=self._registry
        )
        waiting.set_function(in_progress)

    def text(self) -> bytes:
        """Give all numbers."""
        return generate_latest(self._registry)


class Measured:
    """The middleware that counts every answer.

    Parameters
    ----------
    known : callable
        Gives the path of a route for that of a request: paths that do not exist are counted as one.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, known: Callable[[str], str]) -> None:
        self._app, self._metrics, self._known = app, metrics, known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 499

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_counted)
        finally:
            path = self._known(scope["path"])
            self._metrics.requests.labels(path, str(status)).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - start)
