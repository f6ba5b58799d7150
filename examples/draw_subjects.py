"""Draw see-through subjects, wicker, cages, plants and manes, as cutouts with exact alpha.

    python examples/draw_subjects.py drawn --count 400
    matte train photos drawn=0.1 --backgrounds scenes --out run

Photos of such subjects have no true mattes, and holes cut into other subjects have no visible
reason. Everything is tubes and leaves in space, shaded by depth and drawn from back to front.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from mattecli.core.imaging.writing import write_image

Rng = np.random.Generator

SIDE = 960
# Supersampling, which makes alpha between 0 and 1 exact.
SUPERSAMPLING = 2


class Canvas:
    """Pieces to be drawn: tubes and leaves, in [-1, 1] x [-1, 1] (y down), nearer ones later."""

    def __init__(self, rng: Rng) -> None:
        self.rng = rng
        self.pieces: list[tuple[float, str, np.ndarray, float, np.ndarray]] = []
        angle = rng.uniform(0, 2 * np.pi)
        self.light = np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(0.3, 1.0)

    def tube(self, points: np.ndarray, radius: float, color: np.ndarray, end: float = 1.0) -> None:
        """A tube along Nx3 `points` (x, y, depth), which narrows to `end` of its radius."""
        step = 6
        count = len(points) - 1
        color = color * self.rng.uniform(0.88, 1.12)
        for first in range(0, count, step):
            part = points[first : first + step + 1]
            narrow = 1 + (end - 1) * first / count
            self.pieces.append((part[:, 2].mean(), "tube", part[:, :2], radius * narrow, color))

    def leaf(self, at: np.ndarray, toward: np.ndarray, length: float, color: np.ndarray) -> None:
        """A pointed leaf of this length from `at` (x, y, depth), with a darker rib."""
        across = np.array([-toward[1], toward[0]]) * self.rng.uniform(0.12, 0.35)
        along = np.linspace(0, 1, 9)[:, None]
        bulge = np.sin(np.pi * along**0.8)
        sides = [at[:2] + length * (along * toward + s * bulge * across) for s in (1, -1)]
        outline = np.concatenate([sides[0], sides[1][::-1]])
        color = color * self.rng.uniform(0.85, 1.15)
        self.pieces.append((at[2] + 0.01, "leaf", outline, length, color))

    def render(self) -> np.ndarray:
        """Draw everything: SIDE x SIDE x 4 uint8, straight color."""
        size = SIDE * SUPERSAMPLING
        bounds = [
            (points.min(axis=0) - around, points.max(axis=0) + around)
            for _, shape, points, measure, _ in self.pieces
            for around in [measure if shape == "tube" else 0]
        ]
        low = np.min([first for first, _ in bounds], axis=0)
        high = np.max([last for _, last in bounds], axis=0)
        fit = 1.9 / (high - low).max()
        color = np.zeros((size, size, 3), np.uint8)
        alpha = np.zeros((size, size), np.uint8)

        def draw(shape: str, points: np.ndarray, width: int, shade: np.ndarray) -> None:
            corners = [np.round((points + 1) * size / 2 * 16).astype(np.int32)]
            for target, value in ((color, np.clip(255 * shade, 0, 255).tolist()), (alpha, 255)):
                if shape == "tube":
                    cv2.polylines(target, corners, False, value, width, cv2.LINE_8, 4)
                else:
                    cv2.fillPoly(target, corners, value, cv2.LINE_8, 4)

        for depth, shape, points, measure, own in sorted(self.pieces, key=lambda piece: piece[0]):
            points, measure = (points - (low + high) / 2) * fit, measure * fit
            # What is farther back is darker, as among branches.
            shade = own * (0.75 + 0.25 * np.clip(depth, -1, 1))
            if shape == "leaf":
                draw("leaf", points, 0, shade)
                rib = np.stack([points[0], points[len(points) // 2]])
                draw("tube", rib, max(1, round(size * measure * 0.01)), shade * 0.75)
                continue
            # A round body: from a dark rim to a highlight on one side.
            for share, light in ((1.0, 0.55), (0.78, 0.8), (0.5, 1.0), (0.22, 1.2)):
                aside = self.light * measure * (1 - share) * 0.6
                width = max(1, round(measure * share * size))
                draw("tube", points + aside, width, shade * light)

        grain = _noise(size, self.rng.uniform(2, 30), self.rng) * self.rng.uniform(0, 0.12)
        wide = _noise(size, size / 3, self.rng) * 0.15
        lit = color * np.clip(1 + grain + wide, 0.3, 1.7)[..., None]
        # Reduced over black, then divided by alpha, so that nothing outside bleeds into the rim.
        on_black = lit * (alpha[..., None] / np.float32(255))
        small = cv2.resize(on_black, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        share = cv2.resize(alpha, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        straight = small / np.maximum(share[..., None] / 255, 1e-3)
        return np.dstack([np.clip(straight, 0, 255), share]).astype(np.uint8)


def wicker_ball(canvas: Canvas, rng: Rng) -> None:
    """Rings around a ball, each tilted and bent its own way."""
    colors = _palette(rng)
    radius = np.exp(rng.uniform(np.log(0.01), np.log(0.06)))
    turn = np.linspace(0, 2 * np.pi, 97)
    for _ in range(int(rng.integers(7, 45))):
        first, second = _frame(rng)
        size = rng.uniform(0.75, 0.9) * (1 + 0.05 * np.sin(turn * rng.integers(1, 4)))
        ring = np.cos(turn)[:, None] * first + np.sin(turn)[:, None] * second
        canvas.tube(ring * size[:, None], radius * rng.uniform(0.6, 1.2), _pick(colors, rng))


def basket(canvas: Canvas, rng: Rng) -> None:
    """Stakes around a drum and strands woven through them; a cage, where nothing is woven."""
    colors = _palette(rng)
    stakes, rows = int(rng.integers(8, 28)), int(rng.integers(2, 22))
    high, tilt = rng.uniform(0.4, 0.85), rng.uniform(0.05, 0.45)
    flare = rng.uniform(-0.25, 0.35)
    radius = rng.uniform(0.008, 0.03)

    def place(angle: np.ndarray, y: np.ndarray, out: np.ndarray) -> np.ndarray:
        wide = (0.6 - flare * y) * (1 + out)
        z = wide * np.cos(angle)
        return np.stack([wide * np.sin(angle), high * y + tilt * z * 0.5, z], axis=1)

    level = np.linspace(-1, 1, 25)
    for angle in np.linspace(0, 2 * np.pi, stakes, endpoint=False):
        canvas.tube(place(np.full(25, angle), level, np.zeros(25)), radius, _pick(colors, rng))
    around = np.linspace(0, 2 * np.pi, 145)
    woven = rng.random() < 0.6
    for row, y in enumerate(np.linspace(-1, 1, rows)):
        out = 0.04 * np.sin(around * stakes / 2 + np.pi * row) if woven else np.zeros(145)
        thick = radius * (rng.uniform(1.5, 2.5) if y in (-1, 1) else rng.uniform(0.6, 1.3))
        canvas.tube(place(around, np.full(145, y), out), thick, _pick(colors, rng))


def wheel(canvas: Canvas, rng: Rng) -> None:
    """One or two spoked wheels with bars between them."""
    colors = _palette(rng)
    squash, pair = rng.uniform(0.4, 1.0), rng.random() < 0.6
    size = 0.42 if pair else 0.85
    centers = [(-0.5, 0.4, 0.0), (0.5, 0.4, 0.0)] if pair else [(0.0, 0.0, 0.0)]
    turn = np.linspace(0, 2 * np.pi, 97)
    thick = rng.uniform(0.015, 0.05) * size * 2
    for center in np.array(centers):
        rim = np.stack([squash * np.cos(turn), np.sin(turn), 0.2 * np.cos(turn)], axis=1) * size
        canvas.tube(center + rim, thick, _pick(colors, rng))
        for spoke in rim[:: max(2, 96 // int(rng.integers(6, 40)))]:
            canvas.tube(_line(center, center + spoke), rng.uniform(0.1, 0.3) * thick, colors[0])
    if pair:
        nodes = np.array([*centers, (-0.25, -0.25, 0.1), (0.3, -0.3, 0.1), (0.0, 0.35, 0.05)])
        for _ in range(int(rng.integers(4, 9))):
            start, end = nodes[rng.choice(len(nodes), 2, replace=False)]
            canvas.tube(_line(start, end), thick * rng.uniform(0.5, 1.0), _pick(colors, rng))


def bars(canvas: Canvas, rng: Rng) -> None:
    """A chair's or a rack's bars: the edges of boxes, with slats across."""
    colors = _palette(rng)
    first, second = _frame(rng, 0.175)
    axes = np.stack([first, second, np.cross(first, second)])
    radius = rng.uniform(0.01, 0.035)
    for _ in range(int(rng.integers(1, 4))):
        middle, half = rng.uniform(-0.25, 0.25, 3), rng.uniform(0.15, 0.55, 3)
        corner = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        points = (middle + corner * half) @ axes
        for a in range(8):
            for b in range(a + 1, 8):
                if (corner[a] != corner[b]).sum() == 1:
                    canvas.tube(_line(points[a], points[b]), radius, _pick(colors, rng))
        for share in np.linspace(0, 1, int(rng.integers(0, 14))):
            start = points[0] + share * (points[4] - points[0])
            end = points[2] + share * (points[6] - points[2])
            canvas.tube(_line(start, end), radius * 0.6, _pick(colors, rng))


def broom(canvas: Canvas, rng: Rng) -> None:
    """A bundle of stalks that spread: brooms, brushes, tufts, ears of grass."""
    colors = _palette(rng)
    stalks = int(np.exp(rng.uniform(np.log(25), np.log(450))))
    spread, bend = rng.uniform(0.1, 0.9), rng.uniform(0.0, 0.5)
    root = np.array([0.0, rng.uniform(-0.2, 0.3), 0.0])
    if rng.random() < 0.6:
        canvas.tube(_line(np.array([0.0, -0.95, 0.5]), root), rng.uniform(0.02, 0.08), colors[0])
    along = np.linspace(0, 1, 13)[:, None]
    down = 1 if rng.random() < 0.6 else -1
    for _ in range(stalks):
        angle = rng.normal(0, spread * 0.5)
        way = np.array([np.sin(angle), down * np.cos(angle), 0])
        droop = np.array([np.sign(angle) * bend, 0, 0]) * along**2
        length = rng.uniform(0.35, 0.75)
        start = root + np.array([rng.normal(0, 0.04), 0, rng.uniform(-0.5, 0.5)])
        canvas.tube(
            start + length * (along * way + droop),
            rng.uniform(0.002, 0.01),
            _pick(colors, rng),
            end=rng.uniform(0.1, 0.7),
        )


def mane(canvas: Canvas, rng: Rng) -> None:
    """A head, or a ball of fur, whose long hair stands on end or hangs down, tuft by tuft."""
    skin, hair = _palette(rng), _palette(rng)
    head = rng.uniform(0.12, 0.35)
    canvas.tube(
        _line(np.array([0, -0.1 * head, 0]), np.array([0, 0.3 * head, 0])), 0.9 * head, skin[0]
    )
    for side in (-1, 1):
        eye = np.array([side * 0.3 * head, 0.1 * head, 0.05])
        canvas.tube(
            _line(eye, eye + np.array([0, 0.05 * head, 0])), 0.12 * head, _pick(skin, rng) * 0.3
        )
    if rng.random() < 0.6:
        shoulder = np.array([1.3 * head, 1.7 * head, -0.02])
        canvas.tube(_line(shoulder * [-1, 1, 1], shoulder)[::3], 0.6 * head, skin[-1])
    strands = int(np.exp(rng.uniform(np.log(150), np.log(2500))))
    reach, length = rng.uniform(0.5, 2.6), head * rng.uniform(0.5, 3.5)
    weight, wild, thick = rng.uniform(0, 1.5), rng.uniform(0.02, 0.25), rng.uniform(0.002, 0.007)
    tufts = rng.normal(0, rng.uniform(0.05, 0.5), int(rng.integers(4, 40)))
    along = np.linspace(0, 1, 13)[:, None]
    for angle in rng.uniform(-reach, reach, strands):
        tuft = np.interp(angle, np.linspace(-reach, reach, len(tufts)), tufts)
        lean = angle + tuft + rng.normal(0, wild)
        way = np.array([np.sin(lean), -np.cos(lean), 0])
        root = head * rng.uniform(0.6, 0.9) * np.array([np.sin(angle), -np.cos(angle), 0])
        root[2] = rng.uniform(-0.3, 0.04)
        fall = np.array([0.3 * weight * np.sin(angle), weight, 0]) * along**2
        points = root + length * np.exp(rng.normal(0, 0.3)) * (along * way + fall)
        canvas.tube(points, thick, _pick(hair, rng), end=0.3)


def plant(canvas: Canvas, rng: Rng) -> None:
    """A trunk that branches, with leaves, needles or blossoms; at times in a pot."""
    bark = rng.uniform(0.15, 0.55) * np.array([1.0, rng.uniform(0.6, 0.9), rng.uniform(0.4, 0.75)])
    hue = rng.choice([rng.uniform(25, 65), rng.uniform(0, 180)], p=[0.8, 0.2])
    greens = [
        _hsv(hue + rng.normal(0, 6), rng.uniform(80, 220), rng.uniform(50, 230)) for _ in range(5)
    ]
    leaf = np.exp(rng.uniform(np.log(0.025), np.log(0.22)))
    leaves = int(rng.integers(1, 7))
    wild, forks = rng.uniform(0.2, 0.7), int(rng.integers(2, 4))
    if rng.random() < 0.4:
        pot = _hsv(rng.uniform(0, 180), rng.uniform(20, 200), rng.uniform(60, 240))
        for y in np.linspace(0.7, 0.98, 24):
            half = 0.3 - 0.12 * (y - 0.7) / 0.28
            canvas.tube(_line(np.array([-half, y, 0.6]), np.array([half, y, 0.6])), 0.03, pot)

    def grow(at: np.ndarray, way: np.ndarray, length: float, radius: float, left: int) -> None:
        bend = rng.normal(0, wild * 0.5, 3)
        along = np.linspace(0, 1, 7)[:, None]
        points = at + length * (along * way + 0.5 * bend * along**2)
        canvas.tube(points, radius, bark * rng.uniform(0.8, 1.2), end=0.65)
        tip = points[-1]
        if left <= 2:
            for _ in range(leaves):
                place = points[int(rng.integers(2, 7))]
                side = way[:2] + rng.normal(0, 0.8, 2)
                side /= np.linalg.norm(side) + 1e-6
                canvas.leaf(place, side, leaf * rng.uniform(0.5, 1.2), _pick(greens, rng))
        if left:
            for _ in range(forks):
                turned = way + rng.normal(0, wild, 3) * np.array([1, 0.7, 1])
                turned /= np.linalg.norm(turned)
                grow(tip, turned, length * rng.uniform(0.6, 0.9), radius * 0.65, left - 1)

    stems = int(rng.choice([1, 1, 2, 5]))
    for _ in range(stems):
        lean = np.array([rng.normal(0, 0.15 if stems == 1 else 0.5), -1.0, rng.normal(0, 0.2)])
        start = np.array([rng.normal(0, 0.04), 0.75, 0.0])
        depth = int(rng.integers(3, 6)) - (forks == 3) - (stems > 2)
        grow(start, lean, rng.uniform(0.3, 0.5), rng.uniform(0.015, 0.09) / stems**0.5, depth)


KINDS = (wicker_ball, basket, wheel, bars, broom, plant, plant, mane)


def draw(number: int, seed: int = 0) -> np.ndarray:
    """Draw subject `number`: SIDE x SIDE x 4 uint8, a pure function of number and seed."""
    rng = np.random.default_rng((seed, number))
    canvas = Canvas(rng)
    KINDS[number % len(KINDS)](canvas, rng)
    return canvas.render()


def _frame(rng: Rng, tilt: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors at right angles; a small tilt keeps them near x and y."""
    first, second = np.eye(3)[:2] + rng.normal(0, tilt, (2, 3))
    first /= np.linalg.norm(first)
    second -= first * (first @ second)
    return first, second / np.linalg.norm(second)


