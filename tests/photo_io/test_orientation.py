from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import to_srgb
from realfill.photo_io.decode import read_photo
from realfill.photo_io.orientation import unapplied_orientation

ATTRIBUTE = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<r:Description r:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></r:RDF></x:xmpmeta>'
)
ELEMENT = ATTRIBUTE.replace(b' tiff:Orientation="6"/>', b"><tiff:Orientation>6</tiff:Orientation></r:Description>")
UPRIGHT = ATTRIBUTE.replace(b'"6"', b'"1"')


def save(path: Path, picture: Pixels, packet: bytes, orientation: int | None) -> Path:
    """Write a photo without loss, but for JPEG; the bilevel TIFF is decoded by another library than the other one."""
    exif = Image.Exif()
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    if path.name == "a.tif":
        told = [] if orientation is None else [(274, "H", 1, orientation, True)]
        tags = [*told, (700, "B", len(packet), packet, True)]
        tifffile.imwrite(path, picture, photometric="rgb", extratags=tags, metadata=None)
    elif path.name == "b.tif":
        exif[ExifTags.Base.XMLPacket] = packet
        Image.fromarray(picture).convert("1").save(path, compression="group4", exif=exif)
    elif path.suffix == ".png":
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", packet.decode())
        Image.fromarray(picture).save(path, exif=exif, pnginfo=text)
    else:
        Image.fromarray(picture).save(path, lossless=True, quality=95, xmp=packet, exif=exif)
    return path


@pytest.mark.parametrize(
    "packet",
    [
        ATTRIBUTE,
        ELEMENT,
        ATTRIBUTE.replace(b'"6"', b"'6'"),
        ATTRIBUTE.replace(b"tiff:", b"ns1:").replace(b":tiff", b":ns1"),
        ATTRIBUTE.decode().encode("utf-16"),
    ],
    ids=["attribute", "element", "quotes", "prefix", "UTF-16"],
)
def test_xmp_that_asks_for_turning_is_told(packet: bytes) -> None:
    assert "(6)" in unapplied_orientation(packet)
    assert unapplied_orientation(UPRIGHT) == unapplied_orientation(None) == unapplied_orientation(b"<") == ""


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif", "b.tif"])
def test_exif_alone_turns_a_photo(tmp_path: Path, picture: Pixels, name: str) -> None:
    by_xmp = read_photo(save(tmp_path / name, picture, ATTRIBUTE, None))
    assert (by_xmp.orientation, by_xmp.pixels.shape[:2]) == (1, (120, 160))
    assert "XMP metadata alone tells an orientation (6)" in by_xmp.warning
    by_exif = read_photo(save(tmp_path / name, picture, ATTRIBUTE, 3))
    assert (by_exif.orientation, by_exif.warning) == (3, "")
    assert np.array_equal(to_srgb(by_exif), np.rot90(to_srgb(by_xmp), 2))
    upright = read_photo(save(tmp_path / name, picture, UPRIGHT, None))
    assert (upright.orientation, upright.warning) == (1, "")


def test_a_png_is_turned_by_exif_behind_the_pixels(tmp_path: Path, picture: Pixels) -> None:
    path = save(tmp_path / "a.png", picture, UPRIGHT, 6)
    data = path.read_bytes()
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4])
    tail = data.index(b"IEND") - 4
    path.write_bytes(data[:start] + data[end:tail] + data[start:end] + data[tail:])
    assert read_photo(path).orientation == 6
