"""``matte serve`` as programs see it: one photo in, one result out, over HTTP."""

from __future__ import annotations

import asyncio
import base64
import errno
import io
import re
import socket
import tempfile
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest
import removebg.removebg
import requests
from PIL import Image
from serving import EXAMPLES, matte_serving

import mattecli as matte
from mattecli.core.imaging.writing import encode
from mattecli.core.inference import pipeline, run
from mattecli.core.inference.run_options import RunOptions
from mattecli.core.serving import connections

PHOTO = EXAMPLES / "cat.jpg"
DATA = PHOTO.read_bytes()


@pytest.fixture(scope="module")
def server() -> str:
    with matte_serving(max_megapixels=2, max_body_mb=2) as listening:
        yield listening.address


@pytest.fixture(scope="module")
def alpha() -> np.ndarray:
    return matte.predict(PHOTO, device="cpu")


def opened(answer: requests.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def code_of(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_the_cutout_is_that_of_the_python_api(server):
    answer = requests.post(f"{server}/v1/cutout", data=DATA)
    expected = matte.cutout(PHOTO, device="cpu")
    assert answer.headers["Content-Type"] == "image/png"
    assert np.array_equal(np.asarray(opened(answer)), expected)
    assert answer.headers["X-Matte-Status"] == "ok"
    assert 0.1 < float(answer.headers["X-Matte-Confidence"]) <= 1


def test_a_form_and_what_curl_sends_are_the_same(server, alpha):
    as_form = requests.post(f"{server}/v1/alpha", files={"image": DATA})
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    as_curl = requests.post(f"{server}/v1/alpha", data=DATA, headers=kind)
    assert as_form.content == as_curl.content
    assert np.abs(np.asarray(opened(as_form)) / 255 - alpha).max() < 0.003


def test_options_come_in_the_query_and_as_fields(server):
    wanted = {"format": "webp", "background": "#ff0000", "crop": "true", "margin": "0"}
    in_query = requests.post(f"{server}/v1/cutout", data=DATA, params=wanted)
    as_fields = requests.post(f"{server}/v1/cutout", files={"image": DATA}, data=wanted)
    image = opened(in_query)
    assert image.format == "WEBP" and image.mode == "RGB"
    assert image.size < (451, 300)
    assert image.getpixel((0, 0)) == (255, 0, 0)
    assert in_query.content == as_fields.content


def test_a_background_may_be_a_picture(server):
    behind = encode(np.full((20, 30, 3), (0, 0, 255), np.uint8), ".png")
    answer = requests.post(f"{server}/v1/cutout", files={"image": DATA, "background": behind})
    assert opened(answer).getpixel((0, 0)) == (0, 0, 255)


def test_hints_are_texts_and_files(server):
    strokes = np.zeros((300, 451, 4), np.uint8)
    strokes[90:180, 200:260] = 255
    given = {"box": "5%,5%,80%,90%", "points": "225,60;230,50"}
    answer = requests.post(
        f"{server}/v1/alpha", files={"image": DATA, "drop": encode(strokes, ".png")}, data=given
    )
    found = np.asarray(opened(answer))
    expected = matte.predict(PHOTO, device="cpu", drop=strokes, **given)
    assert np.abs(found / 255 - expected).max() < 0.003
    assert found[:, 400:].max() == 0 and found[135, 225] < 30


WRONG = [
    ({"points": "9000,10"}, "9000,10"),
    ({"points": "9,10;" * 3000}, "longer than any points"),
    ({"box": "1,2,3"}, "box"),
    ({"subject": "smallest"}, "all, largest, center"),
    ({"fromat": "png"}, "did you mean 'format'?"),
    ({"format": "gif"}, "format"),
    ({"format": "jpg"}, "transparency"),
    ({"bits": "12"}, "bits is 8 or 16"),
    ({"quality": "1000"}, "from 1 to 100"),
    ({"quality": "nan"}, "whole number"),
    ({"quality": "9" * 400}, "from 1 to 100"),
    ({"margin": "inf"}, "margin"),
    ({"crop": "perhaps"}, "true or false"),
    # Larger than photos may be; the second one is so once the subject is found.
    ({"canvas": "1500x1500"}, "a canvas of 1500x1500 is more than 2 megapixels"),
    ({"canvas": "1:4", "pad": "40%"}, "is more than 2 megapixels"),
    ({"refine": "beste"}, "did you mean 'best'?"),
    # It is no file of the server's that is meant.
    ({"background": str(PHOTO)}, "no color"),
    ({"url": "http://127.0.0.1/photo.jpg"}, "not fetched here"),
]


@pytest.mark.parametrize(("options", "said"), WRONG, ids=[str(one[0])[:40] for one in WRONG])
def test_wrong_options_are_refused_in_one_line(server, options, said):
    data = b"" if "url" in options else DATA
    answer = requests.post(f"{server}/v1/cutout", data=data, params=options)
    assert answer.status_code in (400, 403, 422)
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"subject": "nobody"}, 400),
        ({"points": "a,b"}, 400),
        ({"format": "webp", "bits": "16"}, 400),
        ({"points": "9999,9999"}, 422),
        ({"box": "10,10,0,0"}, 422),
        ({"points": "9,9", "not_points": "9,9"}, 422),
    ],
)
def test_what_is_wrong_by_itself_is_400_and_what_does_not_fit_the_photo_422(
    server, options, status
):
    answer = requests.post(f"{server}/v1/alpha", data=DATA, params=options)
    assert code_of(answer) == (status, {400: "bad_request", 422: "unreadable"}[status])


