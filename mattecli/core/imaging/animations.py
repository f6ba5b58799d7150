"""Animated pictures and files of several pages: read frame by frame, and written whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageSequence, TiffImagePlugin

from mattecli.core.errors import MatteError
from mattecli.core.imaging.animation_times import duration_of, looping, plays_of, shown
from mattecli.core.imaging.clips.codecs import CONTAINERS
from mattecli.core.imaging.clips.colors import STANDARD
from mattecli.core.imaging.clips.reading import Frame
from mattecli.core.imaging.metadata import MAKER, with_maker
from mattecli.core.imaging.opening import check_pixels, open_image, opened
from mattecli.core.imaging.pixels import MAX_PIXELS, Picture, to_8_bit
from mattecli.core.imaging.planes import NO_PAGE
from mattecli.core.imaging.quiet import quiet_decoders
from mattecli.core.imaging.reading import picture_of, to_srgb

#: What each suffix is written as. A WebP or TIFF of a single picture is no matter of this module,
#: hence names for them that no file has.
ANIMATED_WEBP, PAGED_TIFF = ".webp (animated)", ".tiff (pages)"
FORMATS = {".gif": "GIF", ".apng": "PNG", ANIMATED_WEBP: "WEBP", PAGED_TIFF: "TIFF"}
_NAMED = {".gif": ".gif", ".apng": ".apng", ".webp": ANIMATED_WEBP}
_PAGED = {".tif": PAGED_TIFF, ".tiff": PAGED_TIFF}
_READ = frozenset({".gif", ".apng", ".png", ".webp"})


def written_as(out: str) -> str | None:
    """Give the key of `FORMATS` for a clip or animation that is written to such a file."""
    return _NAMED.get(Path(out).suffix.lower())


def moving_format(source: str, out: str) -> str | None:
    """Give what a picture of several frames or pages is written as, if OUT can hold them.

    That is a key of `FORMATS`, or one of `CONTAINERS`.

    Raises
    ------
    MatteError
        If it cannot be read, or OUT would seem to be at fault.
    """
    suffix = Path(source).suffix.lower()
    clips = {name: name for name in CONTAINERS}
    wanted = _NAMED | clips if suffix in _READ else _PAGED if suffix in _PAGED else {}
    form = wanted.get(Path(out).suffix.lower())
    if form is None or Path(out).is_dir():
        return None
    path = Path(source)
    return form if path.is_file() and _counted(path) > 1 else None


def is_animated(path: Path) -> bool:
    """Tell whether a file is a picture of several frames."""
    return path.suffix.lower() in _READ and _count(path) > 1


def holds_pages(name: str) -> bool:
    """Tell by its name whether what a file holds several of is pages, and not frames."""
    return Path(name).suffix.lower() in _PAGED


def has_several(path: Path) -> bool:
    """Tell whether a file is a picture of several frames or pages."""
    return path.suffix.lower() in (*_READ, *_PAGED) and _count(path) > 1


def _count(path: Path) -> int:
    """Count the frames or pages of a file; 0 if it cannot be read, which it says when it is cut."""
    if not path.is_file():
        return 0
    try:
        return _counted(path)
    except MatteError:
        return 0


def _counted(path: Path) -> int:
    with opened(path) as file, quiet_decoders(), open_image(file, path) as image:
        return len(_numbers(image))


class AnimationReader:
    """A picture of several frames or pages; a context manager like `ClipReader`.

    Attributes
    ----------
    path, width, height, pixel_shape, rate, time_base, frame_count, colors, audio, metadata, \
problems, notes
        As those of `ClipReader`; times are in milliseconds.
    plays : int
        How often it plays, 0 forever.
    """

    def __init__(self, path: Path, max_pixels: int = MAX_PIXELS) -> None:
        self.path = path
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.audio: list[Any] = []
        self.metadata: dict[str, str] = {}
        self.colors, self.pixel_shape = STANDARD, Fraction(1)
        self.time_base = Fraction(1, 1000)
        self._max_pixels = max_pixels
        with self._open() as image:
            self.width, self.height = image.size
            self.frame_count = len(_numbers(image))
            self.plays = plays_of(image)
            total = sum(duration_of(frame) for frame in ImageSequence.Iterator(image))
        self.rate = Fraction(1000 * self.frame_count, max(1, round(total)))

    def frames(self, take_audio: Callable[[Any], None] | None = None) -> Iterator[Frame]:
        """Decode frame after frame, as it is seen; there is no sound.

        Raises
        ------
        MatteError
            If the file is damaged.
        """
        # Of frames that are no whole milliseconds long, fractions do not add up to a drift.
        time = 0.0
        with self._open() as image:
            for number in _numbers(image):
                image.seek(number)
                check_pixels(self.path, image.size, self._max_pixels)
                picture = to_srgb(_picture(image))
                end = time + duration_of(image)
                yield Frame(picture.color, round(time), round(end) - round(time), picture.alpha)
                time = end

    def __enter__(self) -> AnimationReader:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to close between frames."""

    def _open(self) -> _Opened:
        return _Opened(self.path, self._max_pixels)


