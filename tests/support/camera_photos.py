"""Photos as cameras and editors write them: EXIF with a maker note, a position and a thumbnail; XMP and IPTC."""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageCms
from skimage import data

from realfill.imaging.ops import Pixels
from realfill.photo_io import metadata
from realfill.photo_io.photo import Photo

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ADOBE_RGB = imagecodecs.cms_profile("adobergb")
SOURCE_TYPE = b"http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
COFFEE = cv2.resize(data.coffee(), (240, 160), interpolation=cv2.INTER_AREA)
DEEP = (COFFEE.astype(np.uint16) * 257) ^ 5
POSITION = struct.pack("<6I", 48, 1, 8, 1, 14, 1)
SECRET = b"maker's note, at an offset that counts from the block's beginning"
KEYWORD = b"\x1c\x02\x19\x00\x06coffee"
PACKET = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description r:about="" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
    b'xmlns:my="urn:unknown" xmp:Rating="4" tiff:Orientation="6" exif:GPSLatitude="48,8.2N" my:note="kept">'
    b"<dc:creator><r:Seq><r:li>Ann &amp; Bob</r:li></r:Seq></dc:creator><exif:GPSLongitude>11,34E</exif:GPSLongitude>"
    b"<exif:PixelXDimension>240</exif:PixelXDimension><xmp:Thumbnails>stale</xmp:Thumbnails>"
    b'</r:Description></r:RDF></x:xmpmeta><?xpacket end="w"?>'
)


@dataclass(frozen=True)
class Tag:
    """A tag of a TIFF directory: number, data type, count and the bytes of its values."""

    number: int
    data_type: int
    count: int
    value: bytes


def short(number: int, value: int) -> Tag:
    return Tag(number, 3, 1, struct.pack("<HH", value, 0))


def long(number: int, value: int) -> Tag:
    return Tag(number, 4, 1, struct.pack("<I", value))


def directory(start: int, tags: list[Tag], following: int = 0) -> bytes:
    """A little-endian TIFF directory at an offset, its values behind it."""
    table, values = struct.pack("<H", len(tags)), b""
    for tag in sorted(tags, key=lambda tag: tag.number):
        inline = tag.value
        if len(tag.value) > 4:
            inline = struct.pack("<I", start + 6 + 12 * len(tags) + len(values))
            values += tag.value
        table += struct.pack("<HHI", tag.number, tag.data_type, tag.count) + inline.ljust(4, b"\0")
    return table + struct.pack("<I", following) + values


def camera_block(thumbnail: bytes = b"") -> bytes:
    """The EXIF block of a camera: orientation 6, a position, a maker note, and a thumbnail."""
    places = {"exif": 200, "gps": 400, "second": 600, "secret": 700, "thumbnail": 800}
    parts = {
        8: directory(
            8,
            [
                Tag(0x010F, 2, 6, b"Canon\0"),
                Tag(0x0132, 2, 20, b"2020:01:02 03:04:05\0"),
                short(0x0112, 6),
                long(0x8769, places["exif"]),
                long(0x8825, places["gps"]),
            ],
            places["second"] if thumbnail else 0,
        ),
        places["exif"]: directory(
            places["exif"],
            [
                Tag(0x829A, 5, 1, struct.pack("<II", 1, 250)),
                short(0xA002, 240),
                short(0xA003, 160),
                Tag(0x927C, 7, 8, b"NOTE" + struct.pack("<I", places["secret"])),
            ],
        ),
        places["gps"]: directory(places["gps"], [Tag(1, 2, 2, b"N\0"), Tag(2, 5, 3, POSITION)]),
        places["secret"]: SECRET,
    }
    if thumbnail:
        second = [short(0x0103, 6), long(0x0201, places["thumbnail"]), long(0x0202, len(thumbnail))]
        parts[places["second"]] = directory(places["second"], second)
        parts[places["thumbnail"]] = thumbnail
    block = bytearray(max(at + len(part) for at, part in parts.items()))
    block[:8] = b"II*\0" + struct.pack("<I", 8)
    for at, part in parts.items():
        block[at : at + len(part)] = part
    return bytes(block)


def second_directory(block: bytes) -> int:
    """Offset of the second directory of a camera's block, which has the thumbnail; 0 if it is not linked."""
    return int(struct.unpack_from("<I", block, 8 + 2 + 12 * 5)[0])


