"""From a request to its result: read, understood, cut, all within limits."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from mattecli.core.errors import MatteError
from mattecli.core.imaging.opening import NamedBytes, check_pixels
from mattecli.core.imaging.reading import image_size
from mattecli.core.inference.fetching import fetch
from mattecli.core.inference.hint_values import HintKeywords
from mattecli.core.inference.run import Settings
from mattecli.core.inference.steps import Outcome
from mattecli.core.serving.admission import Admission, Place
from mattecli.core.serving.bodies import Body, read_body, read_json
from mattecli.core.serving.cutter import Cutter, Cutting
from mattecli.core.serving.options import ServeOptions
from mattecli.core.serving.refusals import Refusal


@dataclass
class Order:
    """What a request wants: a photo, what to make of it, and what is said of it."""

    photo: Path | bytes
    settings: Settings
    hints: HintKeywords = field(default_factory=lambda: HintKeywords())


#: Finds in a body what is wanted.
Understand: TypeAlias = "Callable[[Body], Awaitable[Order]]"

_Read = TypeVar("_Read")


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

    async def cut(self, request: Request, understand: Understand) -> Cutting:
        """Answer a request for one result of one photo.

        Raises
        ------
        Refusal
        """
        until = time.monotonic() + self.options.timeout
        with self.admission.enter() as place:
            order = await understand(await self.read(request))
            await run_in_threadpool(check_photo, order.photo, order.settings.max_pixels)
            submit = partial(self.cutter.submit, order.photo, order.settings, hints=order.hints)
            return await self._done(request, submit, place, until)

    async def finished(self, request: Request, submit: Callable[[], Cutting]) -> Cutting:
        """Wait for a photo that `submit` gives to the cutter.

        Raises
        ------
        Refusal
        """
        until = time.monotonic() + self.options.timeout
        with self.admission.enter() as place:
            return await self._done(request, submit, place, until)

    async def _done(
        self, request: Request, submit: Callable[[], Cutting], place: Place, until: float
    ) -> Cutting:
        try:
            cutting = submit()
        except Refusal:
            raise
        except MatteError as error:
            raise Refusal(503, str(error)) from None
        place.keep_until(cutting.outcome)
        outcome = await self._outcome(request, cutting, until)
        if outcome.status == "failed":
            if cutting.is_abandoned:
                raise Refusal(409, "a later correction of the photo took this one's place")
            if cutting.is_refused:
                raise Refusal(422, outcome.reason)
            raise Refusal(500 if self.cutter.is_running else 503, outcome.reason)
        return cutting

    async def read(self, request: Request) -> Body:
        """Read a body in the time there is.

        Raises
        ------
        Refusal
        """
        return await self._in_time(read_body(request, self.options.max_bytes))

    async def read_json(self, request: Request) -> Any:
        """Read a body that is JSON in the time there is.

        Raises
        ------
        Refusal
        """
        return await self._in_time(read_json(request, self.options.max_bytes))

    async def _in_time(self, reading: Awaitable[_Read]) -> _Read:
        try:
            with anyio.fail_after(self.options.timeout):
                return await reading
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
        options = self.options
        limited = partial(fetch, most=options.max_bytes, seconds=options.timeout)
        try:
            data = await run_in_threadpool(limited, url, options.max_pixels)
        except MatteError as error:
            raise Refusal(400, str(error)) from None
        return NamedBytes(data, url)

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


def check_photo(photo: Path | bytes, max_pixels: int) -> None:
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
