"""What the network is told of the frame before, and what was chosen, followed through a clip."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from test_predict import load_red_is_subject
from test_video import matte, read_clip

from mattecli.core.clips.mattes import ClipMattes
from mattecli.core.imaging.writing import encode
from mattecli.core.inference.predictor import Predictor
from mattecli.core.runtime import loading
from mattecli.core.runtime.sizing import Sizing

HEIGHT, WIDTH, COUNT = 96, 160, 8
GROUND = cv2.GaussianBlur(
    np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 2
)
GROUND[..., 0] = 0


def place(number: int) -> tuple[int, int]:
    """Middle of the disc that moves."""
    return 40 + 4 * number, 50


def frame_of(number: int) -> np.ndarray:
    """A red disc that moves, and one that stands; what is red is subject."""
    frame = GROUND.copy()
    cv2.circle(frame, place(number), 16, (255, 0, 40), -1, cv2.LINE_AA)
    cv2.circle(frame, (130, 30), 14, (255, 0, 0), -1, cv2.LINE_AA)
    return frame


class Guided:
    """Takes red for subject, and notes what it is told."""

    sizing = Sizing(64, 32, 32, first_pass_size=32)
    device_type, max_concurrency, batch_one, takes_guidance = "cpu", 1, True, True

    def __init__(self):
        self.told = []
        self.contradicts = False

    def prepare(self, image, size=None):
        return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)

    def infer(self, images, guidance=None):
        self.told.append((images[0].shape[:2], guidance and guidance[0]))
        red = images[0][..., 0].astype(np.float32) / 255
        return [1 - red if self.contradicts else red]


def test_the_network_is_told_the_matte_of_the_frame_before_where_it_has_moved_to():
    model = Guided()
    clip = ClipMattes(Predictor(model))
    clip.take(frame_of(0))
    assert len(model.told) == 2 and model.told[0][1] is None, "a photo's two passes"
    seen, found = clip.take(frame_of(1))
    assert len(model.told) == 3 and found.shape == seen.shape[:2]
    told = model.told[-1][1]
    assert told.shape == (2, *found.shape) and not told[1].any()
    known = told[0] != 0
    assert known.mean() > 0.8
    # Alpha as -1 to 1, of this frame and not of the one before.
    assert np.abs((told[0] + 1) / 2 - found)[known].mean() < 0.03
    assert (told[0] > 0.8).sum() > 0.04 * found.size


def test_a_cut_starts_anew_and_so_does_what_the_network_contradicts():
    model = Guided()
    clip = ClipMattes(Predictor(model))
    clip.take(frame_of(0))
    other = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    clip.take(other)
    assert [told is None for _, told in model.told] == [True, False, True, False]
    # Both are seen at the size of the first pass first.
    assert model.told[2][0] == model.told[0][0]
    clip.take(other)
    assert len(model.told) == 5
    model.contradicts = True
    clip.take(other)
    assert len(model.told) == 8 and model.told[6][1] is None


def write_clip(path: Path, frames: list[np.ndarray]) -> Path:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=Fraction(25), options={"crf": "4"})
        video.height, video.width, video.pix_fmt = HEIGHT, WIDTH, "yuv444p"
        for frame in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(video.encode())
    return path


def alphas(path: Path) -> np.ndarray:
    return read_clip(path)[0][..., 3] / 255


@pytest.mark.parametrize("chosen", ["box", "keep", "guide", "largest"])
def test_what_the_first_frame_chooses_is_followed(tmp_path, monkeypatch, chosen):
    monkeypatch.setattr(loading, "load_model", load_red_is_subject)
    clip = write_clip(tmp_path / "clip.mp4", [frame_of(number) for number in range(COUNT)])
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(mask, place(0), 12 if chosen == "keep" else 16, 255, -1)
    (tmp_path / "mask.png").write_bytes(encode(mask, ".png"))
    arguments = {
        "box": ["--box", "15,25,60,60"],
        "keep": ["--keep", tmp_path / "mask.png", "--drop", tmp_path / "other.png"],
        "guide": ["--guide", tmp_path / "mask.png"],
        "largest": ["--subject", "largest"],
    }[chosen]
    other = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(other, (130, 30), 18, 255, -1)
    (tmp_path / "other.png").write_bytes(encode(other, ".png"))
    result = matte(clip, tmp_path / "out.mov", *arguments)
    assert result.exit_code == 0, result.output
    found = alphas(tmp_path / "out.mov")
    assert len(found) == COUNT
    for number, alpha in enumerate(found):
        x, y = place(number)
        assert alpha[y - 8 : y + 8, x - 8 : x + 8].min() > 0.9, number
        assert alpha[18:42, 118:142].max() < 0.1, number
    assert matte(clip, tmp_path / "all.mov").exit_code == 0
    assert alphas(tmp_path / "all.mov")[-1][25:35, 125:135].min() > 0.9


def test_following_ends_at_a_cut_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "load_model", load_red_is_subject)
    after = np.ascontiguousarray(255 - GROUND[::-1])
    after[..., 0] = 0
    cv2.circle(after, (100, 60), 16, (255, 0, 0), -1)
    clip = write_clip(tmp_path / "clip.mp4", [frame_of(0), frame_of(1), after, after])
    result = matte(clip, tmp_path / "out.mov", "--box", "15,25,60,60")
    assert result.exit_code == 0 and "up to the first cut" in result.output
    found = alphas(tmp_path / "out.mov")
    assert found[1][30, 130] < 0.1 and found[3][60, 100] > 0.9


def test_hints_that_a_clip_cannot_have(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", [frame_of(0)])
    (tmp_path / "list.json").write_text("[]")
    result = matte(clip, tmp_path / "out.mov", "--hints", tmp_path / "list.json")
    assert result.exit_code == 2 and "--hints" in result.output
    result = matte(clip, tmp_path / "out.mov", "--box", "500,0,20,20")
    assert result.exit_code == 1 and "\n" not in str(result.exception)
    assert not (tmp_path / "out.mov").exists()


def test_frames_of_large_clips_are_seen_larger_where_they_are_guided():
    model = Guided()
    model.sizing = Sizing(320, 256, 32, first_pass_size=256)
    frame = cv2.resize(frame_of(0), (640, 384))
    seen, _ = ClipMattes(Predictor(model)).take(frame)
    alone, _ = ClipMattes(Predictor(model), guides=False).take(frame)
    assert (alone.shape[:2], seen.shape[:2]) == ((192, 320), (224, 384))
    small, _ = ClipMattes(Predictor(model)).take(frame[:160, :256])
    assert small.shape[:2] == (160, 256), "what has a single pass as a photo is not enlarged"
