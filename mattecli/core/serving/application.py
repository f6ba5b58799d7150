"""The web application: routes, and what stands before them."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from mattecli.core.serving.cutting_routes import cutting_routes
from mattecli.core.serving.editing import OpenPhotos
from mattecli.core.serving.folder import Folder
from mattecli.core.serving.guard import Access, Guard
from mattecli.core.serving.metrics import Measured, Metrics
from mattecli.core.serving.openapi import openapi
from mattecli.core.serving.page_routes import page_routes
from mattecli.core.serving.refusals import Refusal, error_response
from mattecli.core.serving.removebg import removebg_routes
from mattecli.core.serving.service import Service
from mattecli.version import __version__

PAGE = Path(__file__).parent / "page"


def make_application(
    service: Service, access: Access, photos: OpenPhotos, folder: Folder | None = None
) -> Starlette:
    """Put routes and middleware together."""
    metrics = Metrics(lambda: service.admission.taken)
    routes: list[Route | Mount] = [
        Route("/", _file("index.html")),
        Route("/docs", _file("docs.html")),
        Mount("/static", StaticFiles(directory=PAGE)),
        Route("/openapi.json", _description(access)),
        *_watching_routes(service, metrics),
        *cutting_routes(service),
        *removebg_routes(service),
        *page_routes(service, photos, folder),
    ]
    known = {route.path for route in routes if isinstance(route, Route)}

    def path_of(path: str) -> str:
        # The page's paths hold names of photos, of which there are ever more.
        groups = (group for group in ("/static", "/page") if path.startswith(f"{group}/"))
        return path if path in known else next(groups, "other")

    return Starlette(
        routes=routes,
        middleware=[
            Middleware(Measured, metrics=metrics, known=path_of),
            Middleware(Guard, access=access),
        ],
        exception_handlers={
            Refusal: _refused,
            HTTPException: _not_there,
            Exception: _failed,
        },
    )


def _watching_routes(service: Service, metrics: Metrics) -> list[Route]:
    async def health(request: Request) -> Response:
        fine = service.cutter.is_running
        content = {"status": "ok" if fine else "stopping", "version": __version__}
        return JSONResponse(content, 200 if fine else 503)

    async def numbers(request: Request) -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return [Route("/v1/health", health), Route("/v1/metrics", numbers)]


def _description(access: Access):
    async def describe(request: Request) -> Response:
        return JSONResponse(openapi(with_token=access.token is not None))

    return describe


def _file(name: str):
    async def give(request: Request) -> Response:
        return FileResponse(PAGE / name, headers={"Cache-Control": "no-cache"})

    return give


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return error_response(error)


async def _not_there(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path}: {error.detail}"
    return error_response(Refusal(error.status_code, message, dict(error.headers or {})))


async def _failed(request: Request, error: Exception) -> Response:
    # What happened is in the log; it is nobody else's business.
    return error_response(Refusal(500, "something went wrong here: the server's log says what"))