def _line(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    return start + np.linspace(0, 1, 19)[:, None] * (end - start)


def _hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    pixel = np.uint8([[[hue % 180, np.clip(saturation, 0, 255), np.clip(value, 0, 255)]]])
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0] / 255


def _palette(rng: Rng) -> list[np.ndarray]:
    """Wood and wire mostly, paint at times; a few shades of one color."""
    hue = rng.choice([rng.uniform(5, 22), rng.uniform(0, 180)], p=[0.6, 0.4])
    saturation, value = rng.uniform(0, 220), rng.uniform(50, 245)
    return [_hsv(hue, saturation + rng.normal(0, 15), value + rng.normal(0, 20)) for _ in range(4)]


def _pick(colors: list[np.ndarray], rng: Rng) -> np.ndarray:
    return colors[int(rng.integers(len(colors)))]


def _noise(size: int, scale: float, rng: Rng) -> np.ndarray:
    cells = max(3, round(size / scale))
    small = rng.standard_normal((cells, cells)).astype(np.float32)
    return cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)


def _write(number: int, folder: Path, seed: int) -> None:
    write_image(
        folder / f"{KINDS[number % len(KINDS)].__name__}_{number:04d}.webp", draw(number, seed)
    )


def main() -> None:
    """Write `count` cutouts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        work = partial(_write, folder=options.folder, seed=options.seed)
        for _ in pool.map(work, range(options.count), chunksize=8):
            pass


if __name__ == "__main__":
    main()
