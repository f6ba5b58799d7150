"""What ``matte build-dataset`` writes, seen from outside."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.dataset import manifest
from mattecli.core.dataset.layers import Layer, LayerReader, adjust
from mattecli.core.dataset.recipe import load_recipe
from mattecli.core.dataset.render import compose, render
from mattecli.core.errors import MatteError


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def smooth_noise(rng, height, width, channels=3):
    small = rng.integers(0, 256, (max(2, height // 8), max(2, width // 8), channels), np.uint8)
    return np.asarray(Image.fromarray(small.squeeze()).resize((width, height), Image.BICUBIC))


def blob(height, width, soft=6):
    y, x = np.mgrid[:height, :width]
    inside = min(height, width) * 0.4 - np.hypot(y - height / 2, x - width / 2)
    return (np.clip(0.5 + inside / soft, 0, 1) * 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """Four cutouts, black where they are transparent, and five backgrounds."""
    root = tmp_path_factory.mktemp("material")
    rng = np.random.default_rng(7)
    for i in range(4):
        alpha = blob(60 + 8 * i, 80)
        color = smooth_noise(rng, *alpha.shape) * (alpha > 0)[..., None]
        save(root / f"cutouts/{'deep/' if i == 3 else ''}c{i}.png", np.dstack([color, alpha]))
    for i in range(5):
        save(root / f"backgrounds/b{i}.png", smooth_noise(rng, 90, 120 + 10 * i))
    recipe = (
        'name = "small"\n[scene]\nlong_side = [96, 128]\nlayers = [0.4, 0.6]\ncut = 0.5\n'
        "tilt = { chance = 0.5, range = [-20, 20] }\n[augment]\n"
        "gamma = { chance = 0.5, range = [0.8, 1.2] }\n"
        "gain = { chance = 0.5, range = [0.9, 1.1] }\n"
        "saturation = { chance = 0.5, range = [0.5, 1.5] }\n"
        "background_blur = { chance = 0.5, range = [0.01, 0.02] }\n"
        "noise = { chance = 0.5, range = [0.01, 0.02] }\n"
        "jpeg = { chance = 0.5, range = [60, 90] }\n"
        "[trimap]\nradius = [1, 5]\n[splits.train]\nper_foreground = 3\nshare = 0.75\n"
        "[splits.val]\nper_foreground = 3\nshare = 0.25\n"
    )
    (root / "small.toml").write_text(recipe)
    return root


def run(*arguments, expect=0):
    result = CliRunner().invoke(
        app, ["build-dataset", *map(str, arguments)], env={"COLUMNS": "200"}
    )
    if expect is not None:
        assert result.exit_code == expect, (result.output, result.exception)
    return result


def folders(material, recipe="small.toml"):
    return (
        *("--foregrounds", material / "cutouts", "--backgrounds", material / "backgrounds"),
        *("--recipe", material / recipe if recipe.endswith(".toml") else recipe),
    )


def files_of(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def stored_at(root, record_or_name, kind):
    """Where a picture of a sample of a set with several splits lies."""
    name = record_or_name if isinstance(record_or_name, str) else record_or_name["name"]
    split, _, stem = name.partition("/")
    return root / split / kind / f"{stem}.png"


def load(path):
    return np.asarray(Image.open(path))


def test_the_files_do_not_depend_on_the_number_of_workers(material, tmp_path):
    run(tmp_path / "one", *folders(material), "--workers", 1)
    run(tmp_path / "two", *folders(material), "--workers", 2)
    one, two = files_of(tmp_path / "one"), files_of(tmp_path / "two")
    assert one == two
    assert sum("/image/" in name for name in one) == 12
    run(tmp_path / "other", *folders(material), "--workers", 1, "--seed", 1)
    other = files_of(tmp_path / "other")
    assert all(other[name] != one[name] for name in one if "/image/" in name)


def test_the_image_is_the_composition_of_its_layers(material, tmp_path):
    run(tmp_path, *folders(material), "--workers", 1)
    for record in manifest.read_lines(tmp_path / "manifest.jsonl"):
        image, alpha, fg, bg = (
            load(stored_at(tmp_path, record, kind)).astype(np.int64)
            for kind in ("image", "alpha", "fg", "bg")
        )
        alpha = alpha[..., None]
        assert np.array_equal(image, (2 * (alpha * fg + (255 - alpha) * bg) + 255) // 510)


def test_sixteen_bits_go_with_the_usual_recipe(material, tmp_path):
    places, size = folders(material, "custom"), ("--per-foreground", 1, "--workers", 1)
    result = run(tmp_path / "deep", *places, *size, "--bits", 16)
    assert "without the traces of JPEG" in result.stderr
    image = next((tmp_path / "deep").rglob("image/*.png"))
    assert cv2.imread(str(image), cv2.IMREAD_UNCHANGED).dtype == np.uint16


def test_sixteen_bits_and_linear_light(material, tmp_path):
    size = ("--placement", "as-is", "--workers", 1, "--per-foreground", 1)
    recipe = material / "deep.toml"
    recipe.write_text('name = "deep"\nbits = 16\n[splits.all]\n')
    places = folders(material, "deep.toml")
    run(tmp_path / "deep", *places, *size)
    run(tmp_path / "linear", *places, *size, "--bits", 8, "--linear-light")
    for path in (tmp_path / "deep/image").rglob("*.png"):
        name = path.relative_to(tmp_path / "deep/image")
        image, alpha, fg, bg = (
            cv2.imread(str(tmp_path / "deep" / kind / name), cv2.IMREAD_UNCHANGED).astype(object)
            for kind in ("image", "alpha", "fg", "bg")
        )
        alpha = alpha[..., None]
        exact = (2 * (alpha * fg + (65535 - alpha) * bg) + 65535) // 131070
        assert (image == exact).all()

        image, alpha, fg, bg = (
            load(tmp_path / "linear" / kind / name) / 255 for kind in ("image", "alpha", "fg", "bg")
        )
        # A plain power of 2.2 is near enough to sRGB to tell it from mixing sRGB values.
        mixed = (alpha[..., None] * fg**2.2 + (1 - alpha[..., None]) * bg**2.2) ** (1 / 2.2)
        assert np.abs(image - mixed).max() < 0.05
        plain = alpha[..., None] * fg + (1 - alpha[..., None]) * bg
        assert np.abs(image - plain).max() > 0.08


def test_the_manifest_tells_what_was_made_and_makes_it_again(material, tmp_path):
    run(tmp_path, *folders(material), "--workers", 1, "--outputs", "image,alpha,fg,bg,trimap")
    records = manifest.read_lines(tmp_path / "manifest.jsonl")
    recipe = load_recipe(str(tmp_path / "recipe.toml"))
    roots = {"foregrounds": material / "cutouts", "backgrounds": material / "backgrounds"}
    reader = LayerReader(recipe, roots)
    assert len(records) == 12
    assert any(len(record["layers"]) == 2 for record in records)
    for record in json.loads(json.dumps(records)):
        for output, picture in render(record, recipe, reader).items():
            stored = load(stored_at(tmp_path, record, output))
            assert np.array_equal(picture, stored), (record["name"], output)


def test_no_foreground_and_no_background_is_in_two_splits(material, tmp_path):
    run(tmp_path, *folders(material), "--workers", 1)
    seen = {}
    for record in manifest.read_lines(tmp_path / "manifest.jsonl"):
        assert record["name"].startswith(record["split"] + "/")
        for source in (record["background"]["file"], *(x["color"] for x in record["layers"])):
            assert seen.setdefault(source, record["split"]) == record["split"]
    assert set(seen.values()) == {"train", "val"}
    run("--check", tmp_path, "--workers", 1)


def test_transparent_pixels_do_not_darken_the_rim(material, tmp_path):
    """White subjects whose files are black outside stay white after being resized."""
    alpha = blob(64, 64)
    white = np.dstack([np.where(alpha > 0, 255, 0).astype(np.uint8)] * 3)
    save(tmp_path / "white/w.png", np.dstack([white, alpha]))
    recipe = tmp_path / "plain.toml"
    recipe.write_text(
        'name = "plain"\n[scene]\nlong_side = [90, 90]\n[splits.all]\nper_foreground = 4'
    )
    where = ("--foregrounds", tmp_path / "white", "--backgrounds", material / "backgrounds")
    run(tmp_path / "out", *where, "--recipe", recipe, "--workers", 1)
    for path in (tmp_path / "out/fg").glob("*.png"):
        assert load(path).min() == 255


def test_trimaps_leave_open_only_what_is_near_the_edge(material, tmp_path):
    run(tmp_path, *folders(material), "--workers", 1, "--outputs", "image,alpha,trimap")
    for record in manifest.read_lines(tmp_path / "manifest.jsonl"):
        alpha = load(stored_at(tmp_path, record, "alpha"))
        trimap = load(stored_at(tmp_path, record, "trimap"))
        assert set(np.unique(trimap)) <= {0, 128, 255}
        assert (alpha[trimap == 0] == 0).all()
        assert (alpha[trimap == 255] == 255).all()
        grow, shrink = record["trimap"]
        near = cv2.dilate(((alpha > 0) & (alpha < 255)).astype(np.uint8), np.ones((23, 23)))
        assert 1 <= min(grow, shrink) <= max(grow, shrink) <= 5
        assert (near[trimap == 128] == 1).all()


def test_a_photo_gives_its_subject_without_its_background(material, tmp_path):
    """A grey subject before green: neither the composites nor `fg` show green."""
    alpha = blob(96, 96, soft=20)
    share = alpha[..., None] / 255
    photo = share * np.array([120, 120, 120]) + (1 - share) * np.array([0, 220, 0])
    save(tmp_path / "photos/x.png", photo.round().astype(np.uint8))
    save(tmp_path / "alphas/x.png", alpha)
    for i in range(2):
        save(tmp_path / f"grey/{i}.png", np.full((80, 80, 3), 60, np.uint8))
    run(
        *(tmp_path / "out", "--photos", tmp_path / "photos", "--alphas", tmp_path / "alphas"),
        *("--backgrounds", tmp_path / "grey", "--placement", "as-is", "--per-foreground", 2),
        *("--workers", 1, "--recipe", _write(tmp_path / "r.toml", 'name = "r"\n[splits.all]')),
    )
    for path in (tmp_path / "out/image").glob("*.png"):
        image = load(path).astype(int)
        assert np.abs(image[..., 1] - image[..., 0]).max() <= 12


def _write(path, text):
    path.write_text(text)
    return path


def published_raw(root, recipe):
    """Build a miniature raw set for a published recipe; give its lists of names."""
    rng = np.random.default_rng(11)
    per_split = {"train": (2, 100 if recipe == "composition-1k" else 80), "test": (2, 20)}
    names = {}
    for split, (count, each) in per_split.items():
        part = load_recipe(recipe).splits[split]
        fgs = [f"cat-{split}_{i}.png" for i in range(count)]
        sizes = [(31, 45), (52, 37)]
        for i, name in enumerate(fgs):
            folder = i % len(part.foregrounds)
            save(root / part.foregrounds[folder] / name, smooth_noise(rng, *sizes[i]))
            save(root / part.alphas[folder] / name, smooth_noise(rng, *sizes[i], channels=1))
        # Smaller, larger and equal backgrounds, more than are used, not in order of name.
        bgs = [f"{split}_{i * 37 % 211:03}.png" for i in range(count * each + 5)]
        for i, name in enumerate(bgs):
            shape = [(17, 29), (60, 80), (31, 20), (52, 37), (40, 33)][i % 5]
            save(root / part.backgrounds[0] / name, smooth_noise(rng, *shape))
        for listing, lines in ((part.foreground_names, fgs), (part.background_names, bgs)):
            (root / listing).parent.mkdir(parents=True, exist_ok=True)
            (root / listing).write_text("\n".join(lines) + "\n")
        names[split] = (fgs, bgs, each, part)
    return names


def published_composite(fg, alpha, bg):
    """Compose pixel by pixel as the published scripts do: Pillow, ceil, top left, truncation."""
    height, width = alpha.shape
    background = Image.fromarray(bg)
    ratio = max(width / background.width, height / background.height)
    if ratio > 1:
        size = (math.ceil(background.width * ratio), math.ceil(background.height * ratio))
        background = background.resize(size, Image.BICUBIC)
    out = np.asarray(background.crop((0, 0, width, height))).copy()
    plain = out.copy()
    for y, x in np.ndindex(height, width):
        a = int(alpha[y, x]) / 255
        for c in range(3):
            out[y, x, c] = int(a * int(fg[y, x, c]) + (1 - a) * int(plain[y, x, c]))
    return out, plain


@pytest.mark.parametrize("recipe", ["composition-1k", "distinctions-646"])
def test_published_recipes_give_the_published_pixels(recipe, tmp_path):
    raw, out = tmp_path / "raw", tmp_path / "out"
    names = published_raw(raw, recipe)
    result = run(out, "--recipe", recipe, "--raw", raw, "--workers", 1)
    assert "published one" in result.output
    for split, (fgs, bgs, each, part) in names.items():
        running = iter(bgs)
        stored = {path.stem for path in (out / split / "image").glob("*.png")}
        expected = set()
        for i, fg_name in enumerate(fgs):
            folder = i % len(part.foregrounds)
            fg = load(raw / part.foregrounds[folder] / fg_name)
            alpha = load(raw / part.alphas[folder] / fg_name)
            for n in range(each):
                bg_name = next(running)
                stem = fg_name.removesuffix(".png")
                index = i * each + n
                name = (
                    f"{stem}_{n}" if recipe == "composition-1k" else f"{stem.split('_')[0]}_{index}"
                )
                expected.add(name)
                if n % 25 > 4:  # a few of every kind of background are enough to compose by hand
                    continue
                image, plain = published_composite(
                    fg, alpha, load(raw / part.backgrounds[0] / bg_name)
                )
                for kind, pixels in (("image", image), ("alpha", alpha), ("fg", fg), ("bg", plain)):
                    assert np.array_equal(load(out / split / kind / f"{name}.png"), pixels)
        assert stored == expected


def test_missing_raw_data_is_named_with_what_to_put_where(tmp_path):
    tmp_path.joinpath("train2014").mkdir()
    result = run("out", "--recipe", "composition-1k", "--raw", tmp_path, expect=None)
    assert isinstance(result.exception, MatteError)
    message = str(result.exception)
    assert "Adobe Deep Image Matting" in message
    missing = message.split("not there yet:")[1]
    assert "VOC2012/JPEGImages" in missing
    assert "training_bg_names.txt" in missing
    assert "train2014" not in missing


def test_an_interrupted_build_is_taken_up_again(material, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(whole, *folders(material), "--workers", 1)
    run(broken, *folders(material), "--workers", 1)
    # As a kill leaves it: notes instead of a manifest, a last line cut off, files missing or short.
    lines = (broken / "manifest.jsonl").read_text().splitlines(keepends=True)
    (broken / "manifest.jsonl").unlink()
    (broken / ".manifest.part-0").write_text("".join(lines[:7]) + lines[7][:40])
    names = [json.loads(line)["name"] for line in lines]
    stored_at(broken, names[0], "image").write_bytes(b"half")
    for name in names[8:]:
        stored_at(broken, name, "alpha").unlink()
    untouched = stored_at(broken, names[3], "image")
    written = untouched.stat()
    result = run(broken, *folders(material), "--workers", 1)
    assert "6 made, 6 already there" in result.output
    assert untouched.stat().st_mtime_ns == written.st_mtime_ns
    assert untouched.stat().st_ino == written.st_ino
    assert files_of(broken) == files_of(whole)
    assert "0 made, 12 already there" in run(broken, *folders(material), "--workers", 1).output


def test_what_is_older_than_its_material_is_made_anew(material, tmp_path):
    root = shutil.copytree(material, tmp_path / "material")
    out = tmp_path / "set"
    run(out, *folders(root), "--workers", 1)
    before = files_of(out)
    records = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    holding = {r["name"] for r in records if any("c0.png" in part["color"] for part in r["layers"])}
    assert 0 < len(holding) < 12
    cutout = np.asarray(Image.open(root / "cutouts/c0.png")).copy()
    cutout[..., 0] ^= 255
    save(root / "cutouts/c0.png", cutout)
    # A clock that is ahead does not make one sample after the other anew.
    os.utime(root / "cutouts/c1.png", (2**32, 2**32))
    result = run(out, *folders(root), "--workers", 1)
    assert f"{len(holding)} made, {12 - len(holding)} already there" in result.output
    after = files_of(out)
    image = {r["name"]: r["name"].replace("/", "/image/", 1) + ".png" for r in records}
    assert {name for name in image if before[image[name]] != after[image[name]]} == holding
    fresh = tmp_path / "fresh"
    run(fresh, *folders(root), "--workers", 1)
    assert files_of(fresh) == after


def test_a_folder_with_another_set_is_refused(material, tmp_path):
    run(tmp_path, *folders(material), "--workers", 1)
    before = files_of(tmp_path)
    result = run(tmp_path, *folders(material), "--workers", 1, "--seed", 5, expect=1)
    assert "holds another set" in str(result.exception)
    assert files_of(tmp_path) == before


def test_a_set_can_grow(material, tmp_path):
    run(tmp_path, *folders(material), "--workers", 1, "--per-foreground", 1)
    result = run(tmp_path, *folders(material), "--workers", 1, "--per-foreground", 2)
    assert "4 made, 4 already there" in result.output


def test_a_damaged_file_costs_only_its_own_samples(material, tmp_path):
    for name in ("cutouts", "backgrounds"):
        for path in (material / name).rglob("*.png"):
            save(tmp_path / name / path.relative_to(material / name), load(path))
    (tmp_path / "cutouts/c1.png").write_bytes((material / "cutouts/c1.png").read_bytes()[:200])
    save(tmp_path / "cutouts/opaque.png", np.zeros((9, 9, 3), np.uint8))
    recipe = _write(tmp_path / "r.toml", 'name = "r"\n[splits.all]\nper_foreground = 2')
    result = run(
        *(tmp_path / "out", "--foregrounds", tmp_path / "cutouts", "--recipe", recipe),
        *("--backgrounds", tmp_path / "backgrounds", "--workers", 1),
        expect=1,
    )
    assert "6 made, 0 already there, 4 failed" in result.output
    assert "c1.png" in result.output
    assert "opaque.png has no alpha channel" in result.output
    assert len(manifest.read_lines(tmp_path / "out/manifest.jsonl")) == 6


def test_a_full_disk_stops_the_build_without_half_samples(material, tmp_path, monkeypatch):
    import errno

    from mattecli.core import storage

    true_replace, left = os.replace, [11]

    def replace(source, target):
        if str(target).endswith(".png"):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
        true_replace(source, target)

    monkeypatch.setattr(storage.os, "replace", replace)
    result = run(tmp_path, *folders(material), "--workers", 1, expect=1)
    assert "No space left" in str(result.exception)
    # Two samples of four files each were finished, the third was broken off and taken back.
    assert len(list(tmp_path.rglob("*.png"))) == 8
    monkeypatch.undo()
    assert "10 made, 2 already there" in run(tmp_path, *folders(material), "--workers", 1).output


def test_the_disk_is_never_filled_to_the_brim(material, tmp_path, monkeypatch):
    from mattecli.core.dataset import worker

    monkeypatch.setattr(worker, "free_bytes", lambda out: 10_000_000)
    result = run(tmp_path, *folders(material), "--workers", 1, expect=1)
    assert "10 MB are left" in str(result.exception)
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("options", [[], ["--workers", 2], ["--linear-light"]])
def test_composing_in_batches_on_a_device_gives_the_same_bytes(material, tmp_path, options):
    # "cpu" composes sample by sample with NumPy, a numbered device in batches with torch.
    for name, device in (("alone", "cpu"), ("batch", "cpu:0")):
        run(tmp_path / name, *folders(material), "--device", device, *options)
    files = sorted(path.relative_to(tmp_path / "alone") for path in tmp_path.glob("alone/**/*.png"))
    assert files
    for file in files:
        assert (tmp_path / "alone" / file).read_bytes() == (tmp_path / "batch" / file).read_bytes()


@pytest.mark.parametrize("changes", [{}, {"bits": 16}, {"rounding": "nearest", "bits": 16}])
def test_a_device_rounds_and_truncates_like_the_published_scripts(changes):
    recipe = replace(load_recipe("composition-1k"), **changes)
    rng = np.random.default_rng(0)
    dtype, top = (np.uint16, 65535) if recipe.bits == 16 else (np.uint8, 255)
    layers = []
    for size in ((300, 200), (40, 50), (300, 200)):
        color, background = rng.integers(0, top + 1, (2, *size, 3)).astype(dtype)
        layers.append((Layer(color, rng.integers(0, top + 1, size).astype(dtype)), background))
    for one, other in zip(compose(layers, recipe), compose(layers, recipe, "cpu:0"), strict=True):
        assert one.dtype == dtype and np.array_equal(one, other)


def test_ranks_share_the_work_and_the_last_one_writes_the_manifest(material, tmp_path, monkeypatch):
    run(tmp_path / "alone", *folders(material), "--workers", 1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    run(tmp_path / "shared", *folders(material), "--workers", 1)
    assert not (tmp_path / "shared/manifest.jsonl").exists()
    assert 0 < len(list((tmp_path / "shared").glob("*/image/**/*.png"))) < 12
    monkeypatch.setenv("RANK", "0")
    run(tmp_path / "shared", *folders(material), "--workers", 1)
    assert files_of(tmp_path / "shared") == files_of(tmp_path / "alone")


def test_a_dry_run_counts_and_writes_nothing(material, tmp_path):
    result = run(tmp_path / "out", *folders(material), "--dry-run")
    assert "12 composites" in result.output
    assert "GB of disk" in result.output
    assert not (tmp_path / "out").exists()


def test_check_names_every_kind_of_trouble(material, tmp_path):
    outputs = "image,alpha,fg,bg,trimap"
    run(tmp_path, *folders(material), "--workers", 1, "--outputs", outputs)
    run("--check", tmp_path, "--workers", 1)
    names = [record["name"] for record in manifest.read_lines(tmp_path / "manifest.jsonl")]

    def file(kind, i):
        return stored_at(tmp_path, names[i], kind)

    file("alpha", 0).unlink()
    file("image", 1).write_bytes(b"not a picture")
    save(file("bg", 2), load(file("bg", 2))[1:])
    save(file("alpha", 3), 255 - load(file("alpha", 3)))
    save(file("alpha", 4), np.zeros_like(load(file("alpha", 4))))
    save(file("trimap", 6), np.full_like(load(file("trimap", 6)), 255))
    for kind in outputs.split(","):
        (tmp_path / "train" / kind / "extra.png").write_bytes(file(kind, 5).read_bytes())
    result = run("--check", tmp_path, "--workers", 2, expect=1)
    rows = {line.split("│")[1].strip(): line for line in result.output.splitlines() if "│" in line}
    assert names[0] in rows["not in every folder"]
    assert names[1] in rows["cannot be read"]
    assert names[2] in rows["sizes differ"]
    assert names[3] in rows["image is not αF + (1−α)B"]
    assert names[4] in rows["alpha is empty"]
    assert "│ 3 " in rows["trimap contradicts alpha"]
    assert "train/extra" in rows["not in the manifest"]
    assert "nearly equal" in result.output
    assert "error" in rows["hash differs from the manifest"]


def test_check_reads_downloaded_sets_and_finds_leaks(tmp_path):
    rng = np.random.default_rng(3)
    for i, split in enumerate(["train", "train", "test", "test"]):
        save(tmp_path / f"merged/{split}/{i}.png", smooth_noise(rng, 64, 64))
        save(tmp_path / f"GT/{split}/{i}.png", smooth_noise(rng, 64, 64, channels=1))
    run("--check", tmp_path, "--workers", 1)
    leak = load(tmp_path / "GT/train/0.png")
    save(tmp_path / "GT/test/3.png", leak)
    inverted = 255 - blob(64, 64)
    save(tmp_path / "GT/test/2.png", np.where(inverted > 127, 255, 0).astype(np.uint8))
    result = run("--check", tmp_path, "--workers", 1, expect=1)
    rows = {line.split("│")[1].strip(): line for line in result.output.splitlines() if "│" in line}
    assert "test/3, train/0" in rows["foreground in two splits"]
    assert "test/2" in rows["alpha may be inverted"]
    assert "test/2" in rows["alpha has no soft pixel"]


def test_a_contact_sheet_is_drawn(material, tmp_path):
    run(tmp_path / "out", *folders(material), "--workers", 1, "--sheet", tmp_path / "sheet.png")
    sheet = load(tmp_path / "sheet.png")
    assert sheet.ndim == 3
    assert sheet.std() > 20


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "name the folder OUT"),
        (("out",), "--backgrounds"),
        (("out", "--backgrounds", "b", "--photos", "p"), "--photos need --alphas"),
        (("out", "--recipe", "composition-1k"), "needs --raw"),
        (("out", "--recipe", "composition-1k", "--raw", ".", "--bits", "16"), "built as it is"),
        (("out", "--splits", "train"), "NAME=SHARE"),
        (("out", "--splits", "train=0.9,val=0.2"), "add up"),
        (("out", "--check", "."), "leave OUT out"),
        (("out", "--raw", "."), "names no folders"),
        (("out", "--sheet", "s.png", "--outputs", "fg,alpha"), "--sheet shows images and mattes"),
        (("out", "--sheet", "s.png", "--from-photos", "."), "no cutouts of --from-photos"),
    ],
)
def test_wrong_usage_is_explained(arguments, part):
    result = run(*arguments, expect=2)
    assert part in " ".join(result.output.replace("│", "").split())


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("name = 1\n[splits.a]", "'name' has a value of the wrong kind"),
        ('name = "x"', "'splits' is missing"),
        ('name = "x"\nsoup = 1\n[splits.a]', "unknown key 'soup'"),
        ('name = "x"\nrounding = "up"\n[splits.a]', "'rounding' must be one of nearest, truncate"),
        ('name = "x"\n[scene]\nlong_side = [1]\n[splits.a]', "'scene.long_side' needs 2 values"),
        ('name = "x"\nnaming = "{what}"\n[splits.a]', "naming"),
        ('name = "x"\nnaming = "{stem.upper}"\n[splits.a]', "naming"),
        ('name = "x"\nnaming = "{stem[a]}"\n[splits.a]', "naming"),
        ('name = "x"\nnaming = "{n:{stem.x}}"\n[splits.a]', "naming"),
        ('name = "x"\noutputs = ["hair"]\n[splits.a]', "outputs must be some of"),
        ("name = ", "not valid TOML"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_explained(text, part, tmp_path):
    with pytest.raises(MatteError, match=part):
        load_recipe(str(_write(tmp_path / "r.toml", text)))


@pytest.mark.parametrize(
    ("setting", "part"),
    [
        ("scene.layers = [0, 0]", "scene.layers must be chances, at least one of them above 0"),
        ("scene.layers = [1, -1]", "scene.layers must be chances"),
        ("scene.layers = []", "scene.layers must be chances"),
        ("scene.background_part = [0, 1]", "scene.background_part must be above 0: got [0.0, 1.0]"),
        ("scene.scale = [1.1, 0.4]", "scene.scale must have its lower end first"),
        ("scene.long_side = [-1, 640]", "scene.long_side must be above 0"),
        ("scene.flip = 50", "scene.flip must be from 0 to 1: got 50.0"),
        ("scene.visible = 60", "scene.visible must be from 0 to 1"),
        ("scene.tilt = { chance = 0.5, range = [9, 1] }", "scene.tilt.range must have its lower"),
        ("augment.jpeg = { chance = 7, range = [60, 95] }", "augment.jpeg.chance must be from 0"),
        ("augment.jpeg = { chance = 1, range = [-5, 9] }", "augment.jpeg.range must be from 1 to"),
        ("augment.gamma = { chance = 1, range = [0, 1] }", "augment.gamma.range must be above 0"),
        ("trimap.radius = [-5, 1]", "trimap.radius must be 0 or more"),
    ],
)
def test_numbers_that_make_no_sense_are_named(setting, part, tmp_path):
    path = _write(tmp_path / "r.toml", f'name = "x"\nsplits.a = {{}}\n{setting}')
    with pytest.raises(MatteError, match=re.escape(f"recipe x: {part}")):
        load_recipe(str(path))


def test_splits_that_share_more_than_there_is_are_refused(material, tmp_path):
    text = (material / "small.toml").read_text().replace("share = 0.75", "share = 0.9")
    recipe = _write(tmp_path / "r.toml", text)
    options = (*folders(material)[:4], "--recipe", recipe, "--dry-run")
    result = run(tmp_path / "out", *options, expect=1)
    assert "shares of train, val must add up to at most 1: got 1.15" in str(result.exception)
    run(tmp_path / "out", *options, "--only", "train")


def test_a_blur_of_nothing_changes_nothing():
    color = smooth_noise(np.random.default_rng(1), 20, 30)
    assert np.array_equal(adjust(color, {"blur": 0.0}), color)


def test_the_help_loads_nothing_heavy():
    code = (
        "import sys; from typer.testing import CliRunner; from mattecli.cli.app import app\n"
        "assert CliRunner().invoke(app, ['build-dataset', '--help']).exit_code == 0\n"
        "assert not {'torch', 'cv2', 'numpy', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
