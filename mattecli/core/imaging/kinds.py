"""Which kinds of picture are read, told by what a file holds and not by its name."""

from __future__ import annotations

import struct

#: What is opened, and nothing else: other decoders of Pillow run programs (EPS starts Ghostscript),
#: or are seldom looked after.
KINDS = (
    *("JPEG", "PNG", "WebP", "TIFF", "BMP", "GIF"),
    *("AVIF", "HEIF", "JPEG XL", "JPEG 2000", "PSD", "TGA", "PPM", "OpenEXR", "OpenRaster"),
)
#: Suffixes of cameras' raw files, most of which start as a TIFF does.
RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef"}
    | {
        ".mos",
        ".mrw",
        ".nef",
        ".nrw",
        ".orf",
        ".pef",
        ".raf",
        ".rw2",
        ".rwl",
        ".sr2",
        ".srw",
        ".x3f",
    }
)
#: Suffixes by which the files of a folder are taken for pictures; files without one are looked at.
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp"}
    | {".dib", ".gif", ".avif", ".avifs", ".heic", ".heif", ".hif", ".heics", ".heifs"}
    | {".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c", ".tga", ".icb", ".vda", ".vst"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".jxl", ".psd", ".exr", ".ora"}
    | RAW_SUFFIXES
)
#: Bytes from the start of a file that `kind_of` needs.
START = 64

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"8BPS\0\x01", "PSD"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"v/1\x01", "OpenEXR"),
)
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"heif"}
# Containers of either kind: the compatible brands tell which.
_SHARED_BRANDS = {b"mif1", b"msf1", b"mif2", b"miaf"}


def kind_of(start: bytes) -> str | None:
    """Tell from the first `START` bytes of a file which of `KINDS` it is; None for all else."""
    for magic, kind in _MAGIC:
        if start.startswith(magic):
            return kind
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP"
    if start[4:8] == b"ftyp":
        return _kind_of_container(start)
    # Of this archive the first file says what it is.
    if start[:4] == b"PK\3\4" and start[30:54] == b"mimetypeimage/openraster":
        return "OpenRaster"
    # The number of a portable map ends in white space or a comment.
    if start[:1] == b"P" and start[1:2] in b"123456fF" and start[2:3] in b" \t\r\n#" and start[2:3]:
        return "PPM"
    return "TGA" if _is_targa(start) else None


def is_raw_start(start: bytes) -> bool:
    """Tell from the first `START` bytes whether a file is a raw one that starts as nothing else."""
    return (
        start.startswith(
            (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"\0MRM", b"FOVb")
        )
        or (start[:4] == b"II*\0" and start[8:10] == b"CR")
        or (start[4:12] == b"ftypcrx ")
    )


def _kind_of_container(start: bytes) -> str | None:
    (length,) = struct.unpack(">I", start[:4])
    brands = start[16 : min(length, len(start))]
    major = start[8:12]
    named = {major, *(brands[i : i + 4] for i in range(0, len(brands) - 3, 4))}
    if major in _AVIF_BRANDS:
        return "AVIF"
    if major in _HEIF_BRANDS:
        return "HEIF"
    if major not in _SHARED_BRANDS:
        return None
    return "AVIF" if named & _AVIF_BRANDS else "HEIF"


def _is_targa(start: bytes) -> bool:
    """Tell whether these bytes make sense as the header of a TGA, which has no magic number."""
    if len(start) < 18:
        return False
    has_map, kind = start[1], start[2]
    first, length, entry = struct.unpack("<HHB", start[3:8])
    width, height, depth, descriptor = struct.unpack("<HHBB", start[12:18])
    if not (width and height) or descriptor & 0xC0:
        return False
    if kind in (1, 9):
        return has_map == 1 and depth == 8 and length > 0 and entry in (15, 16, 24, 32)
    depths = {2: (15, 16, 24, 32), 10: (15, 16, 24, 32), 3: (8, 16), 11: (8, 16)}
    return depth in depths.get(kind, ()) and (has_map, first, length, entry) == (0, 0, 0, 0)
