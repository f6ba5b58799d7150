"""`matte weights list`, `get` and `remove`: public networks, downloaded, checked and resumed."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from http.server import BaseHTTPRequestHandler

import numpy as np
import pytest
from http_serving import serving
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.errors import MatteError
from mattecli.core.runtime import catalogue as catalogue_module
from mattecli.core.runtime.catalogue import Entry, catalogue
from mattecli.core.runtime.named_weights import cache_folder, find_weights, list_weights
from mattecli.core.runtime.preprocessing import PRESETS, find_spec

DATA = np.random.default_rng(0).integers(0, 256, 3_000_000, np.uint8).tobytes()


class Handler(BaseHTTPRequestHandler):
    """Serves `DATA`, and breaks off after so many bytes."""

    ranges = True
    breaks_after = len(DATA)
    asked: list

    def do_GET(self):
        self.asked.append((self.path, self.headers.get("Range")))
        start = 0
        if self.ranges and (wanted := self.headers.get("Range")):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(DATA) - start))
        self.end_headers()
        self.wfile.write(DATA[start : start + self.breaks_after])

    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A catalogue of one network that this machine serves."""
    monkeypatch.setenv("MATTE_WEIGHTS", str(tmp_path / "cache"))
    monkeypatch.delenv(catalogue_module.MIRROR, raising=False)
    monkeypatch.setattr(Handler, "asked", [], raising=False)
    with serving(Handler) as address:
        entry = Entry(
            *("everything", "MIT", "yes", "https://example.com", f"{address}/a/net.onnx"),
            bytes=len(DATA),
            sha256=hashlib.sha256(DATA).hexdigest(),
            preset="isnet",
            settings={"size": 768},
            note="ask first",
        )
        monkeypatch.setattr(catalogue_module, "catalogue", lambda: {"net": entry})
        yield entry


def weights(*arguments: object):
    return CliRunner().invoke(app, ["weights", *map(str, arguments)], env={"COLUMNS": "200"})


def test_two_that_get_one_network_at_once_ask_for_it_once(served, monkeypatch):
    started, go_on = threading.Event(), threading.Event()
    answer = Handler.do_GET

    def slowly(handler):
        started.set()
        go_on.wait(30)
        answer(handler)

    monkeypatch.setattr(Handler, "do_GET", slowly)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(catalogue_module.fetch, "net")
        assert started.wait(30)
        second = pool.submit(catalogue_module.fetch, "net")
        assert not wait([second], timeout=0.5).done
        go_on.set()
        assert first.result(30).name == "net"
        with pytest.raises(MatteError, match="there already"):
            second.result(30)
    assert len(Handler.asked) == 1 and find_weights("net").read_bytes() == DATA


def test_every_entry_says_what_a_user_has_to_know():
    entries = catalogue()
    wanted = {"u2net", "isnet", "modnet", "birefnet", "birefnet-lite", "rmbg-2.0", "vitmatte"}
    assert wanted <= set(entries)
    for name, entry in entries.items():
        assert entry.about and entry.licence and entry.page.startswith("https://"), name
        assert entry.preset in ("", *PRESETS), name
        assert not entry.url or (entry.url.startswith("https://") and entry.url.endswith(".onnx"))
        assert len(entry.sha256) in (0, 64) and len(entry.md5) in (0, 32), name
    assert entries["rmbg-2.0"].commercial == "no"
    # The licence in its repository is of the code only.
    assert entries["isnet"].commercial == "unknown"
    listed = weights("list").output
    assert all(name in listed for name in entries)


def test_what_is_downloaded_has_its_name_and_runs_as_the_catalogue_says(served):
    result = weights("get", "net", "--accept")
    assert result.exit_code == 0, result.output
    assert "licence: MIT; commercial use: yes" in result.stderr
    assert "note: ask first" in result.stderr
    path = find_weights("net")
    assert path.read_bytes() == DATA
    assert find_spec(path, {}).size == 768 and find_spec(path, {}).min_max
    assert list_weights()["net"].record.licence == "MIT"
    assert [file.name for file in cache_folder().iterdir() if file.name.startswith(".")] == []
    assert "there already" in str(weights("get", "net", "--accept").exception)
    assert weights("verify").exit_code == 0


