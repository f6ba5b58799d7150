"""``matte evaluate`` as its users see it: tables, files, exit codes, and words about gaps."""

import csv
import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.imaging.reading import read_alpha
from mattecli.core.imaging.writing import write_image
from mattecli.core.metrics import score
from mattecli.core.metrics.page import error_map
from mattecli.core.network.config import NetworkConfig
from mattecli.core.runtime import loading
from mattecli.core.runtime.torch_model import TorchModel

DATA = Path(__file__).parent / "data" / "metrics"
KEYS = ("sad", "mse", "mad", "grad", "conn")


def run(*arguments, code: int = 0):
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result


def octave(region: str) -> dict[str, dict[str, float]]:
    rows = csv.DictReader((DATA / "octave.csv").open())
    return {
        row["name"]: {key: float(row[key]) for key in ("sad", "mse", "grad", "conn")}
        for row in rows
        if row["region"] == region
    }


def blob(height: int, width: int, seed: int = 0) -> np.ndarray:
    y, x = np.indices((height, width))
    distance = np.hypot(y - height / 2 - seed, x - width / 2 + seed)
    return np.clip((height / 3 - distance) * 25, 0, 255).astype(np.uint8)


@pytest.fixture
def folders(tmp_path):
    """Three truths, a good and a poor method, and photos."""
    for i, name in enumerate(("a", "b", "deep/c")):
        truth = blob(40, 60, i)
        write_image(tmp_path / "gt" / f"{name}.png", truth)
        write_image(tmp_path / "good" / f"{name}.png", np.clip(truth, 5, 250))
        write_image(tmp_path / "poor" / f"{name}.png", blob(40, 60, i + 3 + i))
        photo = np.repeat(255 - truth[..., None], 3, axis=2)
        write_image(tmp_path / "photos" / f"{name}.jpg", photo)
    return tmp_path


@pytest.mark.parametrize("region", ["whole", "unknown"])
@pytest.mark.parametrize("workers", [1, 2])
def test_json_holds_the_octave_values(tmp_path, region, workers):
    trimap = ["--trimap", DATA / "trimap"] if region == "unknown" else []
    out = tmp_path / "new" / "scores.json"
    run(DATA / "pred", DATA / "gt", *trimap, "--json", out, "--workers", workers)
    content = json.loads(out.read_text())
    assert list(content) == ["region", "mean", "images", "missing"]
    assert content["region"] == region
    assert content["missing"] == []
    expected = octave(region)
    assert [image["name"] for image in content["images"]] == sorted(expected)
    for image in content["images"]:
        assert list(image) == ["name", *KEYS]
        for key, value in expected[image["name"]].items():
            assert image[key] == pytest.approx(value, rel=1e-5, abs=1e-12)
    for key in KEYS:
        column = [image[key] for image in content["images"]]
        assert content["mean"][key] == pytest.approx(np.mean(column))


def test_whole_region_in_spite_of_trimaps(tmp_path):
    out = tmp_path / "scores.json"
    run(DATA / "pred", DATA / "gt", "--trimap", DATA / "trimap", "--region", "whole", "--json", out)
    content = json.loads(out.read_text())
    assert content["region"] == "whole"
    assert content["images"][0]["sad"] == pytest.approx(octave("whole")["cloud"]["sad"], rel=1e-5)


def test_table_shows_images_mean_interval_and_region(folders):
    text = run(folders / "poor", folders / "gt").stdout
    header = next(line for line in text.splitlines() if line.startswith("┃ image"))
    assert header.count("whole") == 5
    assert "region: the whole image" in text
    scores = score(blob(40, 60, 3), blob(40, 60, 0))
    row = next(line for line in text.splitlines() if "│ a " in line)
    assert [float(cell) for cell in re.findall(r"[\d.]+", row)] == pytest.approx(scores, abs=6e-4)
    for label in ("mean", "95% from", "95% to"):
        assert label in text
    assert "detail" in run(folders / "poor", folders / "gt", "--region", "detail").stdout