def png_of(width: int, height: int) -> bytes:
    """Give the start of a PNG that says it is so large, and a little of what it would hold."""
    image = encode(np.zeros((1, 1, 3), np.uint8), ".png")
    header = image[12:16] + width.to_bytes(4, "big") + height.to_bytes(4, "big") + image[24:29]
    return image[:12] + header + zlib.crc32(header).to_bytes(4, "big") + image[33:]


BAD_BODIES = {
    "nothing": (b"", 400),
    "text": (b"hello", 415),
    "a program": (b"\x7fELF" + bytes(200), 415),
    "half a JPEG": (DATA[: len(DATA) // 2], 422),
    "a header only": (DATA[:30], 415),
    "a bomb": (png_of(60_000, 60_000), 413),
    "too many pixels": (encode(np.zeros((1500, 1500, 3), np.uint8), ".png"), 413),
    "too long": (bytes(2_100_000), 413),
}


@pytest.mark.parametrize("kind", BAD_BODIES)
def test_bad_bodies_are_answered_and_do_no_harm(server, kind):
    data, status = BAD_BODIES[kind]
    answer = requests.post(f"{server}/v1/cutout", data=data)
    assert answer.status_code == status, answer.text
    assert "standard input" not in answer.text
    assert requests.get(f"{server}/v1/health").json()["status"] == "ok"


def test_a_body_without_a_length_is_bounded_too(server):
    answer = requests.post(f"{server}/v1/cutout", data=(bytes(100_000) for _ in range(25)))
    assert code_of(answer) == (413, "too_large")


@pytest.mark.parametrize(
    "body",
    [b"", b"--x\r\n", b"--x\r\n\r\nphoto\r\n--x--\r\n", b"--y\r\nContent-Dis", b"\0" * 5000],
)
def test_forms_that_are_none_are_refused(server, body):
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = requests.post(f"{server}/v1/cutout", data=body, headers=kind)
    assert answer.status_code == 400, answer.text


def test_what_is_not_there_is_said_as_json(server):
    assert code_of(requests.get(f"{server}/v1/nothing")) == (404, "not_found")
    assert code_of(requests.get(f"{server}/v1/cutout")) == (405, "method_not_allowed")


def test_the_description_names_every_option_and_the_page_loads_nothing_from_elsewhere(server):
    described = requests.get(f"{server}/openapi.json").json()["paths"]["/v1/cutout"]["post"]
    assert {"format", "refine", "background", "crop", "points"} <= {
        one["name"] for one in described["parameters"]
    }
    alpha = requests.get(f"{server}/openapi.json").json()["paths"]["/v1/alpha"]["post"]
    values = {one["name"]: one["schema"].get("enum") for one in alpha["parameters"]}
    assert values["bits"] == [8, 16] and values["subject"] == ["all", "largest", "center"]
    assert "exr" in values["format"] and not {"ora", "psd"} & set(values["format"])
    page = requests.get(f"{server}/docs")
    assert page.status_code == 200 and "://" not in page.text
    assert requests.get(f"{server}/static/docs.js").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/..%2fguard.py",
        "/static/../guard.py",
        "/static/%2e%2e/guard.py",
        "/static//etc/passwd",
    ],
)
def test_no_path_leads_out_of_the_page(server, path):
    # As it is: clients would tidy the path up.
    prepared = requests.Request("GET", server).prepare()
    prepared.url = server + path
    assert requests.Session().send(prepared).status_code == 404