def test_nothing_is_downloaded_without_consent(served):
    result = weights("get", "net")
    assert result.exit_code == 1 and "--accept" in str(result.exception)
    assert Handler.asked == [] and "net" not in list_weights()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_goes_on_where_it_broke_off(served, monkeypatch, ranges):
    monkeypatch.setattr(Handler, "breaks_after", 1_500_000)
    result = weights("get", "net", "--accept")
    assert result.exit_code == 1 and "broke off" in str(result.exception)
    assert "net" not in list_weights()
    monkeypatch.setattr(Handler, "ranges", ranges)
    monkeypatch.setattr(Handler, "breaks_after", len(DATA))
    assert weights("get", "net", "--accept").exit_code == 0
    assert Handler.asked[1][1] == "bytes=1500000-"
    assert find_weights("net").read_bytes() == DATA


def test_another_file_is_refused_and_forgotten(served, monkeypatch):
    other = Entry(**{**vars(served), "sha256": "0" * 64})
    monkeypatch.setattr(catalogue_module, "catalogue", lambda: {"net": other})
    result = weights("get", "net", "--accept")
    assert result.exit_code == 1 and f"not {'0' * 64}" in str(result.exception)
    assert "net" not in list_weights() and not list(cache_folder().glob(".net*"))
    short = Entry(**{**vars(served), "bytes": 1000})
    monkeypatch.setattr(catalogue_module, "catalogue", lambda: {"net": short})
    assert "more than the 1000" in str(weights("get", "net", "--accept").exception)


def test_a_mirror_has_the_same_files_elsewhere(served, monkeypatch):
    there = served.url.removesuffix("/a/net.onnx")
    gone = Entry(**{**vars(served), "url": "https://gone.invalid/net.onnx"})
    monkeypatch.setattr(catalogue_module, "catalogue", lambda: {"net": gone})
    monkeypatch.setenv(catalogue_module.MIRROR, f"{there}/mirror/")
    assert weights("get", "net", "--accept").exit_code == 0
    assert Handler.asked == [("/mirror/net.onnx", None)]


def test_a_mirror_that_is_no_address_is_said(served, monkeypatch):
    monkeypatch.setenv(catalogue_module.MIRROR, "nonsense")
    error = weights("get", "net", "--accept").exception
    assert isinstance(error, MatteError) and "MIRROR=nonsense is no address" in str(error)


def test_the_proxy_of_the_environment_is_asked(served, monkeypatch):
    # urllib looks at the environment once in a process.
    monkeypatch.setattr("urllib.request._opener", None)
    monkeypatch.setenv("http_proxy", served.url.removesuffix("/a/net.onnx"))
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    far = Entry(**{**vars(served), "url": "http://files.invalid/net.onnx"})
    monkeypatch.setattr(catalogue_module, "catalogue", lambda: {"net": far})
    assert weights("get", "net", "--accept").exit_code == 0
    assert Handler.asked == [("http://files.invalid/net.onnx", None)]


def test_without_a_connection_it_says_what_to_do_and_takes_the_file(served, monkeypatch, tmp_path):
    gone = Entry(**{**vars(served), "url": "http://127.0.0.1:9/net.onnx", "elsewhere": "a disk"})
    monkeypatch.setattr(catalogue_module, "catalogue", lambda: {"net": gone})
    said = str(weights("get", "net", "--accept").exception)
    assert "cannot download" in said and "or a disk" in said and served.sha256 in said
    (tmp_path / "wrong.onnx").write_bytes(DATA[:-1] + b"?")
    result = weights("get", "net", "--accept", "--file", tmp_path / "wrong.onnx")
    assert "wrong.onnx has the SHA256" in str(result.exception) and "net" not in list_weights()
    (tmp_path / "right.onnx").write_bytes(DATA)
    assert weights("get", "net", "--accept", "--file", tmp_path / "right.onnx").exit_code == 0
    assert (tmp_path / "right.onnx").exists() and find_weights("net").read_bytes() == DATA


def test_what_was_added_can_be_removed_and_what_ships_cannot(served):
    assert weights("get", "net", "--accept").exit_code == 0
    result = weights("remove", "net")
    assert result.exit_code == 0 and "net.onnx" in result.output and "net.toml" in result.output
    assert "net" not in list_weights() and not list(cache_folder().glob("net*"))
    assert "no weights 'net'" in str(weights("remove", "net").exception)
    assert "stay" in str(weights("remove", "default").exception)


def test_networks_that_are_unknown_or_run_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("MATTE_WEIGHTS", str(tmp_path))
    assert "did you mean 'u2net" in str(weights("get", "u2nett", "--accept").exception)
    assert "other programs" in str(weights("get", "vitmatte", "--accept").exception)
    result = weights("get", "birefnet-hr-matting", "--accept")
    assert "cannot be downloaded" in str(result.exception) and "--file" in str(result.exception)
