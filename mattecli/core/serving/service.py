"""From a request to its result: read, understood, cut, all within limits."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from mattecli.core.errors import MatteError
from mattecli.core.imaging.opening import NamedBytes, check_pixels
from mattecli.core.imaging.reading import image_size
from mattecli.core.inference.pipeline import Outcome
from mattecli.core.inference.run import Settings
from mattecli.core.serving.admission import Admission
from mattecli.core.serving.bodies import Body, read_body
from mattecli.core.serving.cutter import Cutter, Cutting
from mattecli.core.serving.fetching import fetch
from mattecli.core.serving.options import ServeOptions
from mattecli.core.serving.refusals import Refusal

#: Finds the photo in a body, and what is wanted of it.
Understand: TypeAlias = "Callable[[Body], Awaitable[tuple[NamedBytes, Settings]]]"


@dataclass
class Cut:
    """A photo that was cut: the file of its result, and how it ended."""

    data: bytes
    suffix: str
    outcome: Outcome


@dataclass
class Service:
    """What all requests share: one network, one pipeline, limits.

    Attributes
    ----------
    refine : str
        See `PredictOptions`, where a request does not say.
    """

    cutter: Cutter
    options: ServeOptions
    refine: str = "fast"
    admission: Admission = field(init=False)

    def __post_init__(self) -> None:
        """Make room for as many requests as the options say."""
        self.admission = Admission(self.options.queue)

    async def cut(self, request: Request, understand: Understand) -> Cut:
        """Answer a request for one result of one photo.

        Raises
        ------
        Refusal
        """
        until = time.monotonic() + self.options.timeout
        with self.admission.enter() as place:
            photo, settings = await understand(await self.read(request))
            await run_in_threadpool(check_photo, photo, settings.max_pixels)
            try:
                cutting = self.cutter.submit(photo, settings)
            except MatteError as error:
                raise Refusal(503, str(error)) from None
            place.keep_until(cutting.outcome)
            outcome = await self._outcome(request, cutting, until)
        if outcome.status == "failed":
            if cutting.is_refused:
                raise Refusal(422, outcome.reason)
            raise Refusal(500 if self.cutter.is_running else 503, outcome.reason)
        (data,) = cutting.files.values()
        return Cut(data, settings.suffix, outcome)

    async def read(self, request: Request) -> Body:
        """Read a body in the time there is.

        Raises
        ------
        Refusal
        """
        try:
            with anyio.fail_after(self.options.timeout):
                return await read_body(request, self.options.max_bytes)
        except TimeoutError:
            raise Refusal(
                408,
                f"the request took more than {self.options.timeout:g} s",
                {"Connection": "close"},
            ) from None

    async def fetch(self, url: str) -> NamedBytes:
        """Fetch a photo, if that is switched on.

        Raises
        ------
        Refusal
        """
        if not self.options.fetch_urls:
            raise Refusal(403, "addresses are not fetched here: send the photo itself")
        return await run_in_threadpool(fetch, url, self.options.max_bytes, self.options.timeout)

    async def _outcome(self, request: Request, cutting: Cutting, until: float) -> Outcome:
        """Wait until the photo is cut, the time is over or the client has gone."""
        done = asyncio.wrap_future(cutting.outcome)
        gone: asyncio.Future[None] = asyncio.ensure_future(_until_gone(request))
        try:
            both: tuple[asyncio.Future[Any], ...] = (done, gone)
            await asyncio.wait(
                both,
                timeout=max(0, until - time.monotonic()),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            has_gone = gone.done()
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone
            if not done.done():
                self.cutter.abandon(cutting)
        if done.done():
            return done.result()
        if has_gone:
            raise Refusal(408, "the client has gone")
        raise Refusal(504, f"the photo was not done in {self.options.timeout:g} s")


def check_photo(photo: NamedBytes, max_pixels: int) -> None:
    """Refuse what is no picture or has too many pixels, before it takes a place in the pipeline.

    Raises
    ------
    Refusal
    """
    try:
        size = image_size(photo)
    except MatteError as error:
        raise Refusal(415, str(error)) from None
    try:
        check_pixels(photo, size, max_pixels)
    except MatteError as error:
        raise Refusal(413, str(error)) from None


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