def test_metrics_count(server):
    before = _counted(server)
    requests.post(f"{server}/v1/cutout", data=DATA)
    assert _counted(server) == before + 1


def _counted(server: str) -> float:
    text = requests.get(f"{server}/v1/metrics").text
    lines = [line for line in text.splitlines() if '"/v1/cutout"' in line and '"200"' in line]
    return sum(float(line.split()[-1]) for line in lines if line.startswith("matte_requests_total"))


def test_a_client_of_removebg_works_when_pointed_here(server, tmp_path, monkeypatch):
    monkeypatch.setattr(removebg.removebg, "API_ENDPOINT", f"{server}/v1.0/removebg")
    photo = tmp_path / "cat.jpg"
    photo.write_bytes(DATA)
    client = removebg.RemoveBg("any key", str(tmp_path / "errors.log"))
    client.remove_background_from_img_file(str(photo))
    found = np.asarray(Image.open(f"{photo}_no_bg.png"))
    assert np.array_equal(found, matte.cutout(PHOTO, device="cpu"))
    text = base64.b64encode(DATA).decode()
    client.remove_background_from_base64_img(
        text, new_file_name=str(tmp_path / "white.png"), bg_color="ffffff"
    )
    assert Image.open(tmp_path / "white.png").convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_removebg_answers_json_and_refuses_what_it_does_not_know(server):
    url, kind = f"{server}/v1.0/removebg", {"Accept": "application/json"}
    answer = requests.post(url, files={"image_file": DATA}, headers=kind)
    result = base64.b64decode(answer.json()["data"]["result_b64"])
    assert Image.open(io.BytesIO(result)).size == (451, 300)
    assert answer.headers["X-Width"] == "451"
    for wrong in (
        *({"add_shadow": "true"}, {"scale": "50%"}, {"nonsense": "1"}, {"format": "zip"}),
        *({"size": "banana"}, {"crop": "perhaps"}),
        *({"image_file_b64": base64.b64encode(DATA).decode()}, {"image_url": "http://x.example/"}),
    ):
        answer = requests.post(url, files={"image_file": DATA}, data=wrong)
        assert answer.status_code == 400, wrong
        assert answer.json()["errors"][0]["title"]
        assert answer.json()["errors"][0]["code"] == "bad_request"
    plain = encode(np.full((64, 64, 3), 128, np.uint8), ".png")
    answer = requests.post(url, files={"image_file": plain})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "unknown_foreground"
    answer = requests.post(url, files={"image_file": DATA, "shadow_file": DATA})
    assert answer.status_code == 400 and "shadow_file" in answer.text


def test_removebg_lays_a_jpeg_on_a_picture_too(server):
    behind = encode(np.full((20, 30, 3), (0, 0, 255), np.uint8), ".png")
    files = {"image_file": DATA, "bg_image_file": behind}
    answer = requests.post(f"{server}/v1.0/removebg", files=files, data={"format": "jpg"})
    assert opened(answer).format == "JPEG"
    assert opened(answer).getpixel((0, 0))[2] > 200 > 50 > opened(answer).getpixel((0, 0))[0]


def test_base64_may_be_broken_into_lines(server):
    text = base64.encodebytes(DATA).decode().replace("\n", "\r\n")
    answer = requests.post(f"{server}/v1.0/removebg", data={"image_file_b64": text})
    assert opened(answer).size == (451, 300)


