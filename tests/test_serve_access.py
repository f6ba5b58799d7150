"""Who may ask ``matte serve``, and what it fetches: other sites and private networks stay out."""

from __future__ import annotations

import http.server
import socket
from urllib.parse import quote

import pytest
import requests
from http_serving import serving
from serving import EXAMPLES, matte_serving

from mattecli.core.errors import MatteError
from mattecli.core.inference import fetching
from mattecli.core.serving.options import ServeOptions
from mattecli.core.serving.running import access_of

DATA = (EXAMPLES / "cat.jpg").read_bytes()
# Signs that mean something in links and cookies.
TOKEN = 'a+secret/;"&='


@pytest.fixture(scope="module")
def server() -> str:
    with matte_serving(allow_host=["Photos.lan", "fotografía.example", "[FD00::1]"]) as listening:
        yield listening.address


@pytest.fixture(scope="module")
def guarded():
    with matte_serving(token=TOKEN) as listening:
        yield listening


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1", "10.0.0.1"])
def test_a_name_that_may_be_rebound_is_refused(server, host):
    answer = requests.get(f"{server}/v1/health", headers={"Host": host})
    assert answer.status_code in (400, 403)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost:1", "127.0.0.1", "[::1]:8000"),
        *("photos.lan", "xn--fotografa-n5a.example:80", "[fd00::1]:8000"),
    ],
)
def test_names_of_this_machine_and_named_ones_pass(server, host):
    assert requests.get(f"{server}/v1/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": ""},
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
    [{}, {"X-Api-Key": "wrong"}, {"Authorization": f"Basic {TOKEN}"}, {"Cookie": "matte_token=x"}],
    ids=str,
)
def test_without_the_token_nothing_is_done(guarded, headers):
    answer = requests.post(f"{guarded.address}/v1/alpha", data=DATA, headers=headers)
    assert answer.status_code == 401
    assert requests.get(guarded.address, headers=headers).status_code == 401
    assert requests.get(f"{guarded.address}/v1/health", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"X-Api-Key": TOKEN}, {"Authorization": f"Bearer {TOKEN}"}], ids=str
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


def test_the_link_may_be_written_with_the_token_as_it_is():
    with matte_serving(token="ab+c/d=") as listening:
        answer = requests.get(f"{listening.address}/?token=ab+c/d=", allow_redirects=False)
    assert answer.status_code == 303 and "matte_token=" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("token", [" padded ", "two words", "пароль", "a\nb", "a\x7fb"])
def test_a_token_that_no_header_holds_is_refused_at_the_start(token):
    with pytest.raises(MatteError, match="give another one"):
        access_of(ServeOptions(token=token))


@pytest.mark.parametrize(
    "name", ["Foo.example:8000", "http://foo", "foo/", " foo", "", "*.lan", "a..b", "[::1]:80"]
)
def test_a_host_that_no_browser_names_is_refused_at_the_start(name):
    with pytest.raises(MatteError, match=r"write it alone, such as photos\.example"):
        access_of(ServeOptions(allow_host=[name]))


def test_a_port_that_is_taken_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(MatteError, match="another one with --port"), matte_serving(port=port):
            pass


@pytest.fixture(scope="module")
def fetching_server() -> str:
    with matte_serving(fetch_urls=True, max_body_mb=1, timeout=20) as listening:
        yield listening.address


PLACES = [
    *("http://127.0.0.1/x.jpg", "http://localhost/x.jpg", "http://[::1]/", "http://0x7f.1/"),
    *("http://192.168.0.1/x.jpg", "http://169.254.169.254/latest/", "http://[::ffff:10.0.0.1]/"),
    *("file:///etc/passwd", "ftp://example.com/x", "photo.jpg", "http://"),
]


@pytest.mark.parametrize("url", PLACES)
@pytest.mark.parametrize("path", ["/v1/alpha?url=", "/v1.0/removebg?image_url="])
def test_nothing_is_fetched_from_private_networks_or_files(fetching_server, url, path):
    answer = requests.post(fetching_server + path + quote(url, safe=""))
    assert answer.status_code == 400, answer.text


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
        self.send_header("Content-Type", "image/jpeg")
        self.end_headers()
        self.wfile.write(DATA if self.path != "/long" else bytes(2_000_000))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(monkeypatch):
    """A site whose address counts as public."""
    with serving(Site) as address:
        real = fetching.is_public
        monkeypatch.setattr(fetching, "is_public", lambda one: one == "127.0.0.1" or real(one))
        yield address


def test_photos_are_fetched_where_that_is_switched_on(site, fetching_server):
    url = f"{fetching_server}/v1/alpha"
    sent = requests.post(url, data=DATA)
    for path in ("photo.jpg", "moved"):
        answer = requests.post(url, params={"url": f"{site}/{path}"})
        assert answer.content == sent.content
    statuses = {
        path: requests.post(url, params={"url": f"{site}/{path}"}).status_code
        for path in ("inside", "loop", "gone", "long")
    }
    assert statuses == dict.fromkeys(statuses, 400)
