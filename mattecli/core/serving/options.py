"""The options of ``matte serve``; importing this module is cheap, as `matte --help` does it."""

from __future__ import annotations

import dataclasses

from mattecli.core.inference.declaring import option

_ACCESS, _LIMITS = "Access", "Limits"


@dataclasses.dataclass(frozen=True)
class ServeOptions:
    """Who may ask the server, and for how much."""

    host: str = option(
        "127.0.0.1",
        "Address to listen on; any but this machine's own needs a token.",
        panel=_ACCESS,
    )
    port: int = option(
        8000, "Port to listen on; 0 takes a free one.", panel=_ACCESS, min=0, max=65535
    )
    token: str | None = option(
        None,
        "What requests have to show as 'Authorization: Bearer TOKEN' or 'X-Api-Key: TOKEN'.",
        panel=_ACCESS,
        envvar="MATTE_TOKEN",
        show_default="none on this machine, else a new one that is printed",
    )
    allow_host: list[str] = option(
        [],
        "Further name under which browsers may reach the server without a token. Repeatable.",
        panel=_ACCESS,
        flags=("--allow-host",),
        metavar="NAME",
    )
    fetch_urls: bool = option(
        False,
        "Fetch photos from addresses that requests name, but never from private networks.",
        panel=_ACCESS,
        flags=("--fetch-urls",),
    )
    max_body_mb: float = option(
        64, "Largest request in megabytes.", panel=_LIMITS, flags=("--max-body-mb",), min=0.001
    )
    max_megapixels: float = option(100, "Refuse larger photos.", panel=_LIMITS, min=0)
    queue: int = option(
        32,
        "Requests in progress at most; further ones are told to come back later (429).",
        panel=_LIMITS,
        min=1,
    )
    timeout: float = option(
        60, "Seconds in which a request is read, and answered.", panel=_LIMITS, min=0.1
    )

    @property
    def max_bytes(self) -> int:
        """Largest body of a request."""
        return int(self.max_body_mb * 1e6)

    @property
    def max_pixels(self) -> int:
        """Largest photo."""
        return int(self.max_megapixels * 1e6)