def test_csv_has_a_line_an_image(folders):
    out = folders / "scores.csv"
    run(folders / "good", folders / "gt", "--csv", out)
    rows = list(csv.reader(out.open()))
    assert rows[0] == ["name", "region", *KEYS]
    assert [row[:2] for row in rows[1:]] == [[name, "whole"] for name in ("a", "b", "deep/c")]
    truth = blob(40, 60)
    assert [float(x) for x in rows[1][2:]] == pytest.approx(score(np.clip(truth, 5, 250), truth))


@pytest.mark.parametrize("option", ["--json", "--csv"])
@pytest.mark.parametrize("place", ["good/a.png", "gt/a.png", "poor/a.png", "photos/a.jpg"])
def test_results_replace_no_picture(folders, option, place):
    before = (folders / place).read_bytes()
    run(folders / "good", folders / "gt", option, folders / place, code=1)
    assert (folders / place).read_bytes() == before


def test_results_need_files_of_their_own(folders):
    run(folders / "good", folders / "gt", "--json", "-", code=2)
    both = folders / "scores"
    run(folders / "good", folders / "gt", "--json", both, "--csv", both, code=1)
    assert not both.exists()


def test_any_format_depth_and_cutouts_give_one_result(tmp_path):
    truth, matte = blob(30, 50), blob(30, 50, 2)
    write_image(tmp_path / "gt" / "x.png", truth)
    cutout = np.dstack([np.full((30, 50, 3), 77, np.uint8), matte])
    predictions = {
        "grey.png": matte,
        "deep.png": matte.astype(np.uint16) * 257,
        "deep.tiff": matte.astype(np.uint16) * 257,
        "lossless.webp": np.repeat(matte[..., None], 3, axis=2),
        "cutout.png": cutout,
        "cutout.webp": cutout,
    }
    expected = score(matte, truth)
    for name, array in predictions.items():
        path = tmp_path / Path(name).stem / f"x{Path(name).suffix}"
        write_image(path, array)
        run(path.parent, tmp_path / "gt", "--json", tmp_path / "out.json")
        image = json.loads((tmp_path / "out.json").read_text())["images"][0]
        assert [image[key] for key in KEYS] == pytest.approx(expected, rel=1e-9), name
        shutil.rmtree(path.parent)
    write_image(tmp_path / "jpeg" / "x.jpg", matte)
    run(tmp_path / "jpeg", tmp_path / "gt", "--json", tmp_path / "out.json")
    image = json.loads((tmp_path / "out.json").read_text())["images"][0]
    lossy = score(read_alpha(tmp_path / "jpeg" / "x.jpg"), truth)
    assert [image[key] for key in KEYS] == pytest.approx(lossy)


def test_two_single_files(tmp_path):
    write_image(tmp_path / "one.png", blob(30, 50))
    write_image(tmp_path / "other.png", blob(30, 50))
    run(tmp_path / "one.png", tmp_path / "other.png", "--json", tmp_path / "out.json")
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["images"] == [{"name": "one", **dict.fromkeys(KEYS, 0.0)}]


def test_one_truth_for_many_composites(tmp_path):
    for name, seed in (("dog", 0), ("cat_2", 1)):
        write_image(tmp_path / "gt" / f"{name}.png", blob(40, 50, seed))
    for name, seed in (("dog_0", 0), ("dog_19", 2), ("cat_2", 1), ("cat_2_0", 1)):
        write_image(tmp_path / "pred" / f"{name}.png", blob(40, 50, seed))
        trimap = np.full((40, 50), 128, np.uint8)
        write_image(tmp_path / "trimap" / f"{name}.png", trimap)
    out = tmp_path / "out.json"
    trimaps = ["--trimap", tmp_path / "trimap"]
    run(tmp_path / "pred", tmp_path / "gt", *trimaps, "--json", out)
    content = json.loads(out.read_text())
    sads = {image["name"]: image["sad"] for image in content["images"]}
    assert sads == {
        "dog_0": 0,
        "dog_19": pytest.approx(score(blob(40, 50, 2), blob(40, 50)).sad),
        "cat_2": 0,
        "cat_2_0": 0,
    }
    assert content["missing"] == []
    # The truth of dog_19 is still in use, but its trimap shows that it was forgotten.
    (tmp_path / "pred" / "dog_19.png").unlink()
    result = run(tmp_path / "pred", tmp_path / "gt", *trimaps, "--json", out, code=1)
    assert "dog_19: no prediction" in result.stderr
    assert json.loads(out.read_text())["missing"] == ["dog_19"]