class _Opened:
    """The file and its decoder, for a block in which damage becomes one line."""

    def __init__(self, path: Path, max_pixels: int) -> None:
        self._path, self._max_pixels = path, max_pixels
        self._stack = ExitStack()

    def __enter__(self) -> Image.Image:
        file = self._stack.enter_context(opened(self._path, self._max_pixels))
        self._stack.enter_context(quiet_decoders())
        image = self._stack.enter_context(open_image(file, self._path, self._max_pixels))
        check_pixels(self._path, image.size, self._max_pixels)
        return image

    def __exit__(self, *error: Any) -> bool | None:
        return self._stack.__exit__(*error)


class AnimationWriter:
    """An animation or paged file that is being written; a context manager that completes it.

    All of its frames are in memory until then, as encoders want to see them together.

    Parameters
    ----------
    path : Path
        Of any name.
    form : str
        A key of `FORMATS`.
    like : ClipReader or AnimationReader
        Whose times it has.
    quality : int, optional
        1 to 100 for WebP, lossless if not given.

    Raises
    ------
    MatteError
        Here and in all methods, if it cannot be encoded, or is too large for the memory.
    """

    #: Bits of a channel.
    bits = 8

    def __init__(self, path: Path, form: str, like: Any, quality: int | None = None) -> None:
        self._path, self._form, self._like, self._quality = path, form, like, quality
        self._frames: list[Image.Image] = []
        self._times: list[tuple[int, int]] = []
        self._pixels = 0

    def convert(self, array: np.ndarray, like: Frame) -> tuple[Image.Image, int, int]:
        """Turn an array of shape (H, W), (H, W, 3) or (H, W, 4) into a frame with its times.

        A GIF knows pixels that are transparent or not, and so half of alpha decides.
        """
        if array.ndim == 3 and array.shape[2] == 4 and self._form == ".gif":
            solid = array[..., 3] >= 128
            array = np.where(solid[..., None], array, 0)
            array[..., 3] = np.where(solid, 255, 0)
        return Image.fromarray(np.ascontiguousarray(array)), like.time, like.duration

    def write(self, frame: tuple[Image.Image, int, int]) -> None:
        """Take the next frame."""
        image, time, duration = frame
        self._pixels += image.width * image.height
        if self._pixels > MAX_PIXELS:
            raise MatteError(
                f"{self._like.path} has more than {MAX_PIXELS / 1e6:g} megapixels in all its "
                "frames, too many for such a file: make it a .webm or .mov"
            )
        self._frames.append(image)
        self._times.append((time, duration))

    def write_audio(self, packet: Any) -> None:
        """Leave sound out, once with a note."""
        note = "its sound is left out, as such files have none"
        if note not in self._like.notes:
            self._like.notes.append(note)

    def __enter__(self) -> AnimationWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        if not self._frames:
            raise MatteError(f"{self._like.path} holds no frames")
        form = FORMATS[self._form]
        stay = shown(form, self._seconds())
        if left := len(self._frames) - len(stay):
            self._like.notes.append(
                f"{left} of {len(self._frames)} frames left out, which came faster than a {form} "
                "can say"
            )
        first, *others = (self._frames[number] for number, _ in stay)
        try:
            first.save(
                self._path,
                form,
                save_all=True,
                append_images=others,
                **self._options(form, [duration for _, duration in stay]),
            )
        except (ValueError, OSError) as error:
            raise MatteError(f"cannot encode {self._like.path}: {error}") from None

    def _seconds(self) -> list[Fraction]:
        """Give the time of every frame, and of the end, which clips need not say."""
        like, (time, duration) = self._like, self._times[-1]
        last = duration * like.time_base or 1 / like.rate
        return [*(begin * like.time_base for begin, _ in self._times), time * like.time_base + last]

    def _options(self, form: str, durations: list[int]) -> dict[str, Any]:
        if self._form == PAGED_TIFF:
            return {"compression": "tiff_deflate", "exif": with_maker(None)}
        timing = {"duration": durations, **looping(form, getattr(self._like, "plays", 0))}
        if self._form == ".gif":
            return {"disposal": 2, "optimize": False, "comment": MAKER, **timing}
        timing["exif"] = with_maker(None)
        if self._form == ".apng":
            return timing
        lossless = self._quality is None
        quality = 50 if lossless else self._quality
        options = {"lossless": lossless, "quality": quality, "method": 2, "exact": True}
        return {**timing, **options}


def _numbers(image: Image.Image) -> list[int]:
    """List the frames that are shown: not the still picture that stands in for an animation."""
    count = getattr(image, "n_frames", 1)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        shown = []
        for page in range(count):
            image.seek(page)
            if not int(image.tag_v2.get(254, 0)) & NO_PAGE:
                shown.append(page)
        image.seek(0)
        return shown
    return list(range(1 if image.info.get("default_image") else 0, count))


def _picture(image: Image.Image) -> Picture:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        picture = picture_of(image)
        alpha = None if picture.alpha is None else to_8_bit(picture.alpha)
        return replace(picture, color=to_8_bit(picture.color), alpha=alpha)
    # Frames are put together from those before, in whatever mode that takes.
    array = np.asarray(image.convert("RGBA"))
    alpha = np.ascontiguousarray(array[..., 3])
    color = np.ascontiguousarray(array[..., :3])
    return Picture(color, None if alpha.min() == 255 else alpha)
