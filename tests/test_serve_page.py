"""The page of ``matte serve``, driven in a real browser; skipped where there is none."""

from __future__ import annotations

import base64
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving import EXAMPLES, matte_serving, plan_of

from mattecli.core.imaging.reading import read_picture

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium here: apt-get install chromium"
)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    with playwright() as driver:
        # Chromium's sandbox needs what root and containers do not have.
        chromium = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def server():
    """One for all tests of single photos; that of a folder has its own."""
    with matte_serving() as listening:
        yield listening


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(60_000)
    errors: list[object] = []
    page.on("pageerror", lambda error: errors.append(error))
    page.on("request", lambda request: _is_ours(request.url) or errors.append(request.url))
    yield page
    context.close()
    # Nothing goes wrong in its scripts, and nothing is asked of any other server.
    assert errors == []


def _is_ours(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "blob:http://127.0.0.1:", "data:"))


def drop(page, path: Path) -> None:
    """Drop a file on the page, as from a file manager."""
    transfer = page.evaluate_handle(
        """([name, text]) => {
            const data = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([data], name, { type: "image/jpeg" }));
            return transfer;
        }""",
        [path.name, _base64(path)],
    )
    page.dispatch_event("main", "drop", {"dataTransfer": transfer})


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def wait_for_cutout(page) -> None:
    page.wait_for_selector("#frame:not(.new)")
    page.wait_for_selector("#busy", state="hidden")


def download(page, kind: str = "png") -> Image.Image:
    page.select_option("#format", kind)
    with page.expect_download() as waiting:
        page.click("#download")
    return Image.open(io.BytesIO(Path(waiting.value.path()).read_bytes()))


def stroke(page, *places: tuple[float, float]) -> None:
    """Draw with the mouse, in shares of the photo."""
    box = page.locator("#overlay").bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=4)
    page.mouse.up()


def test_a_dropped_photo_is_compared_corrected_and_downloaded(page, server):
    page.goto(server.link)
    drop(page, EXAMPLES / "cat.jpg")
    wait_for_cutout(page)
    assert page.inner_text("#title") == "cat.jpg"
    assert "sure" in page.inner_text("#sure")

    # The border between photo and cutout follows the mouse, and the keys.
    stroke(page, (0.5, 0.5), (0.25, 0.5))
    assert float(page.input_value("#split")) == pytest.approx(25, abs=1)
    page.press("#overlay", "ArrowRight")
    assert float(page.input_value("#split")) == pytest.approx(27, abs=1)

    before = download(page)
    assert before.size == (451, 300) and before.mode == "RGBA"
    page.keyboard.press("d")
    stroke(page, (0.45, 0.3), (0.5, 0.45), (0.55, 0.6))
    wait_for_cutout(page)
    after = download(page)
    change = np.asarray(before, int)[..., 3] - np.asarray(after, int)[..., 3]
    assert np.asarray(after)[135, 225, 3] < 30 < np.asarray(before)[135, 225, 3]
    assert change.sum() > 0

    page.keyboard.press("z")
    wait_for_cutout(page)
    assert np.array_equal(np.asarray(download(page)), np.asarray(before))
    assert download(page, "alpha").mode == "L"
    assert download(page, "webp").format == "WEBP"


def test_points_and_boxes_are_set_by_mouse_and_by_keys(page, server):
    page.goto(server.link)
    page.set_input_files("#files", EXAMPLES / "coffee.jpg")
    wait_for_cutout(page)
    page.click("[data-tool=box]")
    stroke(page, (0.1, 0.1), (0.6, 0.9))
    wait_for_cutout(page)
    alpha = np.asarray(download(page, "alpha"))
    assert alpha[:, int(0.7 * alpha.shape[1]) :].max() == 0

    page.keyboard.press("o")
    page.focus("#overlay")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    wait_for_cutout(page)
    assert page.is_enabled("#undo")
    page.click("#clear")
    wait_for_cutout(page)
    assert page.is_disabled("#clear") and page.is_enabled("#redo")


def test_what_is_no_photo_is_said(page, server, tmp_path):
    wrong = tmp_path / "wrong.jpg"
    wrong.write_bytes(b"no photo at all")
    page.goto(server.link)
    page.set_input_files("#files", wrong)
    page.wait_for_selector("#message:visible")
    assert "wrong.jpg is not a picture" in page.inner_text("#message")


