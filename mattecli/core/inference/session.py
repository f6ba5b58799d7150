"""A photo that is looked at again and again, with one more hint each time."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.accepting import ImageLike, as_picture
from mattecli.core.imaging.pixels import Picture, to_8_bit
from mattecli.core.inference.hint_values import HintKeywords, hints_of
from mattecli.core.inference.options import Precision, PredictOptions, Refine
from mattecli.core.inference.passes import PhotoPasses, network_matte
from mattecli.core.inference.predictor import Predictor
from mattecli.core.inference.preloading import load_predictor
from mattecli.core.matting.blocks import scaled
from mattecli.core.matting.flattening import flatten
from mattecli.core.matting.full_size import (
    NetworkMatte,
    full_size_alpha,
    refine_found,
    wants_detail,
)
from mattecli.core.matting.hints import Hints
from mattecli.core.matting.outputs import OutputSpec, render_outputs
from mattecli.core.matting.placing import resize

if TYPE_CHECKING:
    from typing_extensions import Unpack

_WHITE = np.ones(3, np.float32)
# Copies of the photo, and mattes under different boxes and at different sizes, that a session
# keeps of each.
_KEPT = 2

_Made = TypeVar("_Made")


@lru_cache(maxsize=2)
def shared_predictor(options: PredictOptions) -> Predictor:
    """Load a network once and keep it."""
    return load_predictor(options)


class Session:
    """A photo to which hints are given one after the other.

    The decoded photo and the network's first matte of it are kept, so that each answer to further
    hints takes a fraction of the first one's time. Every call gives all hints that shall count: to
    undo one, leave it out. A session may be used by several threads; they wait for one another.

    Parameters
    ----------
    image : path, bytes, PIL.Image.Image, numpy.ndarray or torch.Tensor
        See `predict`.
    refine, size, two_pass, weights, device, precision
        See `predict`.

    Attributes
    ----------
    refine : {"fast", "best", "none"}
        May be changed from one matte to the next.

    Raises
    ------
    MatteError
        If `image` is no picture, or weights or device are not there.

    Examples
    --------
    >>> session = matte.Session("photo.jpg")  # doctest: +SKIP
    >>> alpha = session.alpha(points=[(1200, 800)])  # doctest: +SKIP
    >>> alpha = session.alpha(points=[(1200, 800)], not_points=[(90, 40)])  # doctest: +SKIP
    """

    def __init__(
        self,
        image: ImageLike,
        *,
        refine: Refine = "fast",
        size: int | None = None,
        two_pass: bool = True,
        weights: str | Path | None = None,
        device: str = "auto",
        precision: Precision = "auto",
    ) -> None:
        path = None if weights is None else Path(weights)
        # PyTorch's own devices are written like ours.
        options = PredictOptions(refine, size, two_pass, path, str(device), precision)
        self._take(as_picture(image), lambda: shared_predictor(options), refine)

    @classmethod
    def using(cls, predictor: Predictor, picture: Picture, refine: Refine = "fast") -> Session:
        """Start a session with a network that is loaded and a photo that is decoded, in sRGB."""
        session = cls.__new__(cls)
        session._take(picture, lambda: predictor, refine)
        return session

    def _take(self, picture: Picture, predictor: Callable[[], Predictor], refine: Refine) -> None:
        self.refine = refine
        self._predictor = predictor
        if picture.alpha is not None:
            # The network knows no transparency.
            picture.color = flatten(picture, _WHITE)
        self._picture = picture
        self._copies: OrderedDict[Hashable, Any] = OrderedDict()
        self._firsts: OrderedDict[Hashable, Any] = OrderedDict()
        self._refined: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the photo in pixels, as hints count them."""
        return self._picture.color.shape[1], self._picture.color.shape[0]

    def photo(self, long_side: int | None = None) -> np.ndarray:
        """Give the photo, or a smaller copy with this long side in pixels, as uint8 RGB."""
        with self._lock:
            return to_8_bit(self._at_size(long_side).color)

    def alpha(self, *, long_side: int | None = None, **hints: Unpack[HintKeywords]) -> np.ndarray:
        """Find the matte under hints.

        Parameters
        ----------
        long_side : int, optional
            Give a smaller matte, with this long side in pixels, for a quick look; hints are still
            in the photo's own pixels.
        box : (x, y, width, height) or list of such, optional
            The subject lies in one of them, and what is outside of all is background. Numbers are
            pixels, texts such as ``"12.5%"`` shares of the photo, and a text with commas is a box.
        points, not_points : list of (x, y), optional
            Places on the subject, and on what is not subject.
        keep, drop : picture as `predict` takes it, optional
            Strokes or masks of what is subject, and of what is not: bool arrays, or any color on
            black or on a transparent layer.
        trimap : picture as `predict` takes it, optional
            What is black or white in it is known: see `refine_with_marks`. Labels 0, 1, 2 are
            understood, too.
        guide : picture as `predict` takes it, optional
            A rough matte of another tool, to be sharpened.
        subject : {"all", "largest", "center"}
            Which of several separate subjects is meant.

        Returns
        -------
        float32 ndarray of shape (H, W), in [0, 1]

        Raises
        ------
        MatteError
            If a hint lies outside of the photo or cannot be understood.
        """
        with self._lock:
            return self._alpha(long_side, hints)[1]

    def cutout(
        self,
        *,
        long_side: int | None = None,
        crop: float | None = None,
        bits: Literal[8, 16] = 8,
        **hints: Unpack[HintKeywords],
    ) -> np.ndarray:
        """Cut the subject out under hints, with colors that are free of its old background.

        Parameters
        ----------
        crop : float, optional
            Crop to the subject and leave room around it, as a share of its longer side.
        bits : {8, 16}
            Depth of the result.
        long_side, box, points, not_points, keep, drop, trimap, guide, subject
            See `alpha`.

        Returns
        -------
        uint8 or uint16 ndarray of shape (H, W, 4)
            RGBA with straight colors.
        """
        with self._lock:
            picture, alpha = self._alpha(long_side, hints)
        return render_outputs(picture.color, alpha, OutputSpec(bits=bits, crop=crop))["cutout"]

    def _alpha(self, long_side: int | None, given: HintKeywords) -> tuple[Picture, np.ndarray]:
        """Give the photo and its matte, both at the size that is wanted."""
        hints = hints_of(self._picture.color.shape[:2], **given)
        found = self._found(hints)
        picture = self._at_size(long_side)
        if picture is not self._picture:
            hints = hints.resized(picture.color.shape[:2])
            if found.frame is not None:
                found = replace(found, frame=scaled(found.frame, hints.shape, self.size[::-1]))
        refine = self.refine
        refined = None
        if hints.has_marks:
            # Most of them change nothing of what the network gave.
            key = (refine, _digest(found.matte), str(found.frame), picture.color.shape)
            refined = _kept(self._refined, key, lambda: refine_found(picture.color, found, refine))
        return picture, full_size_alpha(picture, found, refine, hints, refined)

    def _at_size(self, long_side: int | None) -> Picture:
        if long_side is None or long_side >= max(self.size):
            return self._picture
        if long_side < 1:
            raise MatteError(f"the long side of a matte is 1 pixel or more, not {long_side}")
        return _kept(self._copies, long_side, lambda: _reduced(self._picture, long_side))

    def _found(self, hints: Hints) -> NetworkMatte:
        """Run the network, from where it was without points and strokes."""
        predictor = self._predictor()
        unmarked = replace(hints, points=(), not_points=(), keep=None, drop=None, trimap=None)
        guide = None if hints.guide is None else _digest(hints.guide)
        detailed = wants_detail(self.refine)
        key = (str(hints.boxes), guide, hints.subject, detailed)

        def first() -> PhotoPasses:
            color = to_8_bit(self._picture.color)
            photo = predictor.planner.start(color, unmarked, detailed=detailed)
            predictor.complete([photo])
            return photo

        photo = _kept(self._firsts, key, first)
        if hints.has_marks:
            inside = hints if photo.frame is None else hints.cropped(photo.frame)
            photo = replace(photo, hints=inside)
            predictor.planner.mark(photo)
            predictor.complete([photo])
        return network_matte(photo)


def _kept(cache: OrderedDict[Hashable, Any], key: Hashable, make: Callable[[], _Made]) -> _Made:
    """Give what was made before, or make it and forget the oldest."""
    if key not in cache:
        cache[key] = make()
        if len(cache) > _KEPT:
            cache.popitem(last=False)
    cache.move_to_end(key)
    return cache[key]


def _digest(array: np.ndarray) -> bytes:
    return hashlib.blake2b(array.tobytes()).digest()


def _reduced(picture: Picture, long_side: int) -> Picture:
    height, width = picture.color.shape[:2]
    scale = long_side / max(height, width)
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    alpha = None if picture.alpha is None else resize(picture.alpha, *shape)
    return Picture(resize(picture.color, *shape), alpha)
