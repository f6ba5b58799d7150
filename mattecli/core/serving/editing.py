"""Photos that are open in the page: decoded, with the network's first matte, in memory only."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from mattecli.core.errors import MatteError
from mattecli.core.imaging.pixels import to_unit
from mattecli.core.imaging.reading import read_picture, to_srgb
from mattecli.core.imaging.writing import encode
from mattecli.core.inference.assessment import Assessment, assess
from mattecli.core.inference.hint_values import HintKeywords
from mattecli.core.inference.options import Refine
from mattecli.core.inference.predictor import Predictor
from mattecli.core.inference.session import Session
from mattecli.core.serving.refusals import Refusal

#: Long side of what the page shows, in pixels.
PREVIEW_SIDE = 1600
# Open photos that are kept, in number and pixels, and for how many seconds without being asked for.
_MOST_OPEN, _MOST_PIXELS, _IDLE = 8, 150_000_000, 1800


@dataclass(eq=False)
class OpenPhoto:
    """A photo that is being looked at.

    Attributes
    ----------
    source : Path or bytes
        Its file, from which results are made.
    network_size : (height, width)
        At which the network sees it.
    number : int or None
        Its number in the folder, if it is of one.
    """

    source: Path | bytes
    session: Session
    network_size: tuple[int, int]
    number: int | None = None
    used: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def pixels(self) -> int:
        """How large it is."""
        width, height = self.session.size
        return width * height

    def photo(self) -> bytes:
        """Give the photo as a JPEG of the size that the page shows."""
        return encode(self.session.photo(PREVIEW_SIDE), ".jpg", quality=88)

    def preview(self, refine: Refine, hints: HintKeywords) -> tuple[bytes, Assessment]:
        """Give the cutout under hints as a PNG of the size that the page shows.

        Raises
        ------
        Refusal
            If hints contradict one another.
        """
        with self.lock:
            self.session.refine = refine
            try:
                cutout = self.session.cutout(long_side=PREVIEW_SIDE, **hints)
                photo = self.session.photo(PREVIEW_SIDE)
            except MatteError as error:
                raise Refusal(422, str(error)) from None
        # Sent once and to this machine: quick to write counts for more than small.
        return encode(cutout, ".png", compression=1), assess(
            to_unit(cutout[..., 3]), photo, self.network_size
        )


class OpenPhotos:
    """The photos that are open; the ones not looked at for longest are closed for others."""

    def __init__(self, predictor: Predictor, max_pixels: int) -> None:
        self._predictor, self._max_pixels = predictor, max_pixels
        self._photos: OrderedDict[str, OpenPhoto] = OrderedDict()
        self._lock = threading.Lock()
        # One after the other: a decoded photo is many times its file.
        self._decoding = threading.Lock()

    def open(self, source: Path | bytes, number: int | None = None) -> tuple[str, OpenPhoto]:
        """Decode a photo; give it and the name by which it is asked for.

        Raises
        ------
        Refusal
            If it cannot be decoded, or is too large.
        """
        try:
            with self._decoding:
                picture = to_srgb(read_picture(source, self._max_pixels))
        except MatteError as error:
            raise Refusal(422, str(error)) from None
        session = Session.using(self._predictor, picture)
        network_size = self._predictor.planner.sizes(*session.size[::-1]).last
        photo = OpenPhoto(source, session, network_size, number)
        name = secrets.token_urlsafe(12)
        with self._lock:
            self._photos[name] = photo
            self._close_others()
        return name, photo

    def get(self, name: str) -> OpenPhoto:
        """Give an open photo.

        Raises
        ------
        Refusal
            If it is not open, or not any more.
        """
        with self._lock:
            if name not in self._photos:
                raise Refusal(404, "this photo is not open any more: open it again")
            self._photos.move_to_end(name)
            self._photos[name].used = time.monotonic()
            return self._photos[name]

    def close(self, name: str) -> None:
        """Forget a photo."""
        with self._lock:
            self._photos.pop(name, None)

    def _close_others(self) -> None:
        while len(self._photos) > 1:
            oldest = next(iter(self._photos.values()))
            pixels = sum(photo.pixels for photo in self._photos.values())
            too_many = len(self._photos) > _MOST_OPEN or pixels > _MOST_PIXELS
            if not (too_many or time.monotonic() - oldest.used > _IDLE):
                return
            self._photos.popitem(last=False)
