"""Draw every picture of the README and of docs/ with the program itself, from the photos here.

    python examples/pictures.py [OUT]

OUT is docs/pictures unless said otherwise. It takes about a minute.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import mattecli as matte
from mattecli.core.imaging.pixels import to_bits, to_unit
from mattecli.core.imaging.reading import read_color, read_picture
from mattecli.core.imaging.writing import write_image
from mattecli.core.matting.compositing import composite
from mattecli.core.matting.placing import fill_frame, resize

HERE = Path(__file__).parent
HEIGHT, GAP = 300, 8


def checkers(height: int, width: int) -> np.ndarray:
    """The pattern that stands for transparency, float32 HxWx3."""
    rows, columns = np.mgrid[:height, :width] // 12
    shades = np.where((rows + columns) % 2, 0.93, 0.78).astype(np.float32)
    return np.repeat(shades[..., None], 3, axis=2)


def backdrop(height: int, width: int) -> np.ndarray:
    """A studio's warm wall and floor, float32 HxWx3."""
    y, x = np.meshgrid(np.linspace(0, 1, height), np.linspace(-1, 1, width), indexing="ij")
    light = 1 - 0.35 * np.hypot(x * 0.8, (y - 0.35) * 1.2)
    wall, floor = np.array([0.93, 0.78, 0.62]), np.array([0.72, 0.5, 0.36])
    ground = np.clip((y - 0.72) / 0.06, 0, 1)[..., None]
    return (light[..., None] * (wall * (1 - ground) + floor * ground)).clip(0, 1).astype(np.float32)


def shown(cutout: np.ndarray) -> np.ndarray:
    """An RGBA picture on checkers, float32 HxWx3."""
    unit = to_unit(cutout)
    return composite(unit[..., 3], unit[..., :3], checkers(*unit.shape[:2]))


def gray(alpha: np.ndarray) -> np.ndarray:
    """Show a matte, float32 HxWx3."""
    return np.repeat(alpha[..., None], 3, axis=2)


def row(*pictures: np.ndarray, size: tuple[int, int] = (HEIGHT, HEIGHT)) -> np.ndarray:
    """Lay float32 pictures side by side."""
    gap = np.ones((size[0], GAP, 3), np.float32)
    parts = [part for picture in pictures for part in (fill_frame(picture, size), gap)]
    return np.hstack(parts[:-1])


def stack(*rows: np.ndarray) -> np.ndarray:
    """Lay rows below one another."""
    gap = np.ones((GAP, rows[0].shape[1], 3), np.float32)
    return np.vstack([part for each in rows for part in (each, gap)][:-1])


def run(*arguments: object) -> None:
    """Run a command of the program."""
    subprocess.run([sys.executable, "-m", "mattecli", *map(str, arguments)], check=True)


