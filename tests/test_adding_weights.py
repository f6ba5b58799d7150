"""``matte weights add``: addresses, names and lengths that are not taken."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler

import pytest
from http_serving import serving
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.errors import MatteError
from mattecli.core.runtime import downloading
from mattecli.core.runtime.named_weights import add_weights, list_weights, remove_weights

BYTES = bytes(range(256)) * 8192
DIGEST = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MATTE_WEIGHTS", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(BYTES)
    return path


def left(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "",
        "../x",
        "/etc/x",
        "a/b",
        "a\\b",
        "-x",
        ".hidden",
        "x\ny",
        "x\x1b[2J",
        "x y",
        "x\0",
        "x:y",
        "x*",
        "index",
        "INDEX",
        "default.safetensors",
        "x.onnx",
        "x.int8",
        "x.toml",
        "x.",
        "x" * 101,
        "\u202ex",
        "_x",
        "~x",
    ],
)
def test_names_that_are_none(name, model, cache):
    with pytest.raises(MatteError, match="cannot be the name of weights") as caught:
        add_weights(str(model), name=name)
    assert str(caught.value).isprintable()
    assert left(cache) == []


@pytest.mark.parametrize("name", ["x", "rmbg-1.4", "größe", "a+b", "X_1.0", "1", "x" * 100])
def test_names_that_are(name, model):
    assert add_weights(str(model), name=name).name == name
    assert name in list_weights()


def test_a_name_differs_by_more_than_case(model):
    add_weights(str(model), name="mine")
    for name in ("MINE", "Default"):
        with pytest.raises(MatteError, match="already"):
            add_weights(str(model), name=name)


def test_names_that_are_added_and_removed_at_the_same_time_are_all_kept(model, cache):
    names = [f"w{number}" for number in range(8)]
    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(lambda name: add_weights(str(model), name=name), names))
        assert set(names) < set(list_weights())
        list(threads.map(remove_weights, names[1:]))
    assert left(cache) == ["index.toml", "w0.onnx"] and "w0" in list_weights()


def test_an_odd_name_of_a_file_asks_for_another(tmp_path, cache):
    path = tmp_path / "my model (1).onnx"
    path.write_bytes(BYTES)
    with pytest.raises(MatteError, match=r"'my model \(1\)' cannot be .* use --name"):
        add_weights(str(path))
    assert add_weights(str(path), name="mine").path.is_file()


@pytest.mark.parametrize(
    "address",
    [
        "https:/host/x.onnx",
        "https:host/x.onnx",
        "https:///x.onnx",
        "http://",
        "http://host:port/x.onnx",
        "http://host:99999/x.onnx",
        "http://host:0/x.onnx",
        "http://[::1/x.onnx",
        "http://[x]/x.onnx",
        "http://ho st/x.onnx",
        "http://host/a b.onnx",
        "http://host/\n.onnx",
        "http://host/\x1b[2J.onnx",
        "http://höst.example/größe.onnx",
        "http://" + "a" * 64 + ".example/x.onnx",
        "http://.example./x.onnx",
        "HTTPS:/host/x.onnx",
    ],
)
def test_addresses_that_are_none(address, cache):
    result = CliRunner().invoke(app, ["weights", "add", address, "--sha256", DIGEST])
    assert result.exit_code == 1 and isinstance(result.exception, MatteError)
    assert "is no address: write it as https://HOST/FILE" in str(result.exception)
    assert left(cache) == []


@pytest.mark.parametrize("scheme", ["ftp", "file", "s3", "data", "javascript"])
def test_schemes_that_are_not_asked(scheme):
    with pytest.raises(MatteError, match=r"neither a file nor an http\(s\) address"):
        add_weights(f"{scheme}://host/x.onnx", sha256=DIGEST)


@pytest.mark.parametrize("sha256", ["", "0" * 63, "g" * 64, "0" * 65, "\x1b[2J"])
def test_checksums_that_are_none(sha256, model):
    with pytest.raises(MatteError, match="has 64 hexadecimal digits"):
        add_weights(str(model), sha256=sha256)


class Handler(BaseHTTPRequestHandler):
    """Answers by the first part of the path."""

    def do_GET(self):
        kind = self.path.split("/")[1]
        if kind == "garbage":
            self.wfile.write(b"\x00\x01 no HTTP at all\r\n\r\n")
            return
        if kind == "empty":
            return
        if kind == "circle":
            self.send_response(302)
            self.send_header("Location", self.path)
            self.end_headers()
            return
        if kind == "elsewhere":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
            return
        self.send_response(200)
        lengths = {"declared": str(10**13), "short": str(2 * len(BYTES)), "odd": "-5x"}
        if kind in lengths:
            self.send_header("Content-Length", lengths[kind])
        self.end_headers()
        for _ in range(10 if kind == "endless" else 1):
            self.wfile.write(BYTES)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with serving(Handler) as address:
        yield address


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("declared", "is longer than"),
        ("endless", "is longer than"),
        ("short", "broke off|IncompleteRead"),
        ("garbage", "cannot download"),
        ("empty", "cannot download"),
        ("circle", "cannot download"),
        ("elsewhere", "cannot download"),
    ],
)
def test_answers_that_are_not_taken_leave_nothing(kind, message, server, cache, monkeypatch):
    monkeypatch.setattr(downloading.download, "__defaults__", (3 * len(BYTES),))
    with pytest.raises(MatteError, match=message):
        add_weights(f"{server}/{kind}/x.onnx", sha256=DIGEST)
    assert left(cache) in ([], ["index.toml"])


def test_a_length_that_is_none_does_not_matter(server):
    assert add_weights(f"{server}/odd/x.onnx", sha256=DIGEST).path.read_bytes() == BYTES
    assert add_weights(f"{server}/plain/a%2Db.onnx?x=1", sha256=DIGEST).name == "a-b"


@pytest.mark.parametrize(
    "text", ["x = 3", "[x]\nfile = 3", "[x]\nsha256 = ''", "[[x]]", "x = [", "[x]\nfil = ''"]
)
def test_an_index_that_is_damaged_is_named(text, cache):
    cache.mkdir()
    (cache / "index.toml").write_text(text)
    with pytest.raises(MatteError, match=r"index\.toml"):
        list_weights()
