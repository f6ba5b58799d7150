"""At what size a network takes a photo."""

from __future__ import annotations

from dataclasses import dataclass

#: Long side in pixels that small photos are enlarged to for our networks. In smaller pictures they
#: find little, and enlarging them further only blurs what is there.
MIN_SIZE = 512


def resized_size(height: int, width: int, scale: float, multiple: int) -> tuple[int, int]:
    """Scale (height, width) and round both to multiples of `multiple`, at least one of them."""
    return (
        max(multiple, round(height * scale / multiple) * multiple),
        max(multiple, round(width * scale / multiple) * multiple),
    )


@dataclass(frozen=True)
class Sizing:
    """The sizes that a network takes.

    Attributes
    ----------
    size : int
        Long side in pixels of its input for large photos.
    min_size : int
        Long side that smaller photos are enlarged to.
    first_pass_size : int
        Long side of the first of two passes; 0 is a fixed part of the last.
    multiple : int
        What both sides are multiples of.
    square : bool
        Whether every photo is resized to `size` × `size`.
    fixed : (height, width), optional
        The only size that the network takes.
    """

    size: int
    min_size: int
    multiple: int = 32
    square: bool = False
    fixed: tuple[int, int] | None = None
    first_pass_size: int = 0

    @property
    def is_free(self) -> bool:
        """Whether the network takes inputs of any size and shape."""
        return not (self.square or self.fixed)

    def input_size(self, height: int, width: int, scale: float = 1.0) -> tuple[int, int]:
        """Give the (height, width) of the network's input for a photo of that size.

        Parameters
        ----------
        scale : float
            Factor on the input's size, where it is free.
        """
        if self.fixed:
            return self.fixed
        if self.square:
            return self.size, self.size
        longer = max(height, width)
        scale *= min(self.size, max(self.min_size, longer)) / longer
        return resized_size(height, width, scale, self.multiple)
