"""At what sizes the network sees a photo, pass by pass."""

from __future__ import annotations

from typing import NamedTuple

from mattecli.core.runtime.sizing import Sizing, resized_size

#: Size of the photo in the last of several passes, relative to the first.
LAST_PASS_SCALE = 1.5
#: The last pass enlarges a photo to so many times its own size at most,
MAX_UPSCALE = 1.2
#: or a small one, which is looked at whole: it takes less time, and with what the first pass saw as
#: guidance, pixels that are only interpolated still show more.
MAX_SMALL_UPSCALE = 4.0
#: Where the first pass has a size of its own, the next one is at least so many times as large, and
#: exactly so where a third one follows; that is 1.5 times as large as the first, or more.
NEXT_PASS_SCALE = 1.25
#: In the last pass a large photo would have at most this fraction of its own pixels, which takes
#: less time than cutting so many out,
MAX_PIXEL_FRACTION = 0.35
#: or this multiple of the area of a square photo in a single pass, or photos of a megapixel would
#: take long.
MAX_AREA_FACTOR = 1.1
#: A detail pass shows the photo so many times as large as the one before. On benchmark photos 2
#: brought no more, and takes twice the time.
DETAIL_SCALE = 1.5


class PassSizes(NamedTuple):
    """How the network sees a photo.

    Attributes
    ----------
    whole : tuple of (height, width)
        Sizes of the passes that take the whole photo, from the smallest to the largest.
    large : (height, width) or None
        Size that the whole photo has in a last pass, which takes a crop of it; None for none.
    detail : (height, width) or None
        The same of one more such pass, which draws finer what is decided by then.
    """

    whole: tuple[tuple[int, int], ...]
    large: tuple[int, int] | None = None
    detail: tuple[int, int] | None = None

    @property
    def cropped(self) -> tuple[tuple[int, int], ...]:
        """Sizes that the whole photo has in passes which take a crop of it."""
        return tuple(size for size in (self.large, self.detail) if size)

    @property
    def last(self) -> tuple[int, int]:
        """The (height, width) of the whole photo in the last pass but that for detail."""
        return self.large or self.whole[-1]


def plan_sizes(
    sizing: Sizing, height: int, width: int, *, guided: bool, detailed: bool = False
) -> PassSizes:
    """Plan the passes of a photo of that size through a network that takes inputs of any size.

    Parameters
    ----------
    guided : bool
        Whether the network takes guidance: only then is it worth while to look at the whole photo
        more than once.
    detailed : bool
        Whether there is to be a detail pass.
    """
    sizes = _usual_sizes(sizing, height, width, guided=guided)
    if not detailed:
        return sizes
    scale = DETAIL_SCALE * max(sizes.last) / max(height, width)
    return sizes._replace(detail=resized_size(height, width, scale, sizing.multiple))


def _usual_sizes(sizing: Sizing, height: int, width: int, *, guided: bool) -> PassSizes:
    longer, first = max(height, width), sizing.first_pass_size

    def at(side: float) -> tuple[int, int]:
        return resized_size(height, width, side / longer, sizing.multiple)

    large = large_pass_size(sizing, height, width)
    if not large or (guided and MAX_UPSCALE * longer < LAST_PASS_SCALE * first):
        return PassSizes(tuple(map(at, _small_sides(sizing, longer, guided=guided))))
    if not first:
        return PassSizes((resized_size(*large, 1 / LAST_PASS_SCALE, sizing.multiple),), large)
    sides: list[float] = [first]
    if guided and max(large) >= LAST_PASS_SCALE * first:
        sides.append(NEXT_PASS_SCALE * first)
    # Rounded, sizes may be the same.
    return PassSizes(tuple(dict.fromkeys(map(at, sides))), large)


def _small_sides(sizing: Sizing, longer: int, *, guided: bool) -> list[float]:
    """Give the long side of a small photo in each pass."""
    first = sizing.first_pass_size
    last = min(LAST_PASS_SCALE * first, MAX_SMALL_UPSCALE * longer)
    if guided and first <= sizing.size and last >= NEXT_PASS_SCALE * first > 0:
        return [first, last]
    return [min(sizing.size, max(sizing.min_size, longer))]


def large_pass_size(sizing: Sizing, height: int, width: int) -> tuple[int, int] | None:
    """Give the (height, width) of a whole photo in the pass that crops it; None for small ones."""
    longer = max(height, width)
    pixels = max(MAX_AREA_FACTOR * sizing.size**2, MAX_PIXEL_FRACTION * height * width)
    long_side = min(
        MAX_UPSCALE * longer,
        LAST_PASS_SCALE * sizing.size,
        (pixels / (height * width)) ** 0.5 * longer,
    )
    if sizing.first_pass_size:
        least = NEXT_PASS_SCALE * sizing.first_pass_size
    else:
        least = LAST_PASS_SCALE * min(sizing.min_size, sizing.size)
    if long_side < least:
        return None
    return resized_size(height, width, long_side / longer, sizing.multiple)
