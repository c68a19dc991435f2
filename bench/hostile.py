"""Hostile files for `fuzz.py`: photos of every kind that is read, damaged at random."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pillow_heif
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from skimage import data

PHOTO = np.ascontiguousarray(data.astronaut()[:192, :256])
DEEP = PHOTO.astype(np.uint16) * 257
_ORIENTATION = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<r:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></r:RDF></x:xmpmeta>'
)
_SECTOR = 512  # bytes


def write_hostile(folder: Path, count: int, seed: int) -> None:
    """Write `count` damaged photos; the same seed gives the same files."""
    kinds = dict(_photos())
    rng = random.Random(seed)
    for number in range(count):
        name = rng.choice(sorted(kinds))
        damage = rng.choice(_DAMAGES)
        stem, _, suffix = name.partition(".")
        path = folder / f"{number:04d}_{stem}_{damage.__name__.strip('_')}.{suffix}"
        path.write_bytes(damage(kinds[name], rng))


def _photos() -> Iterator[tuple[str, bytes]]:
    encoded: dict[str, dict[str, object]] = {
        "baseline.jfif": {},
        "progressive.jpe": {"progressive": True},
        "restarts.jpg": {"restart_marker_rows": 1},
        "xmp.jpg": {"xmp": _ORIENTATION.encode()},
        "plain.avif": {},
        "plain.webp": {"xmp": _ORIENTATION.encode()},
    }
    for name, options in encoded.items():
        yield name, _save(PHOTO, Image.registered_extensions()[f".{name.partition('.')[2]}"], **options)
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", _ORIENTATION, zip=True)
    text.add_text("Comment", "x" * (24 << 20), zip=True)
    yield "texts.png", _save(PHOTO, "PNG", pnginfo=text, icc_profile=bytes(24 << 20))
    yield "bomb.png", _bomb()
    yield "deep.avif", bytes(imagecodecs.avif_encode(DEEP >> 6, bitspersample=10, primaries=9, transfer=16))
    heic = io.BytesIO()
    image = pillow_heif.from_bytes("RGB;16", (PHOTO.shape[1], PHOTO.shape[0]), DEEP.tobytes())
    image.save(heic, bit_depth=10, color_primaries=9, transfer_characteristics=18)
    yield "hlg.HIF", heic.getvalue()
    for number, dtype in enumerate((np.float16, np.float32, np.float64, np.uint32)):
        scale = np.iinfo(np.uint32).max if dtype == np.uint32 else 1
        yield f"samples{number}.tif", _tiff([(PHOTO / 255 * scale).astype(dtype)])
    yield "packed.tif", _tiff([DEEP >> 4], bitspersample=12)
    yield "pages.tif", _tiff([PHOTO[::8, ::8], PHOTO, PHOTO], subfiletype=1, compression="zlib")
    yield "inner.tif", _tiff([PHOTO[::8, ::8], PHOTO], subifds=1)
    yield "raw.dng", _raw()


def _save(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def _tiff(pages: list[np.ndarray], **first: object) -> bytes:
    """A TIFF; `first` are the options of the first page."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tiff:
        for number, page in enumerate(pages):
            tiff.write(page, photometric="rgb", metadata=None, **({} if number else first))
    return file.getvalue()


def _raw() -> bytes:
    """A DNG that LibRaw opens."""
    tags = [
        (271, "s", 0, "Maker", True),
        (272, "s", 0, "Model", True),
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, (0, 1, 1, 2), True),
        (50706, "B", 4, (1, 4, 0, 0), True),
        (50708, "s", 0, "Maker Model", True),
        (50721, "2i", 9, (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1), True),
    ]
    file = io.BytesIO()
    tifffile.imwrite(file, DEEP[..., 1], photometric=32803, extratags=tags, metadata=None)
    return file.getvalue()


def _bomb() -> bytes:
    """A PNG whose text decompresses to 1 GiB."""
    compressor = zlib.compressobj(9)
    packed = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(1 << 10)) + compressor.flush()
    payload = b"Comment\0\0" + packed
    chunk = struct.pack(">I", len(payload)) + b"zTXt" + payload + struct.pack(">I", zlib.crc32(b"zTXt" + payload))
    png = _save(PHOTO, "PNG")
    return png[:33] + chunk + png[33:]


def _intact(file: bytes, rng: random.Random) -> bytes:
    return file


def _cut(file: bytes, rng: random.Random) -> bytes:
    return file[: rng.randrange(len(file))]


def _flipped(file: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(file)
    for _ in range(rng.randrange(1, 20)):
        damaged[rng.randrange(len(file))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _header(file: bytes, rng: random.Random) -> bytes:
    """Numbers at the beginning, where sizes and offsets are, become extreme."""
    damaged = bytearray(file)
    for _ in range(rng.randrange(1, 4)):
        place = rng.randrange(min(len(file), 1024))
        damaged[place : place + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\1\0\0"))
    return bytes(damaged[: len(file)])


def _sectors(file: bytes, rng: random.Random) -> bytes:
    """Sectors are zeros, as card recovery leaves them, or of another file."""
    damaged = bytearray(file)
    size = _SECTOR * rng.randrange(1, 9)
    place = rng.randrange(len(file))
    damaged[place : place + size] = rng.choice((bytes(size), rng.randbytes(size)))
    return bytes(damaged[: len(file)])


_DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (_intact, _cut, _flipped, _header, _sectors)
