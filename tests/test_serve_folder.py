"""What the page asks of ``matte serve``: open photos, hints as drawn, a folder and its results."""

from __future__ import annotations

import io
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests
from PIL import Image
from serving import EXAMPLES, matte_serving, plan_of
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.imaging.reading import read_picture
from mattecli.core.imaging.writing import write_image
from mattecli.core.inference import pipeline
from mattecli.core.inference.run_options import RunOptions
from mattecli.core.serving import cutter, editing, folder

DATA = (EXAMPLES / "cat.jpg").read_bytes()
STROKE = {"kind": "drop", "width": 12, "path": [203, 90, 248, 180]}
# Hints that contradict one another, as is found out once the photo is cut.
FAILING = {"boxes": [[0, 0, 20, 20]], "points": [[100, 100]]}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A folder of a photo that is cut, one that is not yet, and one that cannot be."""
    root = tmp_path_factory.mktemp("served")
    photos, results = root / "photos", root / "cutouts"
    (photos / "more").mkdir(parents=True)
    shutil.copy(EXAMPLES / "cat.jpg", photos)
    shutil.copy(EXAMPLES / "coffee.jpg", photos / "more")
    (photos / "broken.jpg").write_bytes(DATA[:4000])
    # A result of an earlier run, which nobody is sure of.
    unsure = np.full((300, 451, 4), 128, np.uint8)
    write_image(results / "cat.png", unsure)
    with matte_serving(plan=plan_of(photos, results)) as listening:
        yield listening.address, photos, results


def settled(address: str) -> dict[str, dict]:
    """Wait until nothing of the folder is left to do, and list it by name."""
    for _ in range(600):
        photos = requests.get(f"{address}/page/folder").json()["photos"]
        if all(photo["status"] != "waiting" for photo in photos):
            return {photo["name"]: photo for photo in photos}
        time.sleep(0.1)
    raise AssertionError("the folder is never done")


def opened(address: str, number: int) -> str:
    answer = requests.post(f"{address}/page/folder/{number}/open")
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def test_what_is_there_is_judged_and_what_is_missing_is_cut(served):
    address, _, results = served
    listed = settled(address)
    assert {name: photo["status"] for name, photo in listed.items()} == {
        "cat.jpg": "ok",
        "more/coffee.jpg": "ok",
        "broken.jpg": "failed",
    }
    assert listed["cat.jpg"]["confidence"] < 0.05 and listed["cat.jpg"]["doubtful"]
    assert listed["broken.jpg"]["doubtful"] and "broken.jpg" in listed["broken.jpg"]["reason"]
    assert listed["more/coffee.jpg"]["confidence"] > 0.1
    # What is there is not cut again unasked.
    assert read_picture(results / "cat.png").alpha.max() == 128
    assert (results / "more/coffee.png").exists()


def test_a_correction_is_written_in_place_and_no_photo_is_touched(served):
    address, photos, results = served
    number = settled(address)["cat.jpg"]["number"]
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in photos.rglob("*.jpg")}
    name = opened(address, number)
    edit = {"refine": "fast", "hints": {"strokes": [STROKE]}}
    answer = requests.post(f"{address}/page/folder/{number}/correct?photo={name}", json=edit)
    assert answer.status_code == 200, answer.text
    alpha = read_picture(results / "cat.png").alpha
    assert alpha[135, 225] < 30 and alpha.max() == 255
    listed = settled(address)["cat.jpg"]
    assert listed["corrected"] and listed["accepted"] and not listed["doubtful"]
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in photos.rglob("*.jpg")}
    assert after == before
    # The file is what a download of the same edit is.
    download = requests.post(f"{address}/page/photos/{name}/result", json=edit)
    assert download.content == (results / "cat.png").read_bytes()


def test_a_result_that_cannot_be_written_is_said_and_the_server_goes_on(served, monkeypatch):
    from mattecli.core.errors import OutputUnusable

    address, _, results = served
    number = settled(address)["more/coffee.jpg"]["number"]
    before = (results / "more/coffee.png").read_bytes()

    def full(path, data):
        raise OutputUnusable(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(cutter, "write_result", full)
    name = opened(address, number)
    url = f"{address}/page/folder/{number}/correct?photo={name}"
    answer = requests.post(url, json={"hints": {"points": [[300, 200]]}})
    assert answer.status_code == 500
    assert "No space left" in answer.json()["error"]["message"]
    monkeypatch.undo()
    assert (results / "more/coffee.png").read_bytes() == before
    assert requests.get(f"{address}/v1/health").status_code == 200


@pytest.fixture
def held(monkeypatch) -> threading.Event:
    """Holds up the cutting until it is set."""
    go_on, real = threading.Event(), pipeline.infer_batch
    monkeypatch.setattr(pipeline, "infer_batch", lambda *given: go_on.wait(30) and real(*given))
    return go_on


@pytest.mark.parametrize(("hints", "status"), [({"strokes": [STROKE]}, 200), (FAILING, 422)])
def test_a_correction_stays_where_the_photo_was_still_to_be_cut(tmp_path, held, hints, status):
    photos, results = tmp_path / "photos", tmp_path / "cutouts"
    photos.mkdir()
    # More than are on their way at once; when the last one is done, so is the one before.
    for number in range(10):
        shutil.copy(EXAMPLES / "cat.jpg", photos / f"{number}.jpg")
    run = RunOptions(batch_size=1, workers=1)
    with (
        matte_serving(run=run, plan=plan_of(photos, results)) as listening,
        ThreadPoolExecutor(2) as client,
    ):
        address = listening.address
        name = opened(address, 8)
        url = f"{address}/page/folder/8/correct?photo={name}"
        answers = []
        for edit in ({"points": [[300, 200]]}, hints):
            answers.append(client.submit(requests.post, url, json={"hints": edit}))
            under_way = f"matte_requests_in_progress {len(answers)}.0"
            while under_way not in requests.get(f"{address}/v1/metrics").text:
                if answers[0].done():
                    break
        held.set()
        earlier, answer = (sent.result() for sent in answers)
        assert earlier.status_code == 409
        assert "a later correction" in earlier.json()["error"]["message"]
        assert answer.status_code == status, answer.text
        listed = settled(address)["8.jpg"]
    assert listed["corrected"] == listed["accepted"] == (status == 200)
    alpha = read_picture(results / "8.png").alpha
    assert (alpha[135, 225] < 30) == (status == 200)


def test_a_correction_that_fails_leaves_the_result_that_was_there(tmp_path, monkeypatch):
    photos, results = tmp_path / "photos", tmp_path / "cutouts"
    photos.mkdir()
    for name in "ab":
        shutil.copy(EXAMPLES / "cat.jpg", photos / f"{name}.jpg")
        write_image(results / f"{name}.png", np.full((300, 451, 4), 200, np.uint8))
    before = (results / "b.png").read_bytes()
    go_on, real = threading.Event(), folder.assess
    # As if there were many to judge before.
    monkeypatch.setattr(folder, "assess", lambda *given: go_on.wait(30) and real(*given))
    with matte_serving(plan=plan_of(photos, results)) as listening:
        address = listening.address
        name = opened(address, 1)
        url = f"{address}/page/folder/1/correct?photo={name}"
        assert requests.post(url, json={"hints": FAILING}).status_code == 422
        go_on.set()
        assert settled(address)["b.jpg"]["status"] == "ok"
    assert (results / "b.png").read_bytes() == before


def test_a_photo_without_a_result_cannot_be_accepted(served):
    address, *_ = served
    number = settled(address)["broken.jpg"]["number"]
    url = f"{address}/page/folder/{number}/accept"
    assert requests.post(url, json={"accepted": True}).status_code == 409
    assert requests.post(url, json={"accepted": "yes"}).status_code == 400


def test_only_numbers_lead_to_files(served):
    address, *_ = served
    for number in ("99", "-1", "..%2f..%2fetc%2fpasswd", "cat.jpg", "1e3"):
        for method, what in (("POST", "open"), ("GET", "thumbnail"), ("POST", "accept")):
            url = f"{address}/page/folder/{number}/{what}"
            assert requests.request(method, url, json={"accepted": True}).status_code == 404, url


def test_thumbnails_show_results(served):
    address, *_ = served
    number = settled(address)["more/coffee.jpg"]["number"]
    answer = requests.get(f"{address}/page/folder/{number}/thumbnail")
    image = Image.open(io.BytesIO(answer.content))
    assert image.format == "WEBP" and max(image.size) == 160 and image.mode == "RGBA"


BAD_HINTS = [
    [],
    {"stroke": []},
    {"strokes": {}},
    {"strokes": [{"kind": "keep", "width": 3}]},
    {"strokes": [{"kind": "erase", "width": 3, "path": [1, 2]}]},
    {"strokes": [{"kind": "keep", "width": None, "path": [1, 2]}]},
    {"strokes": [{"kind": "keep", "width": 3, "path": [1, 2, 3]}]},
    {"strokes": [{"kind": "keep", "width": 3, "path": ["1", "2"]}]},
    {"strokes": [{"kind": "keep", "width": 3, "path": [1e300, 2]}]},
    {"points": [[1, 2, 3]]},
    {"points": [[True, 2]]},
    {"points": [[int("9" * 400), 2]]},
    {"points": [[5000, 2]]},
    {"boxes": [[10, 10, -5, 5]]},
    {"boxes": [[1000, 10, 50, 50]]},
    {"strokes": [STROKE] * 3000},
    {"boxes": [[0, 0, 20, 20]], "points": [[100, 100]]},
]


@pytest.mark.parametrize("hints", BAD_HINTS, ids=lambda hints: str(hints)[:60])
def test_hints_that_are_none_are_refused(served, hints):
    address, *_ = served
    photo = requests.post(f"{address}/page/photos?name=x.jpg", data=DATA).json()["id"]
    answer = requests.post(f"{address}/page/photos/{photo}/preview", json={"hints": hints})
    assert answer.status_code in (400, 422), answer.text


def test_strokes_far_outside_are_drawn_as_far_as_they_are_inside(served):
    address, *_ = served
    photo = requests.post(f"{address}/page/photos", data=DATA).json()
    assert (photo["width"], photo["height"]) == (451, 300)
    far = {"kind": "drop", "width": 1e6, "path": [-1e8, 150, 1e8, 150]}
    answer = requests.post(
        f"{address}/page/photos/{photo['id']}/preview", json={"hints": {"strokes": [far]}}
    )
    assert answer.headers["X-Matte-Status"] == "empty"


def test_only_so_many_photos_stay_open(served, monkeypatch):
    address, *_ = served
    monkeypatch.setattr(editing, "_MOST_OPEN", 2)
    names = [requests.post(f"{address}/page/photos", data=DATA).json()["id"] for _ in range(3)]
    statuses = [requests.get(f"{address}/page/photos/{name}/photo").status_code for name in names]
    assert statuses == [404, 200, 200]
    requests.delete(f"{address}/page/photos/{names[2]}")
    assert requests.get(f"{address}/page/photos/{names[2]}/photo").status_code == 404


def test_without_a_folder_there_is_none_to_ask_for():
    with matte_serving() as listening:
        assert requests.get(f"{listening.address}/page/folder").json()["name"] is None
        assert requests.post(f"{listening.address}/page/folder/0/open").status_code == 404


def test_results_never_lie_among_the_photos(tmp_path):
    shutil.copy(EXAMPLES / "cat.jpg", tmp_path)
    result = CliRunner().invoke(app, ["serve", str(tmp_path), str(tmp_path)])
    assert result.exit_code == 1 and "among the pictures" in str(result.exception)
    result = CliRunner().invoke(app, ["serve", str(tmp_path / "nothing")])
    assert result.exit_code == 1 and "does not exist" in str(result.exception)
