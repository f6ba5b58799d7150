"""How many pictures one file holds: frames of animations, pages, and views."""

from __future__ import annotations

from PIL import Image, TiffImagePlugin

from mattecli.core.imaging.planes import NO_PAGE

# Kinds of picture in an MPO file that show something else than the first one: panorama, stereo
# pair and several angles. Phones store previews and gain maps as other kinds.
_VIEWS = ("Multi-Frame Image",)


def frames_note(image: Image.Image) -> str:
    """Say that only the first picture of a file is used; empty where there is no other.

    Smaller copies, masks, previews and gain maps beside a photo are no pictures of their own.
    """
    try:
        count, what = _count(image)
    except Exception:  # what follows the first picture may be damaged without harm to it
        return ""
    return _note(count, what)


def pages_note(count: int) -> str:
    """Say that only the first of so many pages is used; empty if there is one."""
    return _note(count, "pages")


def _note(count: int, what: str) -> str:
    return f"only the first of {count} {what} is used" if count > 1 else ""


def _count(image: Image.Image) -> tuple[int, str]:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return _count_pages(image), "pages"
    if image.format == "MPO":
        entries = getattr(image, "mpinfo", {}).get(0xB002, [])
        kinds = [str(entry["Attribute"]["MPType"]) for entry in entries]
        return max(1, sum(kind.startswith(_VIEWS) for kind in kinds)), "views"
    count = getattr(image, "n_frames", 1)
    # The still picture that stands in for an animated PNG where it cannot be played.
    if image.info.get("default_image"):
        return count, "pictures"
    return count, "pictures" if image.format == "HEIF" else "frames"


def _count_pages(image: TiffImagePlugin.TiffImageFile) -> int:
    """Count the pages of a TIFF, and leave it at the first one."""
    count = 1
    try:
        for page in range(1, image.n_frames):
            image.seek(page)
            count += not int(image.tag_v2.get(254, 0)) & NO_PAGE
    finally:
        image.seek(0)
    return count
