"""Listening, and stopping once what has begun is done."""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

import uvicorn

from mattecli.core.device import usable_cores
from mattecli.core.errors import MatteError
from mattecli.core.inference.options import PredictOptions
from mattecli.core.inference.preloading import load_predictor
from mattecli.core.inference.run_options import RunOptions
from mattecli.core.serving.application import make_application
from mattecli.core.serving.connections import Complaints, Connection, most_connections
from mattecli.core.serving.cutter import Cutter
from mattecli.core.serving.editing import OpenPhotos
from mattecli.core.serving.folder import Folder, FolderPlan
from mattecli.core.serving.guard import Access, asked_name, is_loopback
from mattecli.core.serving.options import ServeOptions
from mattecli.core.serving.service import Service

# Printable ASCII without spaces: what headers, cookies and links carry as it is.
_TOKEN = re.compile(r"[!-~]+")
# Seconds between two looks at whether to stop.
_INTERVAL = 0.1
# Seconds that a connection may rest between two requests.
_KEEP_ALIVE = 20


@dataclass(frozen=True)
class Listening:
    """Where the server is reached."""

    address: str
    token: str | None

    @property
    def link(self) -> str:
        """The address of the page, with the token that lets a browser in."""
        query = f"?token={quote(self.token, safe='')}" if self.token else ""
        return f"{self.address}/{query}"


def access_of(options: ServeOptions) -> Access:
    """Tell who may ask: only this machine, or whoever shows a token.

    Raises
    ------
    MatteError
        If the token cannot be shown in a header, or no browser asks for such a host.
    """
    token = options.token
    if token is not None and not token.strip():
        raise MatteError("the token is empty: give another one, or none to have one made")
    if token is not None and not _TOKEN.fullmatch(token):
        raise MatteError(
            "the token holds more than letters, digits and signs of ASCII, such as spaces: give "
            "another one, or none to have one made"
        )
    is_local = options.host == "localhost" or is_loopback(options.host)
    if token is None and not is_local:
        token = secrets.token_urlsafe(24)
    return Access(token, tuple(asked_name(name) for name in options.allow_host))


def serve(
    options: ServeOptions,
    prediction: PredictOptions,
    run: RunOptions,
    *,
    plan: FolderPlan | None = None,
    started: Callable[[Listening], None],
    stopped: Callable[[], bool],
) -> None:
    """Serve until `stopped`; requests that are in progress then are still answered.

    Parameters
    ----------
    plan : FolderPlan, optional
        A folder to be looked through.
    started : callable
        Is told once where the server listens.

    Raises
    ------
    MatteError
        If the address cannot be listened on, or see `load_model`.
    """
    access = access_of(options)
    workers = run.workers or min(usable_cores(), 8)
    with closing(_listen(options.host, options.port)) as sock:
        predictor = load_predictor(prediction, max_concurrency=workers)
        cutter = Cutter(
            predictor, batch_size=run.batch_size_on(predictor.device_type), workers=workers
        )
        try:
            service = Service(cutter, options, prediction.refine)
            folder = None if plan is None else Folder(plan, cutter)
            photos = OpenPhotos(predictor, options.max_pixels)
            application = make_application(service, access, photos, folder)
            host = f"[{options.host}]" if ":" in options.host else options.host
            listening = Listening(f"http://{host}:{sock.getsockname()[1]}", access.token)
            with _looking_through(folder):
                _run(_server(application, options), sock, stopped, lambda: started(listening))
            cutter.close()
        # A second Ctrl-C may come while the first one is still obeyed.
        except BaseException:
            cutter.close(at_once=True)
            raise


@contextmanager
def _looking_through(folder: Folder | None) -> Iterator[None]:
    if folder is None:
        yield
        return
    folder.start()
    try:
        yield
    finally:
        folder.stop()


def _server(application, options: ServeOptions) -> uvicorn.Server:
    most = most_connections()
    config = uvicorn.Config(
        application,
        http=partial(Connection, seconds=options.timeout, most=most),  # type: ignore[arg-type]
        # So many come at once, before any of them is counted.
        backlog=min(128, 1 + most // 4),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_keep_alive=_KEEP_ALIVE,
        # Requests end within their own time, reading and cutting; this is for what does not.
        timeout_graceful_shutdown=int(2 * options.timeout) + 1,
    )
    return uvicorn.Server(config)


def _run(
    server: uvicorn.Server,
    sock: socket.socket,
    stopped: Callable[[], bool],
    started: Callable[[], None],
) -> None:
    """Run a server in a thread of its own: in the main one it would take over the signals."""
    ended = threading.Event()
    errors: list[BaseException] = []

    async def answer() -> None:
        asyncio.get_running_loop().set_exception_handler(Complaints())
        await server.serve(sockets=[sock])

    def listen() -> None:
        try:
            asyncio.run(answer())
        # SystemExit is how uvicorn ends where it cannot start.
        except BaseException as error:
            errors.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=listen, name="http")
    thread.start()
    told = False
    try:
        while not ended.wait(_INTERVAL):
            if server.started and not told:
                started()
                told = True
            if stopped():
                server.should_exit = True
    except BaseException:
        # A second Ctrl-C waits for nothing, and what it breaks off is no error to be told.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        server.should_exit = server.force_exit = True
        raise
    finally:
        thread.join()
    if errors:
        raise MatteError(f"the server ended: {errors[0] or type(errors[0]).__name__}")


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(128)
        except BaseException:
            sock.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        no_host = isinstance(error, socket.gaierror | UnicodeError)
        no_host = no_host or getattr(error, "errno", None) == errno.EADDRNOTAVAIL
        other = "--host" if no_host else "--port"
        raise MatteError(
            f"cannot listen on {host} port {port}: {reason}: choose another one with {other}"
        ) from None
    return sock
