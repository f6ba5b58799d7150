"""Colors of clips: which matrix, primaries and transfer a frame's numbers are meant in.

Codes are those of ITU-T H.273, which FFmpeg and all containers share.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mattecli.core.errors import MatteError

# Flags of swscale: bilinear, every chroma sample interpolated, no shortcuts. Its shortcuts write
# random pixels into the last columns of widths that are no multiple of 16 (FFmpeg 8), and so does
# the interpolation of chroma in 16 bits.
_BILINEAR, _FULL_CHROMA, _ACCURATE = 0x2, 0x2000, 0x40000
EXACT_8_BIT = _BILINEAR | _FULL_CHROMA | _ACCURATE
EXACT = _BILINEAR | _ACCURATE

_RGB, _BT709, _UNSPECIFIED, _RESERVED = 0, 1, 2, 3
_FCC, _BT601_625, _BT601_525, _SMPTE240M, _BT2020 = 4, 5, 6, 7, 9
_UNTOLD = frozenset({_RGB, _UNSPECIFIED, _RESERVED})
#: Matrices that swscale knows, and its own numbers for them.
_MATRICES = {
    _BT709: _BT709,
    _FCC: _FCC,
    _BT601_625: _BT601_625,
    _BT601_525: _BT601_625,
    _SMPTE240M: _SMPTE240M,
    _BT2020: _BT2020,
}
_STRANGE = {8: "YCgCo", 10: "BT.2020 of constant luminance", 14: "ICtCp"}
_WIDE = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
_HDR = {16: "PQ", 18: "HLG"}


class Colors(NamedTuple):
    """Matrix, primaries and transfer function of a frame, none of them unspecified."""

    matrix: int
    primaries: int
    transfer: int

    @property
    def scaler_matrix(self) -> int:
        """The matrix as swscale numbers it."""
        return _MATRICES[self.matrix]

    @property
    def beyond_srgb(self) -> str:
        """What of these colors sRGB does not hold, in words; empty where it holds all."""
        names = (_WIDE.get(self.primaries), _HDR.get(self.transfer))
        return ", ".join(name for name in names if name)

    def written(self) -> Colors:
        """Choose the nearest colors that every encoder here can name."""
        matrix = {_BT601_625: _BT601_525, _FCC: _BT709, _SMPTE240M: _BT709}
        return self._replace(matrix=matrix.get(self.matrix, self.matrix))


#: Of high definition, and of what has no colors, such as mattes.
STANDARD = Colors(_BT709, _BT709, _BT709)


def colors_of(frame: Any, name: object) -> Colors:
    """Tell the colors of a frame: what its tags say, else what players take it for.

    The rule for what has no tags is that of mpv: frames of at least 1280 columns or more than 576
    rows are BT.709, smaller ones have the matrix of BT.601; primaries follow the matrix, those of
    BT.601 the number of rows (576: 625 lines, 480 or 486: 525 lines, otherwise BT.709).

    Parameters
    ----------
    frame : av.VideoFrame
        As it was decoded.
    name : object
        Of the clip, for the error.

    Raises
    ------
    MatteError
        If its matrix is one that would be converted wrongly.
    """
    matrix = frame.colorspace
    high_definition = frame.width >= 1280 or frame.height > 576
    if frame.format.is_rgb or frame.format.has_palette:
        matrix = _BT709
    elif matrix in _UNTOLD:
        matrix = _BT709 if high_definition else _BT601_525
        if frame.color_primaries == _BT2020:
            matrix = _BT2020
    elif matrix not in _MATRICES:
        kind = _STRANGE.get(matrix, f"of matrix {matrix}")
        raise MatteError(f"{name} has colors {kind}, which are not supported: convert it to BT.709")
    primaries, transfer = frame.color_primaries, frame.color_trc
    if primaries in _UNTOLD:
        primaries = _BT2020 if matrix == _BT2020 else _BT709
        if matrix in (_BT601_525, _BT601_625) and not high_definition:
            by_rows = {576: _BT601_625, 480: _BT601_525, 486: _BT601_525}
            primaries = by_rows.get(frame.height, _BT709)
    return Colors(matrix, primaries, _BT709 if transfer in _UNTOLD else transfer)
