"""A real S3 server on loopback for a test, by moto; a test that wants one is skipped without it."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest

BUCKET = "shop"
KEYS = {"AWS_ACCESS_KEY_ID": "user", "AWS_SECRET_ACCESS_KEY": "hidden-key"}


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """Serve an empty bucket, named by the environment; gives the address of the server."""
    pytest.importorskip("s3fs", reason="pip install 'mattecli[test-scale]'")
    server_of = pytest.importorskip("moto.server", reason="pip install 'mattecli[test-scale]'")
    from mattecli.core.objects import stores
    from mattecli.core.objects.paths import located

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_of.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    stated = {
        **KEYS,
        "AWS_ENDPOINT_URL": address,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }
    before = {name: os.environ.get(name) for name in stated}
    os.environ.update(stated)
    stores._systems.clear()
    # Servers of one process have one memory.
    urlopen(Request(f"{address}/moto-api/reset", method="POST")).close()
    try:
        stores.file_system(located(f"s3://{BUCKET}")).mkdir(BUCKET)
        yield address
    finally:
        stores._systems.clear()
        server.stop()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