@pytest.mark.parametrize(("path", "photo"), [("cutout", "image"), ("removebg", "image_file")])
def test_fields_of_a_browsers_form_that_were_left_empty_count_as_not_given(server, path, photo):
    part = '--x\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n'
    names = ("background", "keep") if path == "cutout" else ("bg_image_file",)
    head = part.format(photo, '; filename="cat.jpg"').encode() + DATA + b"\r\n"
    files = "".join(part.format(name, '; filename=""') + "\r\n" for name in names)
    texts = "".join(part.format(name, "") + "\r\n" for name in ("format", "crop"))
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    url = f"{server}/v1/cutout" if path == "cutout" else f"{server}/v1.0/removebg"
    body = head + files.encode() + texts.encode() + b"--x--\r\n"
    assert opened(requests.post(url, data=body, headers=kind)).mode == "RGBA"


@pytest.mark.parametrize("size", ["preview", "full", "50MP", "4k", ""])
def test_removebg_takes_what_asks_for_nothing_else(server, size):
    # Sources that are empty count as not given.
    given = {"size": size, "image_url": "", "image_file_b64": "", "crop": "False"}
    answer = requests.post(f"{server}/v1.0/removebg", files={"image_file": DATA}, data=given)
    assert opened(answer).size == (451, 300)


def test_removebg_crops_however_true_is_written(server):
    url = f"{server}/v1.0/removebg"
    for text in ("true", "yes"):
        answer = requests.post(url, files={"image_file": DATA}, data={"crop": text})
        assert opened(answer).size < (451, 300)


def test_only_one_photo_is_taken(server):
    url = f"{server}/v1/cutout"
    answers = [
        requests.post(url, files={"image": DATA, "file": DATA}),
        requests.post(url, data=DATA, params={"url": "http://photos.example/cat.jpg"}),
    ]
    for answer in answers:
        assert code_of(answer) == (400, "bad_request")
        assert "several photos" in answer.json()["error"]["message"]


def test_requests_that_wait_share_a_pass_through_the_network(monkeypatch):
    sizes, real = [], pipeline.infer_batch

    def counted(model, photos):
        sizes.append(len(photos))
        return real(model, photos)

    monkeypatch.setattr(pipeline, "infer_batch", counted)
    in_batches = RunOptions(batch_size=4, workers=1)
    with matte_serving(run=in_batches) as listening, ThreadPoolExecutor(8) as clients:
        url = f"{listening.address}/v1/alpha"
        answers = list(clients.map(lambda _: requests.post(url, data=DATA), range(8)))
        alone = requests.post(url, data=DATA)
    assert {answer.status_code for answer in answers} == {200}
    assert max(sizes) > 1
    apart = [np.abs(np.asarray(opened(a), int) - np.asarray(opened(alone))) for a in answers]
    assert max(map(np.max, apart)) <= 1


class Held:
    """Holds up the network until it is told to go on."""

    def __init__(self, monkeypatch) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        real = pipeline.infer_batch

        def held(model, photos):
            self.reached.set()
            assert self.go_on.wait(30)
            return real(model, photos)

        monkeypatch.setattr(pipeline, "infer_batch", held)


def test_a_full_queue_says_when_to_come_again(monkeypatch):
    held = Held(monkeypatch)
    with matte_serving(queue=1) as listening, ThreadPoolExecutor(1) as client:
        url = f"{listening.address}/v1/alpha"
        first = client.submit(requests.post, url, data=DATA)
        assert held.reached.wait(30)
        second = requests.post(url, data=DATA)
        held.go_on.set()
        assert code_of(second) == (429, "busy")
        assert 1 <= int(second.headers["Retry-After"]) <= 60
        assert first.result().status_code == 200
        assert requests.post(url, data=DATA).status_code == 200


def test_a_photo_that_takes_too_long_is_given_up(monkeypatch):
    held = Held(monkeypatch)
    with matte_serving(timeout=0.5) as listening:
        url = f"{listening.address}/v1/alpha"
        assert code_of(requests.post(url, data=DATA)) == (504, "timeout")
        held.go_on.set()