def small_jpeg(pixels: np.ndarray, side: int = 160) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    image.thumbnail((side, side))
    image.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def make_photo(pixels: np.ndarray, alpha: np.ndarray | None = None, icc: bytes | None = None) -> Photo:
    return Photo(np.ascontiguousarray(pixels), alpha, icc, "JPEG", 1)


def save_image(path: Path, pixels: np.ndarray, mode: str | None = None, **options: object) -> Path:
    """Write pixels with Pillow, converted to one of its modes."""
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)  # type: ignore[arg-type]
    return path


def write_camera_jpeg(path: Path) -> None:
    """A photo taken with the camera on its side: stored turned by 90 degrees, with all kinds of metadata."""
    stored = np.ascontiguousarray(np.rot90(COFFEE))
    resource = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(KEYWORD)) + KEYWORD + b"\0"
    Image.fromarray(stored).save(
        path,
        quality=95,
        icc_profile=SRGB,
        exif=b"Exif\0\0" + camera_block(small_jpeg(np.zeros_like(stored))),
        xmp=PACKET,
        extra=b"\xff\xed" + struct.pack(">H", len(resource) + 2) + resource,
    )


def read_exif_block(path: Path) -> bytes:
    return metadata.read(path).exif or b""


PHOTO_KINDS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "jpeg": (".jpg", lambda path: Image.fromarray(COFFEE).save(path, quality=95, icc_profile=SRGB)),
    "jpeg-gray": (".jpg", lambda path: Image.fromarray(COFFEE[..., 1]).save(path, quality=95)),
    "jpeg-cmyk": (".jpg", lambda path: Image.fromarray(COFFEE).convert("CMYK").save(path, quality=95)),
    "png": (".png", lambda path: Image.fromarray(COFFEE).save(path, icc_profile=SRGB)),
    "png-palette": (".png", lambda path: Image.fromarray(COFFEE).quantize(32).save(path)),
    "png-16-alpha": (
        ".png",
        lambda path: path.write_bytes(
            imagecodecs.png_encode(np.dstack([DEEP, np.full((160, 240), 30_000, np.uint16)]))
        ),
    ),
    "tiff-16": (".tif", lambda path: tifffile.imwrite(path, DEEP, photometric="rgb", iccprofile=SRGB)),
    "tiff-16-big-endian": (".tif", lambda path: tifffile.imwrite(path, DEEP, photometric="rgb", byteorder=">")),
    "tiff-cmyk": (".tif", lambda path: Image.fromarray(COFFEE).convert("CMYK").save(path)),
    "webp-lossless": (".webp", lambda path: Image.fromarray(COFFEE).save(path, lossless=True, icc_profile=SRGB)),
    "webp": (".webp", lambda path: Image.fromarray(COFFEE).save(path, quality=90)),
    "heic": (".heic", lambda path: Image.fromarray(COFFEE).save(path, quality=90, icc_profile=SRGB)),
}
"""Suffix and writer of photos of every kind, all of them `COFFEE`."""


def save_raw(path: Path, picture: Pixels) -> Path:
    """Write a picture [H, W, 3] uint8 sRGB as a DNG with Bayer's pattern, from a camera whose colors are sRGB's."""
    encoded = picture / 255.0
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    sensor = np.rint(linear[..., 1] * 60_000)
    sensor[::2, ::2] = np.rint(linear[::2, ::2, 0] * 60_000)
    sensor[1::2, 1::2] = np.rint(linear[1::2, 1::2, 2] * 60_000)
    xyz_to_camera = (32406, -15372, -4986, -9689, 18758, 415, 557, -2040, 10570)  # of sRGB, by 10,000
    tags = [
        (271, "s", 0, "Maker", True),
        (272, "s", 0, "Model", True),
        (33421, "H", 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, "B", 4, (0, 1, 1, 2), True),  # CFAPattern: red, green, green, blue
        (50706, "B", 4, (1, 4, 0, 0), True),  # DNGVersion
        (50707, "B", 4, (1, 1, 0, 0), True),  # DNGBackwardVersion
        (50708, "s", 0, "Maker Model", True),  # UniqueCameraModel
        (50717, "H", 1, 60_000, True),  # WhiteLevel
        (50721, "2i", 9, tuple(n for value in xyz_to_camera for n in (value, 10_000)), True),  # ColorMatrix1
        (50728, "2I", 3, (1, 1) * 3, True),  # AsShotNeutral
        (50778, "H", 1, 21, True),  # CalibrationIlluminant1: D65
    ]
    tifffile.imwrite(path, sensor.astype(np.uint16), photometric=32803, extratags=tags, metadata=None)
    return path