def test_gaps_are_listed_and_fail_unless_allowed(folders):
    out = folders / "out.json"
    (folders / "good" / "a.png").unlink()
    write_image(folders / "good" / "b.png", blob(20, 30))
    write_image(folders / "good" / "stray.png", blob(40, 60))
    result = run(folders / "good", folders / "gt", "--json", out, code=1)
    assert "a: no prediction" in result.stderr
    assert re.search(r"sizes differ: \S*good/b.png is 30x20, \S*gt/b.png is 60x40", result.stderr)
    assert re.search(r"stray.png: no ground truth", result.stderr)
    content = json.loads(out.read_text())
    assert content["missing"] == ["a", "b"]
    assert [image["name"] for image in content["images"]] == ["deep/c"]
    allowed = run(folders / "good", folders / "gt", "--json", out, "--allow-missing")
    assert "a: no prediction" in allowed.stderr
    assert json.loads(out.read_text()) == content


@pytest.mark.parametrize("workers", [1, 2])
def test_damaged_files_do_not_stop_the_others(folders, workers):
    (folders / "good" / "b.png").write_bytes((folders / "good" / "b.png").read_bytes()[:60])
    out = folders / "out.json"
    result = run(folders / "good", folders / "gt", "--json", out, "--workers", workers, code=1)
    assert "good/b.png" in result.stderr
    content = json.loads(out.read_text())
    assert content["missing"] == ["b"]
    assert [image["name"] for image in content["images"]] == ["a", "deep/c"]


def test_trimap_gaps(folders):
    for name in ("a", "b"):
        trimap = np.full((40, 60), 128 if name == "a" else 255, np.uint8)
        write_image(folders / "trimap" / f"{name}.png", trimap)
    out = folders / "out.json"
    arguments = (folders / "poor", folders / "gt", "--trimap", folders / "trimap", "--json", out)
    result = run(*arguments, code=1)
    assert "deep/c: no trimap" in result.stderr
    assert "b: no pixel in the region 'unknown', left out" in result.stderr
    content = json.loads(out.read_text())
    assert content["missing"] == ["b", "deep/c"]
    assert [image["name"] for image in content["images"]] == ["a"]
    assert content["mean"]["sad"] == content["images"][0]["sad"] > 0


def test_nothing_to_score_is_an_error(folders):
    (folders / "empty").mkdir()
    result = run(folders / "empty", folders / "gt", "--allow-missing", code=1)
    assert "not one image could be scored" in str(result.exception)


def test_several_methods_side_by_side(folders):
    out, table = folders / "out.json", folders / "out.csv"
    arguments = ["--gt", folders / "gt", "--json", out, "--csv", table]
    text = run(folders / "good", folders / "poor", *arguments).stdout
    assert "difference to good" in text
    content = json.loads(out.read_text())
    assert [method["method"] for method in content["methods"]] == ["good", "poor"]
    for method in content["methods"]:
        for key in KEYS:
            low, high = method["interval"][key]
            assert low <= method["mean"][key] <= high
    (comparison,) = content["comparisons"]
    assert (comparison["method"], comparison["against"]) == ("poor", "good")
    good, poor = (method["mean"] for method in content["methods"])
    assert comparison["difference"]["sad"] == pytest.approx(poor["sad"] - good["sad"])
    assert (comparison["wins"]["sad"], comparison["losses"]["sad"]) == (0, 3)
    assert len(list(csv.reader(table.open()))) == 7
    # One name for two folders takes in as much of their paths as it needs.
    shutil.copytree(folders / "poor", folders / "old" / "good")
    text = run(folders / "good", folders / "old" / "good", "--gt", folders / "gt").stdout
    assert "old/good" in text


