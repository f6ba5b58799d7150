"""Who may ask ``matte serve``, and what it fetches: other sites and private networks stay out."""

from __future__ import annotations

import http.server
import socket

import pytest
import requests
from http_serving import serving
from serving import EXAMPLES, matte_serving

from mattecli.core.errors import MatteError
from mattecli.core.serving import fetching
from mattecli.core.serving.fetching import fetch, public_address
from mattecli.core.serving.options import ServeOptions
from mattecli.core.serving.refusals import Refusal
from mattecli.core.serving.running import access_of

DATA = (EXAMPLES / "cat.jpg").read_bytes()


@pytest.fixture(scope="module")
def server() -> str:
    with matte_serving(allow_host=["photos.lan"]) as listening:
        yield listening.address


@pytest.fixture(scope="module")
def guarded():
    with matte_serving(token="a secret") as listening:
        yield listening


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1", "10.0.0.1"])
def test_a_name_that_may_be_rebound_is_refused(server, host):
    answer = requests.get(f"{server}/v1/health", headers={"Host": host})
    assert answer.status_code in (400, 403)


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8000", "photos.lan"])
def test_names_of_this_machine_and_named_ones_pass(server, host):
    assert requests.get(f"{server}/v1/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        # Another program on this machine has another port.
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    ],
    ids=str,
)
def test_pages_of_other_sites_are_refused(server, headers):
    answer = requests.post(f"{server}/v1/cutout", data=DATA, headers=headers)
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_own_page_passes(server):
    headers = {"Origin": server, "Sec-Fetch-Site": "same-origin"}
    answer = requests.post(f"{server}/v1/cutout", data=DATA, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Api-Key": "wrong"}, {"Authorization": "Basic a secret"}, {"Cookie": "matte_token=x"}],
    ids=str,
)
def test_without_the_token_nothing_is_done(guarded, headers):
    answer = requests.post(f"{guarded.address}/v1/alpha", data=DATA, headers=headers)
    assert answer.status_code == 401
    assert requests.get(guarded.address, headers=headers).status_code == 401
    assert requests.get(f"{guarded.address}/v1/health", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"X-Api-Key": "a secret"}, {"Authorization": "Bearer a secret"}], ids=str
)
def test_the_token_lets_in_under_any_name(guarded, headers):
    headers = {**headers, "Host": "photos.example"}
    answer = requests.post(f"{guarded.address}/v1/alpha", data=DATA, headers=headers)
    assert answer.status_code == 200


def test_the_link_that_is_printed_lets_a_browser_in(guarded):
    browser = requests.Session()
    answer = browser.get(guarded.link)
    assert answer.status_code == 200 and "token" not in answer.url
    assert browser.get(f"{guarded.address}/openapi.json").status_code == 200
    (cookie,) = browser.cookies
    assert cookie.has_nonstandard_attr("HttpOnly")


def test_others_than_this_machine_always_need_a_token():
    assert access_of(ServeOptions()).token is None
    assert access_of(ServeOptions(host="localhost")).token is None
    made = access_of(ServeOptions(host="0.0.0.0")).token
    assert made and len(made) > 20
    assert made != access_of(ServeOptions(host="0.0.0.0")).token
    with pytest.raises(MatteError, match="token is empty"):
        access_of(ServeOptions(token=" "))


def test_a_port_that_is_taken_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(MatteError, match="another one with --port"), matte_serving(port=port):
            pass


PRIVATE = [
    "127.0.0.1",
    "localhost",
    "0.0.0.0",
    "10.1.2.3",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "[::1]",
    "[fe80::1]",
    "[fd00::1]",
    "[::ffff:10.0.0.1]",
    "[64:ff9b::a00:1]",
    "[2002:a00:1::]",
    "2130706433",
    "0x7f.1",
    "224.0.0.1",
]


@pytest.mark.parametrize("host", PRIVATE)
def test_nothing_is_fetched_from_private_networks(host):
    with pytest.raises(Refusal) as refusal:
        fetch(f"http://{host}/photo.jpg", 1000, 5)
    assert refusal.value.status in (400, 403)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.com/x",
        "gopher://example.com",
        "photo.jpg",
        "http://example.com:22/",
        "http://user:password@example.com/",
        "http://",
        "http://exa mple.com",
    ],
)
def test_only_plain_web_addresses_are_fetched(url):
    with pytest.raises(Refusal):
        fetch(url, 1000, 5)


def test_a_host_with_one_private_address_is_refused_whole(monkeypatch):
    found = [(0, 0, 0, "", (address, 80)) for address in ("93.184.215.14", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(Refusal, match="not in the public internet"):
        public_address("rebinding.example", 80)


class Site(http.server.BaseHTTPRequestHandler):
    """A photo, a long answer, and redirections."""

    def do_GET(self) -> None:
        places = {"/inside": "http://192.168.0.1/", "/loop": "/loop", "/moved": "/photo.jpg"}
        if self.path in places:
            self.send_response(302)
            self.send_header("Location", places[self.path])
            self.end_headers()
            return
        self.send_response(200 if self.path != "/gone" else 404)
        self.end_headers()
        self.wfile.write(DATA if self.path != "/long" else bytes(2_000_000))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(monkeypatch):
    """A site whose address counts as public."""
    with serving(Site) as address:
        port = int(address.rpartition(":")[2])
        monkeypatch.setitem(fetching._PORTS, "http", port)
        real = fetching._is_public
        monkeypatch.setattr(
            fetching, "_is_public", lambda one: str(one) == "127.0.0.1" or real(one)
        )
        yield address


def test_photos_are_fetched_where_that_is_switched_on(site):
    with matte_serving(fetch_urls=True, max_body_mb=1) as listening:
        url = f"{listening.address}/v1/alpha"
        sent = requests.post(url, data=DATA)
        for path in ("photo.jpg", "moved"):
            answer = requests.post(url, params={"url": f"{site}/{path}"})
            assert answer.content == sent.content
        statuses = {
            path: requests.post(url, params={"url": f"{site}/{path}"}).status_code
            for path in ("inside", "loop", "gone", "long")
        }
    assert statuses == {"inside": 403, "loop": 400, "gone": 400, "long": 413}
