"""OpenEXR files that claim more pixels than they can hold are refused before there is room."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest

from mattecli.core.errors import MatteError
from mattecli.core.imaging import exr
from mattecli.core.imaging.exr_header import read_header
from mattecli.core.imaging.reading import read_picture

openexr = pytest.importorskip("OpenEXR")

COMPRESSIONS = ["NO", "RLE", "ZIPS", "ZIP", "PIZ", "PXR24", "B44", "B44A", "DWAA", "DWAB"]


def write(path, compression, kind=np.float16, *, side=1024, tiled=False):
    """A black picture, which is the smallest there is."""
    header = {
        "compression": getattr(openexr, f"{compression}_COMPRESSION"),
        "type": openexr.tiledimage if tiled else openexr.scanlineimage,
    }
    if tiled:
        header["tiles"] = openexr.TileDescription()
    plane = np.zeros((side, side), kind)
    with openexr.File(header, {"R": plane, "G": plane, "B": plane, "A": plane}) as file:
        file.write(str(path))
    return path


@pytest.mark.parametrize("kind", [np.float16, np.float32])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_whole_files_are_read_however_well_they_are_packed(tmp_path, compression, kind):
    for tiled in (False, True):
        path = write(tmp_path / "a.exr", compression, kind, tiled=tiled)
        with path.open("rb") as file:
            least = read_header(file).least_bytes
        assert 0 < least < path.stat().st_size
        picture = read_picture(path)
        assert picture.color.shape == (1024, 1024, 3) and not picture.color.any()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_tiny_file_of_190_megapixels_is_refused_before_there_is_room(
    tmp_path, monkeypatch, compression
):
    data = write(tmp_path / "a.exr", compression, side=8).read_bytes()
    for name in (b"dataWindow", b"displayWindow"):
        place = data.index(name) + len(name) + len(b"\0box2i\0") + 4
        data = data[:place] + struct.pack("<4i", 0, 0, 13783, 13783) + data[place + 16 :]
    monkeypatch.setattr(
        openexr, "InputFile", lambda *_: pytest.fail("the library makes room for it")
    )
    with pytest.raises(MatteError, match=r"a\.exr: the picture is damaged or cut off"):
        exr.read_exr(io.BytesIO(data), tmp_path / "a.exr")