def test_the_best_is_bold(folders, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    text = run(folders / "poor", folders / "good", "--gt", folders / "gt").stdout
    means = text.split("difference to")[0]
    bold = re.findall(r"\x1b\[1m *([\d.]+) *\x1b\[0m", means)
    truths = [blob(40, 60, i) for i in range(3)]
    best = np.mean([score(np.clip(truth, 5, 250), truth) for truth in truths], axis=0)
    assert [float(figure) for figure in bold] == pytest.approx(best, abs=6e-4)


def test_names_are_not_markup(tmp_path):
    for folder in ("[red]pred", "gt"):
        write_image(tmp_path / folder / "[bold]x.png", blob(20, 30))
    text = run(tmp_path / "[red]pred", tmp_path / "gt").stdout
    assert "[red]pred" in text
    assert "[bold]x" in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["one"],
        ["one", "two", "gt"],
        ["pred", "gt", "--region", "unknown"],
        ["pred", "gt", "--region", "everything"],
        ["pred", "gt", "--workers", "0"],
        ["one", "two", "--gt", "gt", "--weights", "w.safetensors"],
    ],
)
def test_wrong_usage_exits_with_2(arguments):
    run(*arguments, code=2)


def page_data(page: Path) -> dict:
    text = page.read_text("utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    return json.loads(found[1])


def test_page_is_self_contained_and_holds_the_figures(folders):
    photos = ["--images", folders / "photos"]
    result = run(folders / "poor", folders / "gt", *photos, "--html", folders / "page")
    assert [path.name for path in (folders / "page").iterdir()] == ["index.html"]
    page = folders / "page" / "index.html"
    assert str(page) in result.stdout.replace("\n", "")
    text = page.read_text("utf-8")
    outside = re.sub(r"data:image/webp;base64,[\w+/=]*|http://www\.w3\.org/2000/svg", "", text)
    assert not re.search(r"https?:|src=[\"']|<link|@import|url\(", outside)
    data = page_data(page)
    assert data["region"] == "whole"
    expected = score(blob(40, 60, 3), blob(40, 60))
    assert data["methods"][0]["scores"]["a"] == pytest.approx(expected)
    assert set(data["pictures"]) == {"a", "b", "deep/c"}
    for pictures in data["pictures"].values():
        assert set(pictures) == {"photo", "truth", "predictions", "errors"}


def test_page_shows_the_worst_and_best_of_many(tmp_path):
    for i in range(8):
        write_image(tmp_path / "gt" / f"{i}.png", blob(30, 40))
        write_image(tmp_path / "pred" / f"{i}.png", np.clip(blob(30, 40), 0, 255 - 9 * i))
    run(tmp_path / "pred", tmp_path / "gt", "--html", tmp_path / "page", "--examples", 2)
    data = page_data(tmp_path / "page" / "index.html")
    # Stretched to one span, as Grad compares them, they differ little: it may rank them otherwise.
    assert {"0", "1", "6", "7"} <= set(data["pictures"])
    assert "photo" not in data["pictures"]["7"]


def test_page_of_several_methods_survives_hostile_names(folders):
    name = "<script>alert(1)<!--"
    for folder in ("good", "poor", "gt"):
        write_image(folders / folder / f"{name}.png", blob(40, 60))
    methods = [folders / "good", folders / "poor"]
    run(*methods, "--gt", folders / "gt", "--html", folders / "page")
    page = folders / "page" / "index.html"
    assert page.read_text("utf-8").count("<script") == 2
    data = page_data(page)
    assert data["methods"][1]["scores"][name] == [0] * 5
    assert len(data["pictures"]["a"]["predictions"]) == 2
    assert [comparison["name"] for comparison in data["comparisons"]] == ["poor"]


@pytest.mark.skipif(sys.platform == "darwin", reason="file names there are UTF-8")
def test_every_kind_of_file_takes_a_name_that_is_no_text(folders):
    name = os.fsdecode(b"caf\xe9")
    for folder in ("good", "gt"):
        write_image(folders / folder / f"{name}.png", blob(40, 60))
    files = ["--json", folders / "a.json", "--csv", folders / "a.csv", "--html", folders / "page"]
    run(folders / "good", folders / "gt", *files)
    images = json.loads((folders / "a.json").read_text("utf-8"))["images"]
    assert name in [image["name"] for image in images]
    assert os.fsencode(name) in (folders / "a.csv").read_bytes()
    assert name in page_data(folders / "page" / "index.html")["pictures"]


class RedIsSubject(torch.nn.Module):
    """Alpha is the red channel."""

    config = NetworkConfig(predict_size=64)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image[:, :1]


def test_straight_from_weights(tmp_path, monkeypatch):
    def load(weights, device, *_):
        assert (weights, device) == (tmp_path / "w.safetensors", "cpu")
        return TorchModel(RedIsSubject(), torch.device("cpu"))

    monkeypatch.setattr(loading, "load_model", load)
    for i, name in enumerate(("a_0", "a_1", "b")):
        # All or nothing, which the predictor leaves as it is.
        matte = np.where(blob(64, 64, i) > 127, 255, 0).astype(np.uint8)
        photo = np.dstack([matte, np.full((64, 64, 2), 90, np.uint8)])
        write_image(tmp_path / "photos" / f"{name}.png", photo)
        write_image(tmp_path / "mattes" / f"{name}.png", matte)
    for name in ("a", "b"):
        write_image(tmp_path / "gt" / f"{name}.png", blob(64, 64))
    (tmp_path / "photos" / "a_2.png").write_bytes(b"no picture")
    weights = ["--weights", tmp_path / "w.safetensors", "--device", "cpu"]
    files = ["--json", tmp_path / "out.json", "--html", tmp_path / "page"]
    result = run(tmp_path / "photos", tmp_path / "gt", *weights, *files, code=1)
    assert "photos/a_2.png" in result.stderr
    got = json.loads((tmp_path / "out.json").read_text())
    assert got["missing"] == ["a_2"]
    run(tmp_path / "mattes", tmp_path / "gt", "--json", tmp_path / "out.json")
    assert got["images"] == json.loads((tmp_path / "out.json").read_text())["images"]
    pictures = page_data(tmp_path / "page" / "index.html")["pictures"]
    assert set(pictures) == {"a_0", "a_1", "b"}
    # Without --images the photos are those that were predicted.
    assert all("photo" in entry for entry in pictures.values())


def test_error_map_tells_left_over_from_lost():
    truth = np.zeros((40, 40), np.uint8)
    truth[:, 20:] = 255
    prediction = truth.copy()
    prediction[:10, :10] = 255
    prediction[:10, 30:] = 0
    left_over, lost, right = (5, 5), (5, 35), (30, 30)
    colors = error_map(prediction, truth, None, 40, 40).astype(int)
    red, green, blue = colors[left_over]
    assert red > 180 and green < 60 and blue < 60
    red, green, blue = colors[lost]
    assert red < 60 and blue > 180
    assert colors[right].tolist() == [255, 255, 255]
    nothing_counts = error_map(prediction, truth, np.zeros((40, 40), bool), 20, 20)
    assert nothing_counts.shape == (20, 20, 3)
    assert len(np.unique(nothing_counts)) == 1 and 200 < nothing_counts[0, 0, 0] < 240