def main(out: Path) -> None:
    """Make them all."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        run("predict", HERE, work, "--save", "alpha", "--save", "cutout", "--quiet")
        wall = work / "backdrop.png"
        write_image(wall, to_bits(backdrop(900, 1200), 8))
        run("composite", work / "cutout", wall, "-o", work / "new", "--quiet")
        pictures = {
            "overview": overview(work, "raccoon", "grace-hopper"),
            "failures": overview(work, "coffee", "astronaut"),
            "refine": refinement(),
            "composite": composites(work, wall),
            "shop": shop(work),
            "kinds": kinds(work),
            "canvas": canvases(work, wall),
            "edges": edges(work),
            "id-photo": id_photo(work),
            "dataset": dataset(work, wall),
        }
    for name, picture in pictures.items():
        write_image(out / f"{name}.jpg", to_bits(picture, 8), quality=88)
        print(out / f"{name}.jpg")


def overview(work: Path, *names: str) -> np.ndarray:
    """Photo, alpha, cutout, new background."""
    rows = []
    for name in names:
        cutout = read_picture(work / "cutout" / f"{name}.png")
        rows.append(
            row(
                to_unit(read_color(HERE / f"{name}.jpg")),
                gray(to_unit(cutout.alpha)),
                shown(np.dstack([cutout.color, cutout.alpha])),
                to_unit(read_color(work / "new" / f"{name}.png")),
            )
        )
    return stack(*rows)


def refinement() -> np.ndarray:
    """A detail of the photo, and its matte by each way to bring it to full size."""
    photo = HERE / "raccoon.jpg"
    detail = np.s_[40:240, 760:960]
    levels = [matte.predict(photo, refine=level)[detail] for level in ("none", "fast", "best")]
    pictures = [to_unit(read_color(photo)[detail]), *map(gray, levels)]
    return row(*(np.repeat(np.repeat(picture, 2, 0), 2, 1) for picture in pictures))


def composites(work: Path, wall: Path) -> np.ndarray:
    """As it is, with its light matched, and with a shadow."""
    cutout = work / "cutout" / "coffee.png"
    options: tuple[dict, ...] = ({}, {"match": True}, {"match": True, "shadow": True})
    made = [
        matte.composite(cutout, wall, canvas="background", scale=0.8, position=(0.5, 0.9), **each)
        for each in options
    ]
    return row(*map(to_unit, made), size=(HEIGHT, 4 * HEIGHT // 3))


def shop(work: Path) -> np.ndarray:
    """What the script for a catalogue makes."""
    photos = work / "photos"
    for name in ("coffee", "cat", "raccoon"):
        write_image(photos / f"{name}.png", read_color(HERE / f"{name}.jpg"))
    script = [sys.executable, str(HERE / "shop_catalogue.py"), str(photos), str(work / "shop")]
    subprocess.run([*script, "--canvas", "600x600", "--quiet"], check=True)
    return row(*(to_unit(read_color(path)) for path in sorted((work / "shop").iterdir())))


def cut(work: Path, photo: str, *options: object) -> np.ndarray:
    """Cut a photo of this folder out, float32 HxWx3, where it is transparent on checkers."""
    path = work / "one.png"
    path.unlink(missing_ok=True)
    run("predict", HERE / f"{photo}.jpg", path, *options, "--quiet")
    made = read_picture(path)
    if made.alpha is None:
        return to_unit(made.color)
    return shown(np.dstack([made.color, made.alpha]))


def kinds(work: Path) -> np.ndarray:
    """Everything that can be saved of a photo."""
    made = []
    for kind in ("cutout", "alpha", "foreground", "composite", "background", "trimap"):
        options = ("--background", "lightblue") if kind == "composite" else ()
        made.append(cut(work, "grace-hopper", "--save", kind, *options))
    return row(*made, size=(240, 190))


def canvases(work: Path, wall: Path) -> np.ndarray:
    """A photo, and what is made of it for shops."""
    square = ("--background", "white", "--canvas", "1:1")
    options: tuple[tuple[object, ...], ...] = (
        square,
        (*square, "--pad", "25%"),
        (*square, "--scale-subject", "40%"),
        (*square, "--align", "bottom", "--shadow"),
        ("--background", "white", "--canvas", "4:5"),
        ("--background", "blur"),
        ("--background", wall, "--shadow"),
    )
    made = [to_unit(read_color(HERE / "coffee.jpg"))]
    for each in options:
        picture = cut(work, "coffee", *each)
        # White canvases end somewhere.
        picture[:4], picture[-4:], picture[:, :4], picture[:, -4:] = [0.8] * 4
        made.append(picture)
    size = (240, 240)
    proportions = [(240, 192) if "4:5" in each else size for each in ((), *options)]
    cells = [
        fill_frame(checkers(*size) if frame == size else np.ones((*size, 3), np.float32), size)
        for frame in proportions
    ]
    for cell, picture, (height, width) in zip(cells, made, proportions, strict=True):
        left = (size[1] - width) // 2
        cell[:, left : left + width] = fill_frame(picture, (height, width))
    return stack(row(*cells[:4], size=size), row(*cells[4:], size=size))


def edges(work: Path) -> np.ndarray:
    """Details of cutouts, and what the options of their edges make of them."""
    fur, cup, rocket = np.s_[40:240, 760:960], np.s_[50:250, 180:380], np.s_[0:200, 312:512]
    # A network that leaves the coffee out would be seldom, or one that takes the model of a rocket,
    # so trimaps say so.
    model = work / "model.png"
    y, x = np.mgrid[:512, :512]
    write_image(model, np.where(np.hypot(x - 421, (y - 70) / 4) < 14, 255, 128).astype(np.uint8))
    y, x = np.mgrid[:400, :600]
    hole = work / "hole.png"
    write_image(hole, np.where(np.hypot(1.5 * (y - 150), x - 283) < 50, 0, 128).astype(np.uint8))
    pictures: tuple[tuple[str, tuple[slice, ...], tuple[object, ...]], ...] = (
        ("raccoon", fur, ()),
        ("raccoon", fur, ("--threshold", 0.5)),
        ("raccoon", fur, ("--shrink", 6)),
        ("raccoon", fur, ("--grow", 6)),
        ("raccoon", fur, ("--feather", 12)),
        ("coffee", cup, ("--trimap", hole)),
        ("coffee", cup, ("--trimap", hole, "--fill-holes")),
        ("astronaut", rocket, ("--trimap", model)),
        ("astronaut", rocket, ("--trimap", model, "--drop-islands")),
        ("raccoon", fur, ("--shrink", 6, "--feather", 12)),
    )
    made = []
    for photo, detail, option in pictures:
        part = cut(work, photo, *option)[detail]
        made.append(np.repeat(np.repeat(part, 2, 0), 2, 1))
    size = (240, 240)
    return stack(row(*made[:5], size=size), row(*made[5:], size=size))


def id_photo(work: Path) -> np.ndarray:
    """Two portraits, and what the script for ID photos makes of them."""
    pictures = []
    for name in ("astronaut", "grace-hopper"):
        photo, made = HERE / f"{name}.jpg", work / f"id-{name}.jpg"
        subprocess.run(
            [sys.executable, str(HERE / "id_photo.py"), str(photo), str(made)], check=True
        )
        pictures += [to_unit(read_color(photo)), to_unit(read_color(made))]
    return row(*pictures, size=(HEIGHT, HEIGHT * 7 // 9))


def dataset(work: Path, wall: Path) -> np.ndarray:
    """Some samples of a set built from the cutouts."""
    backgrounds = work / "backgrounds"
    write_image(backgrounds / "wall.png", read_color(wall))
    write_image(backgrounds / "leaves.png", read_color(HERE / "raccoon.jpg")[450:, :500])
    run(
        *("build-dataset", work / "set", "--foregrounds", work / "cutout"),
        *("--backgrounds", backgrounds, "--per-foreground", 2, "--placement", "scene", "--quiet"),
    )
    images = sorted((work / "set" / "image").iterdir())[1::3][:3]
    pairs = []
    for path in images:
        alpha = read_color(next((work / "set" / "alpha").glob(f"{path.stem}.*")))
        pairs.append(row(to_unit(read_color(path)), to_unit(alpha), size=(200, 200)))
    return resize(np.hstack(pairs), 200, sum(pair.shape[1] for pair in pairs))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "docs" / "pictures")
