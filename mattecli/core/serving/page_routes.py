"""What the page asks: photos that are opened, previews under hints, results, the folder."""

from __future__ import annotations

from typing import Any, get_args

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mattecli.core.errors import MatteError
from mattecli.core.imaging.opening import NamedBytes
from mattecli.core.inference.hint_values import HintKeywords
from mattecli.core.inference.options import Kind, Refine
from mattecli.core.serving.bodies import named
from mattecli.core.serving.cutting_routes import PHOTO_FIELDS, image_response
from mattecli.core.serving.drawn_hints import hints_from
from mattecli.core.serving.editing import OpenPhoto, OpenPhotos
from mattecli.core.serving.folder import Folder
from mattecli.core.serving.photo_options import PHOTO_OPTIONS, settings_for
from mattecli.core.serving.refusals import Refusal
from mattecli.core.serving.service import Service, check_photo


def page_routes(service: Service, photos: OpenPhotos, folder: Folder | None) -> list[Route]:
    """Give the routes."""
    page = _Page(service, photos, folder)
    routes = [
        Route("/page/photos", page.open_photo, methods=["POST"]),
        Route("/page/photos/{name}", page.close_photo, methods=["DELETE"]),
        Route("/page/photos/{name}/photo", page.photo),
        Route("/page/photos/{name}/preview", page.preview, methods=["POST"]),
        Route("/page/photos/{name}/result", page.result, methods=["POST"]),
        Route("/page/folder", page.listing),
    ]
    if folder is not None:
        routes += [
            Route("/page/folder/{number:int}/open", page.open_of_folder, methods=["POST"]),
            Route("/page/folder/{number:int}/thumbnail", page.thumbnail),
            Route("/page/folder/{number:int}/correct", page.correct, methods=["POST"]),
            Route("/page/folder/{number:int}/accept", page.accept, methods=["POST"]),
        ]
    return routes


class _Page:
    def __init__(self, service: Service, photos: OpenPhotos, folder: Folder | None) -> None:
        self._service, self._photos, self._there = service, photos, folder

    @property
    def _folder(self) -> Folder:
        if self._there is None:
            raise Refusal(404, "no folder is served: matte serve FOLDER")
        return self._there

    async def open_photo(self, request: Request) -> Response:
        with self._service.admission.enter():
            body = await self._service.read(request)
            photo = named(body.file(*PHOTO_FIELDS), "send it as the body")
            name = request.query_params.get("name")
            photo = NamedBytes(photo, name) if name else photo
            await run_in_threadpool(check_photo, photo, self._service.options.max_pixels)
            return await self._opened(photo, None)

    async def open_of_folder(self, request: Request) -> Response:
        number = request.path_params["number"]
        source = self._folder.entry(number).photo
        with self._service.admission.enter():
            await run_in_threadpool(check_photo, source, self._service.options.max_pixels)
            return await self._opened(source, number)

    async def _opened(self, source: Any, number: int | None) -> Response:
        name, photo = await run_in_threadpool(self._photos.open, source, number)
        width, height = photo.session.size
        return JSONResponse({"id": name, "width": width, "height": height})

    async def close_photo(self, request: Request) -> Response:
        self._photos.close(request.path_params["name"])
        return Response(status_code=204)

    async def photo(self, request: Request) -> Response:
        photo = self._open(request)
        return Response(await run_in_threadpool(photo.photo), media_type="image/jpeg")

    async def preview(self, request: Request) -> Response:
        photo = self._open(request)
        with self._service.admission.enter():
            refine, hints = await self._drawn(request, photo)
            data, found = await run_in_threadpool(photo.preview, refine, hints)
        headers = {
            "X-Matte-Status": "empty" if found.is_empty else "ok",
            "X-Matte-Confidence": f"{found.confidence:.3f}",
        }
        return Response(data, media_type="image/png", headers=headers)

    async def result(self, request: Request) -> Response:
        photo = self._open(request)
        given = dict(request.query_params)
        kind = given.pop("kind", "cutout")
        if kind not in ("cutout", "alpha"):
            raise Refusal(400, f"kind is cutout or alpha, not '{kind}'")
        refine, hints = await self._drawn(request, photo)
        given["refine"] = refine
        try:
            settings = settings_for(Kind(kind), given, self._service.options.max_pixels)
        except MatteError as error:
            raise Refusal(400, str(error)) from None
        cutting = await self._service.finished(
            request, lambda: self._service.cutter.submit(photo.source, settings, hints=hints)
        )
        return image_response(cutting)

    async def listing(self, request: Request) -> Response:
        if self._there is None:
            refine = self._service.refine
            return JSONResponse({"name": None, "refine": refine, "version": 0, "photos": []})
        if request.query_params.get("known") == str(self._there.version):
            return JSONResponse({"version": self._there.version})
        return JSONResponse(self._there.listing())

    async def thumbnail(self, request: Request) -> Response:
        number = request.path_params["number"]
        changes = self._folder.entry(number).changes
        data = await run_in_threadpool(self._folder.thumbnail, number, changes)
        return Response(data, media_type="image/webp", headers={"Cache-Control": "private"})

    async def correct(self, request: Request) -> Response:
        number = request.path_params["number"]
        photo = self._photos.get(request.query_params.get("photo", ""))
        if photo.number != number:
            raise Refusal(409, "that is another photo")
        refine, hints = await self._drawn(request, photo)
        await self._service.finished(request, lambda: self._folder.correct(number, refine, hints))
        self._folder.accept(number, True)
        return JSONResponse({"saved": True})

    async def accept(self, request: Request) -> Response:
        accepted = (await self._service.read_json(request)).get("accepted")
        if not isinstance(accepted, bool):
            raise Refusal(400, "'accepted' is true or false")
        self._folder.accept(request.path_params["number"], accepted)
        return JSONResponse({"accepted": accepted})

    def _open(self, request: Request) -> OpenPhoto:
        return self._photos.get(request.path_params["name"])

    async def _drawn(self, request: Request, photo: OpenPhoto) -> tuple[Refine, HintKeywords]:
        content = await self._service.read_json(request)
        refine = content.get("refine", self._service.refine)
        if refine not in get_args(Refine):
            raise Refusal(400, f"refine is {', '.join(PHOTO_OPTIONS['refine'].choices)}")
        drawn = content.get("hints", {})
        return refine, await run_in_threadpool(hints_from, drawn, photo.session.size)
