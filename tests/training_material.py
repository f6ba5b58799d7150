"""What the tests of ``matte train`` share: a miniature data set, and the command line."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from unittest import mock

import cv2
import numpy as np

from mattecli.cli import app
from mattecli.core.imaging.writing import write_image

PLAIN = ["--no-pretrained", "--workers=0", "--device=cpu", "--quiet"]
FAST = ["--batch-size=2", "--crop-size=32", *PLAIN]
#: An encoder of timm that is made for tests: every stride of a real one, and 82,000 parameters.
SMALL_ENCODER = "test_efficientnet"


def draw_blob(rng, size=48):
    blob = cv2.GaussianBlur(rng.random((size, size), np.float32), (0, 0), 6)
    return (np.clip((blob - np.median(blob)) * 60, 0, 1) * 255).astype(np.uint8)


def make_data(root):
    """Red blobs on blue-green noise: pairs, cutouts and backgrounds."""
    rng = np.random.default_rng(1)
    for number in range(6):
        alpha = draw_blob(rng)
        red = np.uint8([230, 30, 30]) * np.ones((48, 48, 1), np.uint8)
        back = rng.integers(0, 255, (48, 48, 3), np.uint8) // np.uint8([8, 1, 1])
        share = alpha[..., None] / 255
        image = np.rint(share * red + (1 - share) * back).astype(np.uint8)
        write_image(root / f"pairs/image/{number}.png", image)
        write_image(root / f"pairs/alpha/{number}.png", alpha)
        write_image(root / f"cutouts/{number}.png", np.dstack([red, alpha]))
        write_image(root / f"backgrounds/{number}.png", back)
    return root


def matte(*arguments):
    """Run the command line in this process: its exit code and what it said on standard error."""
    said = io.StringIO()
    command = ["matte", *map(str, arguments)]
    with mock.patch.object(sys, "argv", command), contextlib.redirect_stderr(said):
        try:
            app.main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
    return code, said.getvalue()


def log_of(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
