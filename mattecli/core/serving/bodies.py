"""Bodies of requests: read within limits, into memory only."""

from __future__ import annotations

import base64
import binascii
import json
import sys
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from mattecli.core.errors import suggest
from mattecli.core.imaging.kinds import START, kind_of
from mattecli.core.imaging.opening import NamedBytes
from mattecli.core.serving.refusals import Refusal

#: Parts of a form that are taken.
_MOST_PARTS = 32


class _FormInMemory(MultiPartParser):
    """Starlette's parser would put larger files on the disk."""

    spool_max_size = sys.maxsize


@dataclass
class Body:
    """What a request holds.

    Attributes
    ----------
    files : dict of NamedBytes
        Files of a form by the names of their fields; a body that is no form is ``""``.
    fields : dict of str
        The other fields.
    """

    files: dict[str, NamedBytes] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)

    def file(self, *names: str) -> NamedBytes | None:
        """Give the file that has one of these names, of which only one may be sent.

        Raises
        ------
        Refusal
            If there are several.
        """
        found = [self.files[name] for name in names if name in self.files]
        sent = [data for data in found if data]
        if len(sent) > 1:
            raise several_photos()
        return next(iter(sent or found), None)

    def check_files(self, known: Iterable[str]) -> None:
        """Refuse files of a form under names that are not known; a body that is no form has none.

        Raises
        ------
        Refusal
        """
        if unknown := self.files.keys() - {"", *known}:
            raise Refusal(400, f"no file '{min(unknown)}': {suggest(min(unknown), known)}")


async def read_body(request: Request, most: int) -> Body:
    """Read a form, a JSON object of texts, or a file as it is.

    Raises
    ------
    Refusal
        413 if it is longer than `most` bytes, 400 if it is no such thing.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "multipart/form-data":
            form = _FormInMemory(
                request.headers,
                _bounded(request, most),
                max_files=_MOST_PARTS,
                max_fields=_MOST_PARTS,
                max_part_size=most,
            )
            return await _taken(await form.parse())
        data = b"".join([chunk async for chunk in _bounded(request, most)])
    except ClientDisconnect:
        raise Refusal(400, "the request broke off") from None
    # The parsers of forms raise these for anything that is malformed.
    except (MultiPartException, KeyError, ValueError, AssertionError) as error:
        reason = str(getattr(error, "message", None) or error) or type(error).__name__
        raise Refusal(400, f"the form cannot be read: {reason}") from None
    # What curl calls everything, photos included.
    if kind == "application/x-www-form-urlencoded" and kind_of(data[:START]) is None:
        return Body(fields=_form_fields(data))
    if kind == "application/json":
        return Body(fields=_json_fields(data))
    return Body(files={"": NamedBytes(data, "the photo")})


async def read_json(request: Request, most: int) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    Refusal
        413 if it is longer than `most` bytes, 400 if it is none.
    """
    try:
        return _json_object(b"".join([chunk async for chunk in _bounded(request, most)]))
    except ClientDisconnect:
        raise Refusal(400, "the request broke off") from None


def decoded_base64(text: str, name: str) -> NamedBytes:
    """Decode a file that came as text, with or without ``data:…;base64,`` before it.

    Raises
    ------
    Refusal
        If it is not base64.
    """
    # It may be broken into lines; other blanks are none of it, such as a + that a form lost.
    text = "".join(line.strip() for line in text.rpartition("base64,")[2].splitlines())
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(400, f"{name} is not base64") from None
    return NamedBytes(data, name)


async def _bounded(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    """Give the body part by part, unless it is too long."""
    size = 0
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise _too_long(most)
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise _too_long(most)
        yield chunk


def _too_long(most: int) -> Refusal:
    return Refusal(413, f"the request is longer than {most / 1e6:g} MB")


async def _taken(form) -> Body:
    body = Body()
    for name, value in form.multi_items():
        if name in body.files or name in body.fields:
            raise Refusal(400, f"the field '{name}' is there twice")
        if isinstance(value, UploadFile):
            data = await value.read()
            # Forms of browsers hold an empty file without a name for each that was not chosen.
            if data or value.filename:
                body.files[name] = NamedBytes(data, value.filename or name)
        else:
            body.fields[name] = value
    return body


def _form_fields(data: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(data.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_PARTS)
    except ValueError as error:
        raise Refusal(400, f"the form cannot be read: {error}") from None
    if len(fields := dict(pairs)) < len(pairs):
        raise Refusal(400, "a field of the form is there twice")
    return fields


def _json_fields(data: bytes) -> dict[str, str]:
    fields = {}
    for name, value in _json_object(data).items():
        if isinstance(value, (dict, list)):
            raise Refusal(400, f"'{name}' is neither a text nor a number")
        if value is not None:
            fields[name] = value if isinstance(value, str) else json.dumps(value)
    return fields


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        raise Refusal(400, "the body is not JSON") from None
    if not isinstance(values, dict):
        raise Refusal(400, "the body is no JSON object")
    return values


def several_photos() -> Refusal:
    """Tell that it is not clear which photo is meant."""
    return Refusal(400, "the request holds several photos, or their addresses: send one of them")


def named(source: NamedBytes | None, hint: str) -> NamedBytes:
    """Give a file that has to be there.

    Raises
    ------
    Refusal
        If it is missing or empty.
    """
    if source is None:
        raise Refusal(400, f"the request holds no photo: {hint}")
    if not source:
        raise Refusal(400, "the photo is empty")
    return source
