"""``/v1.0/removebg``: what clients of remove.bg ask, so that they can be pointed here.

What would change the result and is not known here is refused, and never left out in silence.
"""

from __future__ import annotations

import base64
import re
from functools import partial

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mattecli.core.errors import MatteError
from mattecli.core.imaging.opening import NamedBytes
from mattecli.core.imaging.reading import image_size
from mattecli.core.inference.options import Kind
from mattecli.core.serving.bodies import Body, decoded_base64, named, several_photos
from mattecli.core.serving.cutter import Cutting
from mattecli.core.serving.cutting_routes import MEDIA_TYPES, options_of, read_background
from mattecli.core.serving.photo_options import PHOTO_OPTIONS, settings_for
from mattecli.core.serving.refusals import Refusal
from mattecli.core.serving.service import Order, Service

# What changes nothing here: results have the photo's size, and any kind of subject is cut.
_IGNORED = ("size", "type", "type_level", "semitransparency")
# All sizes that remove.bg has, or once had.
_SIZES = ("", "preview", "full", "auto", "50mp", "small", "regular", "medium", "hd", "4k")
# Values of what is not done here that ask for nothing.
_HARMLESS = {
    "scale": ("", "original"),
    "position": ("", "original", "center"),
    "add_shadow": ("", "false"),
    "shadow_type": ("", "none"),
    "roi": ("", "0% 0% 100% 100%"),
    "semitransparency": ("", "true"),
}
_FORMATS = {"auto": "png", "png": "png", "jpg": "jpg", "webp": "webp"}
_KNOWN = {
    *_IGNORED,
    *_HARMLESS,
    "image_url",
    "image_file_b64",
    "format",
    "channels",
    "bg_color",
    "bg_image_url",
    "crop",
    "crop_margin",
}


def removebg_routes(service: Service) -> list[Route]:
    """Give the routes."""

    async def remove(request: Request) -> Response:
        try:
            cutting = await service.cut(request, partial(_understand, service, request))
            if cutting.ended.status == "empty":
                # Clients look at this code.
                raise Refusal(
                    400, "Could not identify foreground in image.", code="unknown_foreground"
                )
        except Refusal as error:
            return _errors(error)
        return _answer(cutting, as_json=_wants_json(request))

    async def account(request: Request) -> Response:
        credits = {"total": 0, "subscription": 0, "payg": 0, "enterprise": 0}
        api = {"free_calls": 0, "sizes": "all"}
        return JSONResponse({"data": {"attributes": {"credits": credits, "api": api}}})

    return [
        Route("/v1.0/removebg", remove, methods=["POST"]),
        Route("/v1.0/account", account, methods=["GET"]),
    ]


async def _understand(service: Service, request: Request, body: Body) -> Order:
    given = {name: text for name, text in options_of(request, body).items() if text != "undefined"}
    for name, text in given.items():
        if name not in _KNOWN:
            raise Refusal(400, f"Unknown parameter: {name}")
        if name in _HARMLESS and text.lower() not in _HARMLESS[name]:
            raise Refusal(400, f"{name} is not supported here")
    if given.get("size", "").lower() not in _SIZES:
        raise Refusal(400, f"size is {', '.join(_SIZES[1:])}, not '{given['size']}'")
    body.check_files(["image_file", "bg_image_file"])
    photo = named(await _photo(service, body, given), "image_file, image_file_b64 or image_url")
    background = await _background(service, body, given)
    channels = given.get("channels") or "rgba"
    if channels not in ("rgba", "alpha"):
        raise Refusal(400, f"channels is rgba or alpha, not '{channels}'")
    kind = Kind.alpha if channels == "alpha" else Kind.cutout
    try:
        options = _options(given, on_picture=background is not None)
        options["refine"] = service.refine
        settings = settings_for(kind, options, service.options.max_pixels, background)
        return Order(photo, settings)
    except MatteError as error:
        raise Refusal(400, str(error)) from None


async def _photo(service: Service, body: Body, given: dict[str, str]) -> NamedBytes | None:
    photo = body.file("image_file", "")
    text, url = given.get("image_file_b64"), given.get("image_url")
    if sum(map(bool, (photo, text, url))) > 1:
        raise several_photos()
    if text:
        return decoded_base64(text, "image_file_b64")
    return await service.fetch(url) if url else photo


async def _background(service: Service, body: Body, given: dict[str, str]) -> np.ndarray | None:
    data = body.file("bg_image_file")
    if url := given.get("bg_image_url"):
        if data:
            raise Refusal(400, "bg_image_file and bg_image_url contradict one another")
        data = await service.fetch(url)
    if data is None:
        return None
    return await run_in_threadpool(read_background, data, service.options.max_pixels)


def _options(given: dict[str, str], *, on_picture: bool) -> dict[str, str]:
    """Translate options to ours."""
    wanted = given.get("format") or "auto"
    if wanted not in _FORMATS:
        raise Refusal(400, f"format is {', '.join(_FORMATS)}, not '{wanted}'")
    options = {"format": _FORMATS[wanted]}
    if color := given.get("bg_color"):
        is_hex = re.fullmatch(r"[0-9a-fA-F]{3,8}", color)
        options["background"] = f"#{color}" if is_hex else color
    elif wanted == "jpg" and given.get("channels") != "alpha" and not on_picture:
        # As their JPEG files, which cannot be transparent.
        options["background"] = "white"
    if PHOTO_OPTIONS["crop"].parse(given.get("crop") or "false"):
        options |= {"crop": "true", "margin": _margin(given.get("crop_margin") or "0")}
    return options


def _margin(text: str) -> str:
    """Turn ``10%`` into a share of the subject's size."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)%", text)
    if text in ("0", "0px"):
        return "0"
    if found is None:
        raise Refusal(400, f"crop_margin is supported as one number of percent, not as '{text}'")
    return str(float(found[1]) / 100)


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "").lower()


def _answer(cutting: Cutting, *, as_json: bool) -> Response:
    width, height = image_size(cutting.file)
    headers = {
        "X-Type": "other",
        "X-Width": str(width),
        "X-Height": str(height),
        "X-Credits-Charged": "0",
    }
    if as_json:
        result = {"result_b64": base64.b64encode(cutting.file).decode()}
        return JSONResponse({"data": result}, headers=headers)
    return Response(cutting.file, media_type=MEDIA_TYPES[cutting.settings.suffix], headers=headers)


def _errors(error: Refusal) -> JSONResponse:
    """Give an error as their clients read it."""
    content = {"title": str(error), "code": error.code}
    return JSONResponse({"errors": [content]}, error.status, headers=error.headers)
