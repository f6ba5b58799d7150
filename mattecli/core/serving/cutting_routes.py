"""``/v1/cutout`` and ``/v1/alpha``: one photo in, one result out."""

from __future__ import annotations

from functools import partial

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mattecli.core.errors import MatteError
from mattecli.core.imaging.opening import NamedBytes
from mattecli.core.imaging.pixels import to_8_bit
from mattecli.core.imaging.reading import read_picture, to_srgb
from mattecli.core.inference.hint_values import (
    HintKeywords,
    check_places,
    check_subject,
    places_of,
)
from mattecli.core.inference.options import Kind
from mattecli.core.matting.flattening import flatten
from mattecli.core.serving.bodies import Body, named, several_photos
from mattecli.core.serving.cutter import Cutting
from mattecli.core.serving.photo_options import (
    HINT_FILES,
    HINT_OPTIONS,
    MOST_ADDED_PIXELS,
    settings_for,
)
from mattecli.core.serving.refusals import Refusal
from mattecli.core.serving.service import Order, Service, check_photo

#: Media types by suffix.
MEDIA_TYPES = {
    ".png": "image/png",
    ".webp": "image/webp",
    ".jpg": "image/jpeg",
    ".tiff": "image/tiff",
    ".avif": "image/avif",
    ".exr": "image/x-exr",
    ".ora": "image/openraster",
    ".psd": "image/vnd.adobe.photoshop",
}
#: Names of the field of a form that holds the photo; a body that is no form has none.
PHOTO_FIELDS = ("", "image", "photo", "file", "image_file")
# Characters of an option: hundreds of points.
_LONGEST_OPTION = 10_000


def cutting_routes(service: Service) -> list[Route]:
    """Give the routes."""

    async def answer(request: Request, kind: Kind) -> Response:
        understand = partial(_understand, service, kind, request)
        return image_response(await service.cut(request, understand))

    async def cutout(request: Request) -> Response:
        return await answer(request, Kind.cutout)

    async def alpha(request: Request) -> Response:
        return await answer(request, Kind.alpha)

    return [
        Route("/v1/cutout", cutout, methods=["POST"]),
        Route("/v1/alpha", alpha, methods=["POST"]),
    ]


async def _understand(service: Service, kind: Kind, request: Request, body: Body) -> Order:
    given = options_of(request, body)
    for name, text in given.items():
        if len(text) > _LONGEST_OPTION:
            raise Refusal(400, f"'{name}' is longer than any {name} is")
    url = given.pop("url", None)
    body.check_files([*PHOTO_FIELDS[1:], "background", *HINT_FILES])
    photo = body.file(*PHOTO_FIELDS)
    if url:
        if photo:
            raise several_photos()
        photo = await service.fetch(url)
    photo = named(photo, "send it as the body, or as the field 'image' of a form")
    behind = body.file("background")
    background = None
    if behind is not None:
        background = await run_in_threadpool(read_background, behind, service.options.max_pixels)
    given.setdefault("refine", service.refine)
    hints = HintKeywords()
    for name in HINT_FILES:
        if (data := body.file(name)) is not None:
            await run_in_threadpool(check_photo, data, service.options.max_pixels)
            hints[name] = bytes(data)  # type: ignore[literal-required]
    texts = {name: given.pop(name) for name in HINT_OPTIONS.keys() & given.keys()}
    hints.update(texts)  # type: ignore[typeddict-item]
    try:
        # Whether they fit the photo is known once that is decoded.
        check_subject(texts.pop("subject", "all"))
        check_places(**{name: places_of(text) for name, text in texts.items()})
        settings = settings_for(kind, given, service.options.max_pixels, background)
        return Order(photo, settings, hints)
    except MatteError as error:
        raise Refusal(400, str(error)) from None


def options_of(request: Request, body: Body) -> dict[str, str]:
    """Give the options, which come in the query or as fields of a form, unless they are empty.

    Raises
    ------
    Refusal
        If one is there twice.
    """
    pairs = [*request.query_params.multi_items(), *body.fields.items()]
    given = dict(pairs)
    if len(given) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Refusal(400, f"'{twice}' is there twice")
    return {name: text for name, text in given.items() if text}


def read_background(data: NamedBytes, max_pixels: int) -> np.ndarray:
    """Read a picture to lay the subject on, uint8 H×W×3.

    Raises
    ------
    Refusal
        If it is no picture, or too large.
    """
    # It waits decoded, so that it is bounded beyond what photos are.
    max_pixels = min(max_pixels, MOST_ADDED_PIXELS)
    check_photo(data, max_pixels)
    try:
        picture = to_srgb(read_picture(data, max_pixels))
    except MatteError as error:
        raise Refusal(422, str(error)) from None
    return to_8_bit(flatten(picture, np.ones(3, np.float32)))


def image_response(cutting: Cutting) -> Response:
    """Give the file, and in headers how it ended."""
    outcome = cutting.ended
    headers = {
        "X-Matte-Status": outcome.status,
        "Server-Timing": f"cut;dur={1000 * outcome.seconds:.0f}",
    }
    if outcome.assessment is not None:
        headers["X-Matte-Confidence"] = f"{outcome.assessment.confidence:.3f}"
        headers["X-Matte-Subject"] = f"{outcome.assessment.subject:.4f}"
    return Response(cutting.file, media_type=MEDIA_TYPES[cutting.settings.suffix], headers=headers)