@pytest.fixture
def folder(tmp_path):
    """Photos in a tree, of which one has its result already and one is damaged."""
    photos = tmp_path / "photos"
    (photos / "more").mkdir(parents=True)
    shutil.copy(EXAMPLES / "cat.jpg", photos)
    shutil.copy(EXAMPLES / "astronaut.jpg", photos / "more")
    (photos / "broken.jpg").write_bytes((EXAMPLES / "coffee.jpg").read_bytes()[:9000])
    return photos


def test_a_folder_is_walked_through_and_put_right_in_place(page, folder):
    photos = {path: path.read_bytes() for path in folder.rglob("*.jpg")}
    results = folder.parent / "cutouts"
    with matte_serving(plan=plan_of(folder, results)) as listening:
        page.goto(listening.link)
        page.wait_for_selector("#count:has-text('of 3'):not(:has-text('to do'))")
        page.check("[name=filter][value=all]")
        assert page.locator("#list li").count() == 3
        # What failed comes first, and says why.
        assert "broken.jpg" in page.locator("#list li").first.inner_text()

        page.click("#list li:has-text('cat.jpg')")
        wait_for_cutout(page)
        before = read_picture(results / "cat.png")
        page.keyboard.press("d")
        stroke(page, (0.45, 0.3), (0.55, 0.6))
        wait_for_cutout(page)
        # Nothing is written before it is accepted.
        assert np.array_equal(read_picture(results / "cat.png").alpha, before.alpha)
        page.keyboard.press("a")
        page.wait_for_selector("#list li:has-text('cat.jpg'):has-text('corrected')")
        after = read_picture(results / "cat.png")
        assert after.alpha[135, 225] < 30 < before.alpha[135, 225]

        page.click("#list li:has-text('astronaut.jpg')")
        wait_for_cutout(page)
        page.keyboard.press("a")
        page.wait_for_selector("#list li:has-text('astronaut.jpg'):has-text('accepted')")
        page.keyboard.press("z")
        page.wait_for_selector("#list li:has-text('astronaut.jpg'):not(:has-text('accepted'))")
    assert {path: path.read_bytes() for path in folder.rglob("*.jpg")} == photos
    assert sorted(p.relative_to(results).as_posix() for p in results.rglob("*") if p.is_file()) == [
        "cat.png",
        "more/astronaut.png",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_and_controls_have_names(browser, server, scheme):
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(server.link)
    page.set_input_files("#files", EXAMPLES / "cat.jpg")
    wait_for_cutout(page)
    nameless = page.evaluate(
        """[...document.querySelectorAll("button, input:not([type=file]), select, a, canvas")]
        .filter((one) => one.checkVisibility() && !(one.ariaLabel || one.innerText?.trim()
            || one.labels?.[0]?.innerText.trim() || one.title))
        .map((one) => one.outerHTML)"""
    )
    assert nameless == []
    assert _least_contrast(page) >= 4.5
    context.close()


def _least_contrast(page) -> float:
    """Measure the contrast between text and what is behind it, as WCAG does."""
    pairs = page.evaluate(
        """() => {
            const canvas = document.createElement("canvas").getContext("2d");
            const rgb = (color) => {
                canvas.clearRect(0, 0, 1, 1);
                canvas.fillStyle = color;
                canvas.fillRect(0, 0, 1, 1);
                return [...canvas.getImageData(0, 0, 1, 1).data];
            };
            const behind = (one) => {
                const color = rgb(getComputedStyle(one).backgroundColor);
                return color[3] === 255 || !one.parentElement ? color : behind(one.parentElement);
            };
            const isText = (one) => one.checkVisibility() && one.innerText?.trim() && !one.disabled;
            return [...document.querySelectorAll("button, label, p, h1, a, select, output, span")]
                .filter(isText).map((one) => [rgb(getComputedStyle(one).color), behind(one)]);
        }"""
    )
    assert len(pairs) > 15

    def light(color: list[int]) -> float:
        unit = np.array(color[:3]) / 255
        linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    lights = [sorted(map(light, pair)) for pair in pairs]
    return min((high + 0.05) / (low + 0.05) for low, high in lights)
