"""Why a request is refused, and how it is told."""

from __future__ import annotations

from starlette.responses import JSONResponse

from mattecli.core.errors import MatteError

#: Short names of the reasons, by status; they are part of the API.
CODES = {
    400: "bad_request",
    401: "token_needed",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    409: "conflict",
    413: "too_large",
    415: "not_a_picture",
    422: "unreadable",
    429: "busy",
    500: "failed",
    503: "stopping",
    504: "timeout",
}


class Refusal(MatteError):
    """A request that is not done as it was asked, the HTTP status that says so, and its code."""

    def __init__(
        self,
        status: int,
        message: str,
        headers: dict[str, str] | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.code = code or CODES.get(status, "error")


def error_response(error: Refusal) -> JSONResponse:
    """Give ``{"error": {"code": …, "message": …}}``."""
    content = {"error": {"code": error.code, "message": str(error)}}
    return JSONResponse(content, error.status, headers=error.headers)
