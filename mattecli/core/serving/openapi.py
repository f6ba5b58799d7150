"""The description of the API that programs read; its page is in ``page/``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from mattecli.core.inference.options import FlatFormat
from mattecli.core.inference.source_options import SubjectChoice
from mattecli.core.serving.photo_options import (
    HINT_FILES,
    HINT_OPTIONS,
    PHOTO_OPTIONS,
    PhotoOption,
)
from mattecli.core.serving.refusals import CODES
from mattecli.version import __version__

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
_MEANINGS = {
    400: "An option, a hint or the form is wrong, or the format cannot hold what is asked for.",
    401: "The token is missing or wrong.",
    403: "The request comes from a page of another site, or asks for what is switched off.",
    408: "The request took too long to arrive.",
    413: "The body is too long, or the photo has too many pixels.",
    415: "The body is no picture.",
    422: "The picture is damaged or too large for the format, or a hint does not fit the photo.",
    429: "Too many requests are in progress: come again in Retry-After seconds.",
    503: "The server is being stopped.",
    504: "The photo was not done in time.",
}
_FILE = {"type": "string", "format": "binary"}


def openapi(*, with_token: bool) -> dict[str, Any]:
    """Describe the API in OpenAPI 3.1."""
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "matte",
            "version": __version__,
            "description": "Cuts subjects out of photos, on this machine.",
        },
        "paths": {
            "/v1/cutout": {"post": _cutting("Cut the subject out of a photo", background=True)},
            "/v1/alpha": {"post": _cutting("Give the alpha matte of a photo", background=False)},
            "/v1.0/removebg": {"post": _removebg()},
            "/v1/health": {
                "get": {
                    "summary": "Tell whether photos are taken",
                    "responses": {
                        "200": {"description": "Yes."},
                        "503": {"description": "No: the server is being stopped, or is broken."},
                    },
                }
            },
            "/v1/metrics": {
                "get": {
                    "summary": "Counts and times, in the text format of Prometheus",
                    "responses": {"200": {"description": "Numbers."}},
                }
            },
        },
    }
    if with_token:
        schemes = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
        }
        document["components"] = {"securitySchemes": schemes}
        document["security"] = [{"bearer": []}, {"key": []}]
    return document


def _cutting(summary: str, *, background: bool) -> dict[str, Any]:
    left_out = () if background else ("background",)
    formats = PHOTO_OPTIONS["format"].choices if background else get_args(FlatFormat)
    limited: dict[str, Sequence[str | int]] = {"bits": (8, 16), "format": formats}
    files = {"image": _FILE} | ({"background": _FILE} if background else {})
    files |= {name: _FILE for name in HINT_FILES}
    hints = [_hint(name, said) for name, said in HINT_OPTIONS.items()]
    form = {"schema": {"type": "object", "properties": files, "required": ["image"]}}
    return {
        "summary": summary,
        "description": "The photo is the body, or the field 'image' of a form. Options are in the "
        "query, or further fields of the form.",
        "parameters": [
            *(
                _parameter(one, limited.get(one.name, one.choices))
                for one in PHOTO_OPTIONS.values()
                if one.name not in left_out
            ),
            *hints,
        ],
        "requestBody": {
            "required": True,
            "content": {"image/*": {"schema": _FILE}, "multipart/form-data": form},
        },
        "responses": _responses(),
    }


def _removebg() -> dict[str, Any]:
    texts = ("image_file_b64", "image_url", "format", "channels", "bg_color", "crop", "crop_margin")
    properties: dict[str, Any] = {name: {"type": "string"} for name in texts}
    properties |= {"image_file": _FILE, "bg_image_file": _FILE}
    form = {"schema": {"type": "object", "properties": properties}}
    return {
        "summary": "As remove.bg does, for clients that exist",
        "requestBody": {"required": True, "content": {"multipart/form-data": form}},
        "responses": _responses(),
    }


def _responses() -> dict[str, Any]:
    responses: dict[str, Any] = {
        "200": {
            "description": "The result. Headers: X-Matte-Status (ok or empty), X-Matte-Confidence, "
            "X-Matte-Subject (its share of the area).",
            "content": {"image/*": {"schema": _FILE}},
        }
    }
    for status, meaning in _MEANINGS.items():
        responses[str(status)] = {
            "description": f"{meaning} Code: {CODES[status]}.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    return responses


def _hint(name: str, said: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if name == "subject":
        schema["enum"] = list(get_args(SubjectChoice))
    return {"name": name, "in": "query", "description": said, "schema": schema}


def _parameter(option: PhotoOption, choices: Sequence[str | int]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": _TYPES[option.kind]}
    if choices:
        schema["enum"] = list(choices)
    for key, value in (("minimum", option.least), ("maximum", option.most)):
        if value is not None:
            schema[key] = value
    if option.default is not None:
        schema["default"] = option.default
    return {
        "name": option.name,
        "in": "query",
        "description": option.help,
        "schema": schema,
    }