def test_what_was_given_up_is_not_encoded_any_more(monkeypatch):
    reached, given_up, real, encoded = threading.Event(), threading.Event(), run.render, []

    def rendered(*given):
        reached.set()
        assert given_up.wait(30)
        return real(*given)

    monkeypatch.setattr(run, "render", rendered)
    monkeypatch.setattr(run, "encode", lambda *given, **options: encoded.append(given) or b"")
    with matte_serving(timeout=2) as listening:
        assert requests.post(f"{listening.address}/v1/cutout", data=DATA).status_code == 504
        assert reached.wait(30)
        given_up.set()
    assert not encoded


UNFINISHED = b"GET / HTTP/1.1\r\nHost: x\r\nX-A: "


def connected(address: str, data: bytes) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=10)
    connection.sendall(data)
    return connection


HALF_A_BODY = b"POST /v1/alpha HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf"


@pytest.mark.parametrize(
    ("data", "statuses"), [(b"", []), (UNFINISHED, [b"408"]), (HALF_A_BODY, [b"408"])]
)
def test_a_request_that_never_ends_is_given_up(data, statuses):
    with matte_serving(timeout=0.5) as listening:
        with connected(listening.address, data) as connection:
            assert statuses_of(connection) == statuses
        # Once more after a request that has ended.
        whole = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with connected(listening.address, whole) as connection:
            assert connection.recv(12) == b"HTTP/1.1 200"
            connection.sendall(data or b"G")
            assert statuses_of(connection) == (statuses or [b"408"])


def test_a_body_that_goes_on_after_its_answer_is_no_header():
    refused = b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nhalf"
    with (
        matte_serving(timeout=0.5) as listening,
        connected(listening.address, refused) as connection,
    ):
        assert connection.recv(12) == b"HTTP/1.1 404"
        time.sleep(1)
        connection.sendall(b"half")
        time.sleep(0.2)
        connection.sendall(
            b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        assert statuses_of(connection) == [b"200"]


def statuses_of(connection: socket.socket) -> list[bytes]:
    """Read until the server closes."""
    with connection.makefile("rb") as answers:
        return re.findall(rb"HTTP/1.1 (\d+)", answers.read())


def test_of_too_many_connections_the_one_that_rests_for_longest_is_closed(monkeypatch):
    monkeypatch.setattr(connections, "_MOST", 3)
    with matte_serving() as listening, ExitStack() as stack:
        opened = []
        for _ in range(5):
            opened.append(stack.enter_context(connected(listening.address, UNFINISHED)))
            assert requests.get(f"{listening.address}/v1/health").status_code == 200
        assert opened[0].recv(1) == b""
        opened[-1].setblocking(False)
        with pytest.raises(BlockingIOError):
            opened[-1].recv(1)


def test_that_files_have_run_out_is_said_once(caplog):
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(connections.Complaints())
    error = OSError(errno.EMFILE, "Too many open files")
    for message in ("socket.accept() out of system resource",) * 3 + ("something else",):
        loop.call_exception_handler({"message": message, "exception": error})
    loop.close()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2 and "Too many open files" in said[0] and "something else" in said[1]


def test_stopping_finishes_what_has_begun(monkeypatch):
    held = Held(monkeypatch)
    with ThreadPoolExecutor(1) as client:
        with matte_serving() as listening:
            answer = client.submit(requests.post, f"{listening.address}/v1/alpha", data=DATA)
            assert held.reached.wait(30)
            threading.Timer(0.5, held.go_on.set).start()
        assert answer.result().status_code == 200


def test_large_files_of_forms_stay_in_memory(server, monkeypatch):
    def forbidden(*_: object, **__: object) -> None:
        raise OSError("no file is to be made")

    monkeypatch.setattr(tempfile, "TemporaryFile", forbidden)
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    data = encode(noise, ".png")
    assert len(data) > 1_200_000
    answer = requests.post(f"{server}/v1/alpha", files={"image": data})
    assert opened(answer).size == (700, 700)
