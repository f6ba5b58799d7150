"""What `matte predict` reads: several inputs, lists and addresses; what it would do, and names."""

from __future__ import annotations

import ipaddress
import socket
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
from http_serving import serving
from test_predict import matte, network, outputs, photo

from mattecli.core.errors import MatteError
from mattecli.core.imaging.reading import read_alpha, read_picture
from mattecli.core.imaging.writing import LAYERED, SUFFIXES, encode, write_image
from mattecli.core.inference import fetching

__all__ = ["network", "photo"]


@pytest.fixture
def here(tmp_path, monkeypatch, photo):
    """Photos in several folders below the working folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("a/x.png", "a/y.jpg", "b/x.png", "b/deep/z.png", "top.png"):
        write_image(tmp_path / name, photo)
    (tmp_path / "b" / "notes.txt").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("inputs", "made"),
    [
        (["a/x.png", "a/y.jpg"], ["x.png", "y.png"]),
        (["a/x.png", "b/x.png"], ["a/x.png", "b/x.png"]),
        (["a", "top.png"], ["a/x.png", "a/y.png", "top.png"]),
        (["b", "a/x.png", "b/x.png"], ["a/x.png", "b/deep/z.png", "b/x.png"]),
        (["b"], ["deep/z.png", "x.png"]),
    ],
)
def test_several_inputs_keep_the_tree_below_their_common_folder(here, inputs, made):
    result = matte(*inputs, "out/")
    assert result.exit_code == 0, result.output
    assert outputs(here / "out") == made
    assert ("1 other file ignored (1 .txt)" in result.stderr) == ("b" in inputs)


@pytest.mark.parametrize("option", ["--background", "--keep", "--trimap"])
def test_backgrounds_and_hints_are_not_overwritten(here, option):
    # With transparency, as results have it.
    layer = np.zeros((64, 64, 4), np.uint8)
    layer[20:40, 20:40] = 255
    write_image(here / "out/x.png", layer)
    before = (here / "out/x.png").read_bytes()
    for place in ("out/x.png", "out/"):
        result = matte("a/x.png", place, option, "out/x.png")
        assert isinstance(result.exception, MatteError)
        assert "out/x.png would overwrite an input" in str(result.exception)
        assert (here / "out/x.png").read_bytes() == before


@pytest.mark.parametrize(
    "options", [[], ["--save", "alpha"], ["--background", "white"], ["--save", "foreground"]]
)
def test_two_photos_of_a_pattern_are_not_input_and_output(here, options):
    before = (here / "b/x.png").read_bytes()
    for source, stdin in (("a/x.png", None), ("-", before)):
        result = matte(source, "b/x.png", *options, stdin=stdin)
        assert isinstance(result.exception, MatteError)
        assert "b/x.png would overwrite a photo" in str(result.exception)
        assert (here / "b/x.png").read_bytes() == before


@pytest.mark.parametrize("suffix", [*SUFFIXES, *LAYERED])
def test_results_of_an_earlier_run_are_replaced(here, suffix):
    if extra := {".exr": "OpenEXR", ".psd": "psd_tools"}.get(suffix):
        pytest.importorskip(extra)
    out = f"result{suffix}"
    for color in ("white", "black"):
        before = Path(out).read_bytes() if Path(out).exists() else b""
        assert matte("a/x.png", out, "--background", color).exit_code == 0
        assert Path(out).read_bytes() != before
    if suffix not in LAYERED:
        assert matte("a/x.png", out, "--save", "alpha").exit_code == 0
        assert matte("a/x.png", out, "--save", "foreground").exit_code == 0


@pytest.mark.parametrize(
    ("options", "code"),
    [
        *(
            (f"{option} {place}", 1)
            for option in ("--report", "--preview")
            for place in ("a/x.png", "a/y.jpg", "top.png", "out/x.png", "link.png")
        ),
        ("--report list.txt --from-list list.txt", 1),
        ("--report new.png --preview new.png", 1),
        ("--report -", 2),
        ("--preview -", 2),
    ],
)
def test_reports_and_sheets_replace_no_other_file(here, options, code):
    (here / "list.txt").write_text("a/x.png\n")
    (here / "link.png").symlink_to("a/x.png")
    assert matte("a", "out", "-q").exit_code == 0
    before = {path: path.read_bytes() for path in here.rglob("*.*") if path.is_file()}
    result = matte("a", "out", *options.split())
    assert result.exit_code == code, result.output
    assert {path: path.read_bytes() for path in here.rglob("*.*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ("--report new", "new"),
        ("--report new --name {stem}/cut", "new/"),
        ("--report new/x --name {stem}/cut", "new"),
        ("--report new", "new/x.png"),
        ("--preview sheet.png", "sheet.png/"),
        ("--report r.csv --preview r.csv/sheet.png", "new"),
    ],
)
def test_reports_and_sheets_stand_in_the_way_of_no_folder(here, options, place):
    before = outputs(here)
    result = matte("a/x.png", place, *options.split())
    assert isinstance(result.exception, MatteError)
    assert "is to be a folder" in str(result.exception) or "written over" in str(result.exception)
    assert outputs(here) == before


def test_reports_and_sheets_of_an_earlier_run_go_on(here):
    for _ in range(2):
        options = ["--report", "report.jsonl", "--preview", "sheet.jpg"]
        assert matte("a", "out", *options).exit_code == 0
    assert len((here / "report.jsonl").read_text().splitlines()) == 4


def test_a_list_names_files_and_folders_and_what_is_missing_fails_alone(here):
    (here / "list.txt").write_text("b/x.png\r\n\na\nb/gone.png\n")
    result = matte("--from-list", "list.txt", "out")
    assert result.exit_code == 1
    assert "3 done, 1 failed" in result.stderr and "gone.png" in result.stderr
    assert outputs(here / "out") == ["a/x.png", "a/y.png", "b/x.png"]


def test_only_a_link_that_is_named_is_written_through(here):
    for name in ("own.png", "others.png"):
        write_image(here / name, np.zeros((9, 9, 4), np.uint8))
    others = (here / "others.png").read_bytes()
    (here / "out").mkdir()
    (here / "named.png").symlink_to("own.png")
    (here / "out" / "x.png").symlink_to("../others.png")
    assert matte("a/x.png", "named.png").exit_code == 0
    assert matte("a", "out").exit_code == 0
    assert (here / "named.png").is_symlink() and not (here / "out" / "x.png").is_symlink()
    assert (here / "own.png").read_bytes() == (here / "out" / "x.png").read_bytes()
    assert (here / "others.png").read_bytes() == others


def test_a_list_may_begin_with_a_byte_order_mark(here):
    (here / "list.txt").write_text("a/x.png\nb/x.png\n", "utf-8-sig")
    assert matte("--from-list", "list.txt", "out").exit_code == 0
    assert outputs(here / "out") == ["a/x.png", "b/x.png"]


def test_a_link_to_a_photo_has_a_result_and_no_photo_has_two(here):
    (here / "a" / "link.png").symlink_to("x.png")
    (here / "a" / "loop").symlink_to(here / "a", target_is_directory=True)
    (here / "again").symlink_to(here / "a", target_is_directory=True)
    assert matte("a", "again", "a/x.png", "./a/x.png", "out").exit_code == 0
    assert outputs(here / "out") == ["a/link.png", "a/x.png", "a/y.png"]


def test_a_folder_that_is_called_like_a_result(here, photo):
    write_image(here / "in/top.jpg", photo)
    write_image(here / "in/top.png/x.png", photo)
    for command in (["in", "out"], ["in", "out", "--resume"]):
        assert matte(*command).exit_code == 0
        assert outputs(here / "out") == ["top.jpg.png", "top.png/x.png"]


def test_a_file_among_the_results_that_is_in_the_way_of_a_folder(here):
    (here / "out").mkdir()
    (here / "out" / "deep").touch()
    result = matte("b", "out")
    assert result.exit_code == 1 and "cannot write out/deep/z.png" in result.stderr
    assert outputs(here / "out") == ["deep", "x.png"]
    result = matte("b", "out/deep/")
    assert "out/deep is a file, not a folder" in str(result.exception)


def test_a_list_with_nul_comes_through_a_pipe(here):
    write_name = "two\nlines.png"
    write_image(here / "b" / write_name, read_picture(here / "top.png").color)
    data = b"b/two\nlines.png\0b/x.png\0"
    assert matte("--from-list", "-", "-0", "out", stdin=data).exit_code == 0
    assert outputs(here / "out") == ["two\nlines.png", "x.png"]
    result = matte("--from-list", "-", "out", stdin=data)
    assert isinstance(result.exception, MatteError) and "-0" in str(result.exception)


@pytest.mark.parametrize(
    "arguments",
    [
        ["out/"],
        ["a/x.png", "a/y.jpg", "result.png"],
        ["a/x.png", "-", "out/"],
        ["a/x.png", "out/", "-0"],
        ["a", "b", "out/", "--watch"],
        ["a/x.png", "out.png", "--name", "{stem}"],
        ["a/x.png", "out.jpg", "--save", "background"],
    ],
)
def test_inputs_that_do_not_go_together(here, arguments):
    assert matte(*arguments).exit_code == 2
    assert len(outputs(here)) == 6


@pytest.mark.parametrize(
    ("pattern", "made"),
    [
        ("{stem}-cut{suffix}", ["x-cut.png", "y-cut.png"]),
        ("cut-{stem}", ["cut-x.png", "cut-y.png"]),
        ("{stem}/{kind}", ["x/cutout.png", "y/cutout.png"]),
    ],
)
def test_names_follow_a_pattern(here, pattern, made):
    assert matte("a", "out", "--name", pattern).exit_code == 0
    assert outputs(here / "out") == made


def test_a_pattern_with_the_kind_puts_kinds_into_one_folder(here):
    arguments = ["--save", "alpha", "--save", "trimap", "--name", "{stem}_{kind}"]
    assert matte("b", "out", *arguments).exit_code == 0
    assert outputs(here / "out") == [
        *("deep/z_alpha.png", "deep/z_trimap.png", "x_alpha.png", "x_trimap.png")
    ]


@pytest.mark.parametrize(
    "pattern", ["one", "../{stem}", "/tmp/{stem}", "{name}", "{stem.x}", "{", "{stem:>9}"]
)
def test_patterns_that_are_none(here, pattern):
    result = matte("a", "out", "--name", pattern)
    assert isinstance(result.exception, MatteError) and "pattern" in str(result.exception)
    assert not (here / "out").exists()


def test_a_dry_run_says_it_all_and_does_nothing(here):
    (here / "b" / "broken.png").write_text("no picture")
    write_image(here / "out/x.png", np.zeros((2, 2, 4), np.uint8))
    before = outputs(here)
    result = matte("b", "out", "--dry-run")
    assert result.exit_code == 1
    assert "b/x.png (120x90) -> out/x.png" in result.stdout
    assert "2 to cut, 1 that cannot be read: 0.0 megapixels" in result.stdout
    assert "(1 would be replaced)" in result.stdout and "MB free" in result.stdout
    assert "broken.png" in result.stderr
    assert outputs(here) == before
    assert "1 already there" in matte("b", "out", "--dry-run", "--resume").stdout


def test_background_and_trimap(here):
    kinds = ["--save", "background", "--save", "trimap", "--save", "alpha", "--size", 128]
    assert matte("top.png", "out/", *kinds).exit_code == 0
    alpha = read_alpha(here / "out/alpha/top.png").astype(int)
    scene = read_picture(here / "out/background/top.png")
    assert np.abs(scene.alpha.astype(int) - (255 - alpha)).max() <= 1
    rim = (alpha > 60) & (alpha < 200)
    # The disc is red on blue: what is left of the rim is blue.
    assert scene.color[rim].mean(axis=0)[0] < 25 and scene.color[rim].mean(axis=0)[2] > 170
    trimap = read_alpha(here / "out/trimap/top.png")
    assert set(np.unique(trimap)) == {0, 128, 255}
    assert (trimap[(alpha > 10) & (alpha < 245)] == 128).all()
    assert (alpha[trimap == 255] > 245).all() and (alpha[trimap == 0] < 10).all()


class Handler(BaseHTTPRequestHandler):
    """Gives photos, and leads elsewhere."""

    photo = b""

    def do_GET(self):
        kinds = {"/x.png": "image/png", "/page.png": "text/html", "/long.png": "image/png"}
        target = {"/moved.png": "/x.png", "/file.png": "file:///etc/passwd"}.get(self.path)
        if self.path == "/loop.png":
            target = "/loop.png"
        self.send_response(302 if target else 200 if self.path in kinds else 404)
        if target:
            self.send_header("Location", target)
        elif self.path in kinds:
            self.send_header("Content-Type", kinds[self.path])
            length = len(self.photo) if self.path != "/long.png" else fetching.MOST_BYTES + 1
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.path in kinds:
            self.wfile.write(self.photo)

    def log_message(self, *_):
        pass


@pytest.fixture
def address(photo, monkeypatch):
    monkeypatch.setattr(Handler, "photo", encode(photo, ".png"))
    with serving(Handler) as address:
        yield address


def test_addresses_are_fetched_if_that_is_allowed(here, address, monkeypatch):
    result = matte(f"{address}/x.png", "out/")
    assert "--allow-url" in str(result.exception) and not (here / "out").exists()
    monkeypatch.setattr(fetching, "is_public", lambda _: True)
    inputs = [f"{address}/{name}.png" for name in ("moved", "gone", "page", "long", "file", "loop")]
    result = matte(*inputs, "top.png", "out/", "--allow-url")
    assert result.exit_code == 1
    assert outputs(here / "out") == ["moved.png", "top.png"]
    lines = [line for line in result.stderr.splitlines() if "http://" in line]
    for name, words in {
        "gone": "404",
        "page": "text/html",
        "long": "longer than",
        "file": "is not allowed",
        "loop": "redirect",
    }.items():
        assert any(f"{name}.png" in line and words in line for line in lines), (name, lines)


def test_nothing_is_asked_in_private_networks(here, address):
    result = matte(f"{address}/x.png", "out.png", "--allow-url")
    assert result.exit_code == 1 and "127.0.0.1 in a private network" in result.stderr
    assert not (here / "out.png").exists()


def test_a_name_that_leads_to_a_private_address_is_refused(monkeypatch):
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.5", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    with pytest.raises(MatteError, match=r"10\.0\.0\.5, in a private network"):
        fetching.fetch("http://photos.example.com/x.png", 1_000_000)


@pytest.mark.parametrize(
    ("number", "public"),
    [
        *((text, False) for text in ("127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.169.254")),
        *((text, False) for text in ("0.0.0.0", "100.64.0.1", "224.0.0.1", "::1", "fe80::1%eth0")),
        *((text, False) for text in ("fd00::1", "::ffff:127.0.0.1", "2002:7f00:1::", "::")),
        # Addresses of IPv4 in others, of one site, and of documents.
        *((text, False) for text in ("64:ff9b::a00:1", "64:ff9b:1::7f00:1", "::ffff:0:10.0.0.1")),
        *((text, False) for text in ("::127.0.0.1", "fec0::1", "3fff::1", "2001:db8::1")),
        *((text, True) for text in ("93.184.216.34", "2606:2800:220:1::1", "64:ff9b::808:808")),
    ],
)
def test_which_addresses_are_public(number, public):
    assert ipaddress.ip_address(number.partition("%")[0])
    assert fetching.is_public(number) == public
