"""The delivered file: its pixels, its metadata, its provenance."""

import io
import json
import logging
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pillow_heif
import pytest
import tifffile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from skimage import data

from realfill.album.layout import Album
from realfill.core.errors import ExportError, StageError
from realfill.core.hashing import digest
from realfill.core.params import load_params
from realfill.photo_io import metadata, xmp
from realfill.photo_io.decode import read_photo
from realfill.photo_io.encode import encode
from realfill.photo_io.metadata import Metadata
from realfill.photo_io.photo import Photo
from realfill.stages import export
from support.finished_album import finish

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SOURCE_TYPE = b"http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
POSITION = struct.pack("<6I", 48, 1, 8, 1, 14, 1)
SECRET = b"maker's note, at an offset that counts from the block's beginning"
COFFEE = cv2.resize(data.coffee(), (240, 160), interpolation=cv2.INTER_AREA)
DEEP = (COFFEE.astype(np.uint16) * 257) ^ 5
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
KEYWORD = b"\x1c\x02\x19\x00\x06coffee"


@dataclass(frozen=True)
class Tag:
    number: int
    kind: int
    count: int
    value: bytes


def short(number: int, value: int) -> Tag:
    return Tag(number, 3, 1, struct.pack("<HH", value, 0))


def long(number: int, value: int) -> Tag:
    return Tag(number, 4, 1, struct.pack("<I", value))


def directory(start: int, tags: list[Tag], following: int = 0) -> bytes:
    table, values = struct.pack("<H", len(tags)), b""
    for tag in sorted(tags, key=lambda tag: tag.number):
        inline = tag.value
        if len(tag.value) > 4:
            inline = struct.pack("<I", start + 6 + 12 * len(tags) + len(values))
            values += tag.value
        table += struct.pack("<HHI", tag.number, tag.kind, tag.count) + inline.ljust(4, b"\0")
    return table + struct.pack("<I", following) + values


def camera_block(thumbnail: bytes = b"") -> bytes:
    """What a camera writes: orientation 6, a position, a maker note, and a thumbnail."""
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


def small_jpeg(pixels: np.ndarray, side: int = 160) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    image.thumbnail((side, side))
    image.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def photo_of(pixels: np.ndarray, alpha: np.ndarray | None = None, icc: bytes | None = None) -> Photo:
    return Photo(pixels, alpha, icc, "JPEG", 1)


def finished(folder: Path, suffix: str, write: Callable[[Path], object]) -> Album:
    """An album whose target `write` writes."""
    (folder / "target").mkdir(parents=True)
    (folder / "ref").mkdir()
    Image.fromarray(COFFEE).save(folder / "ref" / "0.jpg")
    write(folder / "target" / f"target{suffix}")
    return finish(folder)


def camera_jpeg(path: Path) -> None:
    stored = np.ascontiguousarray(np.rot90(COFFEE))  # turned by 90 degrees, and the orientation tag says so
    resource = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(KEYWORD)) + KEYWORD + b"\0"
    Image.fromarray(stored).save(
        path,
        quality=95,
        icc_profile=SRGB,
        exif=b"Exif\0\0" + camera_block(small_jpeg(np.zeros_like(stored))),
        xmp=PACKET,
        extra=b"\xff\xed" + struct.pack(">H", len(resource) + 2) + resource,
    )


def block_of(path: Path) -> bytes:
    return metadata.read(path).exif or b""


KINDS: dict[str, tuple[str, Callable[[Path], object]]] = {
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


@pytest.mark.parametrize("kind", KINDS)
def test_the_targets_own_format_depth_and_profile_are_kept(kind: str, tmp_path: Path) -> None:
    suffix, write = KINDS[kind]
    album = finished(tmp_path / "album", suffix, write)
    result = export.run(album, load_params())
    delivered, blended = read_photo(result.photo), read_photo(album.work("blend") / "composite.tif")
    assert result.photo.name == f"album{suffix}"
    assert delivered.format == read_photo(album.target).format
    assert delivered.pixels.dtype == blended.pixels.dtype
    assert delivered.pixels.shape == blended.pixels.shape
    assert delivered.icc == blended.icc
    difference = np.abs(delivered.pixels.astype(float) - blended.pixels)
    if kind in ("jpeg", "jpeg-gray", "jpeg-cmyk", "webp", "heic"):
        assert difference.mean() < 2.5
    else:
        assert difference.max() == 0
        assert (delivered.alpha is None) == (blended.alpha is None)
        if delivered.alpha is not None and blended.alpha is not None:
            assert np.array_equal(delivered.alpha, blended.alpha)
    assert SOURCE_TYPE in result.photo.read_bytes()


def test_a_jpeg_is_never_subsampled(tmp_path: Path) -> None:
    result = export.run(finished(tmp_path / "album", *KINDS["jpeg"]), load_params())
    with Image.open(result.photo) as image:
        assert {(h, v) for _, h, v, _ in image.layer} == {(1, 1)}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "form", "expected"),
    [
        ("tiff-16", "jpeg", ("JPEG", 8, "rgb")),
        ("png-16-alpha", "jpeg", ("JPEG", 8, "rgb")),
        ("tiff-cmyk", "jpeg", ("JPEG", 8, "cmyk")),
        ("png-16-alpha", "tiff", ("TIFF", 16, "rgba")),
        ("jpeg-cmyk", "tiff", ("TIFF", 8, "cmyk")),
        ("tiff-16-big-endian", "png", ("PNG", 16, "rgb")),
        ("heic", "png", ("PNG", 8, "rgb")),
    ],
)
def test_another_format_keeps_what_it_can_hold(
    kind: str, form: str, expected: tuple[str, int, str], tmp_path: Path
) -> None:
    album = finished(tmp_path / "album", *KINDS[kind])
    delivered = read_photo(export.run(album, load_params(assignments=[f"export.format={form}"])).photo)
    blended = read_photo(album.work("blend") / "composite.tif")
    assert (delivered.format, delivered.bits, delivered.mode) == expected
    levels = (
        delivered.pixels / np.iinfo(delivered.pixels.dtype).max - blended.pixels / np.iinfo(blended.pixels.dtype).max
    )
    assert np.abs(levels).mean() < 2.5 / 255


def test_a_format_that_cannot_hold_the_photo_is_refused_and_nothing_is_delivered(tmp_path: Path) -> None:
    album = finished(tmp_path / "album", *KINDS["jpeg-cmyk"])
    with pytest.raises(ExportError, match=r"target\.jpg: PNG cannot hold CMYK"):
        export.run(album, load_params(assignments=["export.format=png"]))
    assert not album.completed.exists()


def test_heic_without_an_encoder_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pillow_heif, "libheif_info", lambda: {"HEIF": ""})
    with pytest.raises(ExportError, match=r"export\.format"):
        encode(photo_of(COFFEE), "HEIF", Metadata(), 96)


@pytest.mark.parametrize("form", ["same", "tiff", "png"])
def test_a_turned_photo_is_delivered_upright_with_its_metadata(form: str, tmp_path: Path) -> None:
    album = finished(tmp_path / "album", ".jpg", camera_jpeg)
    result = export.run(album, load_params(assignments=[f"export.format={form}"]))
    with Image.open(result.photo) as image:
        tags = image.getexif()
        assert image.size == (240, 160)
        assert tags[0x0112] == 1
        assert tags[0x010F] == "Canon"
        assert tags.get_ifd(0x8769)[0x829A] == 1 / 250
        assert (tags.get_ifd(0x8769)[0xA002], tags.get_ifd(0x8769)[0xA003]) == (240, 160)
        assert tags.get_ifd(0x8825)[2] == (48, 8, 14)
        corner = np.asarray(image.convert("RGB"))[:40, :40].astype(int)
    assert np.abs(corner - COFFEE[:40, :40]).mean() < 6


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_maker_notes_stay_where_their_offsets_point(suffix: str, tmp_path: Path) -> None:
    album = finished(tmp_path / "album", ".jpg", camera_jpeg)
    form = "same" if suffix == ".jpg" else "tiff"
    delivered = export.run(album, load_params(assignments=[f"export.format={form}"])).photo
    block = delivered.read_bytes() if suffix == ".tif" else block_of(delivered)
    with Image.open(delivered) as image:
        note = image.getexif().get_ifd(0x8769)[0x927C]
    (place,) = struct.unpack("<I", note[4:])
    assert block[place : place + len(SECRET)] == SECRET


def test_the_thumbnail_shows_the_finished_photo(tmp_path: Path) -> None:
    album = finished(tmp_path / "album", ".jpg", camera_jpeg)
    block = block_of(export.run(album, load_params()).photo)
    second = struct.unpack_from("<I", block, 8 + 2 + 12 * 5)[0]
    _, start, size = (struct.unpack_from("<I", block, second + 2 + 12 * i + 8)[0] for i in range(3))
    with Image.open(io.BytesIO(block[start : start + size])) as thumbnail:
        assert thumbnail.size == (160, 107)
        shown = np.asarray(thumbnail.resize((24, 16))).astype(int)
    expected = np.asarray(Image.open(io.BytesIO(small_jpeg(COFFEE))).resize((24, 16))).astype(int)
    assert np.median(np.abs(shown - expected)) < 8


def test_a_thumbnail_that_would_not_fit_is_dropped() -> None:
    block = camera_block(small_jpeg(COFFEE)) + bytes(64_000)
    updated = metadata.update_for_export(
        Metadata(exif=block), width=240, height=160, thumbnail=bytes(9_000), keep_gps=True, path=Path("photo")
    )
    assert updated.exif is not None
    assert struct.unpack_from("<I", updated.exif, 8 + 2 + 12 * 5)[0] == 0
    assert len(updated.exif) == len(block)


@pytest.mark.parametrize("form", ["same", "tiff", "png"])
def test_a_position_is_kept_or_leaves_no_trace(form: str, tmp_path: Path) -> None:
    album = finished(tmp_path / "album", ".jpg", camera_jpeg)
    kept = export.run(album, load_params(assignments=[f"export.format={form}"])).photo.read_bytes()
    assert POSITION in kept
    assert b"48,8.2N" in kept
    result = export.run(album, load_params(assignments=[f"export.format={form}", "export.gps=strip"]))
    for path in sorted(album.completed.rglob("*")):
        if path.is_file():
            assert POSITION not in path.read_bytes()
            assert b"48,8.2N" not in path.read_bytes()
    with Image.open(result.photo) as image:
        assert not image.getexif().get_ifd(0x8825)
        assert image.getexif()[0x010F] == "Canon"


def test_xmp_and_iptc_are_kept_and_brought_up_to_date(tmp_path: Path) -> None:
    album = finished(tmp_path / "album", ".jpg", camera_jpeg)
    for form in ("same", "tiff"):
        about = metadata.read(export.run(album, load_params(assignments=[f"export.format={form}"])).photo)
        packet = (about.xmp or b"").decode()
        assert 'xmp:Rating="4"' in packet
        assert 'my:note="kept"' in packet
        assert "Ann &amp; Bob" in packet
        assert 'tiff:Orientation="1"' in packet
        assert "stale" not in packet
        assert about.iptc == KEYWORD


def test_exporting_an_exported_photo_again_says_once_that_it_is_generated() -> None:
    once = xmp.update_for_export(PACKET, None, 240, 160, keep_gps=True)
    assert xmp.update_for_export(once, None, 240, 160, keep_gps=True).count(SOURCE_TYPE) == 1


@pytest.mark.parametrize("as_attribute", [False, True])
def test_xmp_longer_than_a_jpeg_segment_is_kept_whole(as_attribute: bool, tmp_path: Path) -> None:
    history = "edited; " * 12_000
    packet = PACKET.replace(b'my:note="kept"', f'my:note="{history}"'.encode())
    if not as_attribute:
        packet = PACKET.replace(b"<dc:creator>", f"<my:note>{history}</my:note><dc:creator>".encode())
        packet = packet.replace(b' my:note="kept"', b"")
    about = Metadata(xmp=xmp.update_for_export(packet, None, 240, 160, keep_gps=True))
    path = tmp_path / "photo.jpg"
    path.write_bytes(encode(photo_of(COFFEE), "JPEG", about, 96))
    with Image.open(path) as image:
        assert SOURCE_TYPE in image.info["xmp"]
        assert b"Ann &amp; Bob" in image.info["xmp"]
    again = metadata.read(path)
    merged = xmp.update_for_export(again.xmp, again.xmp_extension, 240, 160, keep_gps=True)
    assert history.encode() in merged
    assert b"HasExtendedXMP" not in merged


@pytest.mark.parametrize(
    "packet",
    [
        b"not XML at all",
        b"<a/>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + PACKET[PACKET.index(b"<x:") :],
        b"<a>" * 20_000 + b"</a>" * 20_000,
        PACKET[:300],
        PACKET.replace(b"Ann", b"\xff\xfe"),
    ],
    ids=["text", "no rdf", "entities", "deep", "cut", "not utf-8"],
)
def test_broken_xmp_is_left_out_with_a_warning(packet: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        about = metadata.update_for_export(
            Metadata(exif=camera_block(), xmp=packet),
            width=9,
            height=9,
            thumbnail=b"",
            keep_gps=True,
            path=Path("a.jpg"),
        )
    assert "a.jpg: The XMP is damaged and was left out" in caplog.text
    assert about.xmp is not None
    assert SOURCE_TYPE in about.xmp
    assert about.exif is not None


WHOLE = camera_block(small_jpeg(COFFEE, 40))


@example([(4, 0)], 0)
@example([(8 + 2 + 12 * 3 + 8, 8)], 0)
@given(
    st.lists(
        st.tuples(st.integers(0, 660), st.one_of(st.integers(0, 255), st.sampled_from([0, 8, 255]))), max_size=12
    ),
    st.integers(0, 700),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_exif_never_stops_the_export(changes: list[tuple[int, int]], cut: int) -> None:
    block = bytearray(WHOLE)
    for place, value in changes:
        block[place] = value
    block = block[: len(block) - cut]
    pixels = COFFEE[:16, :24]
    for keep_gps in (True, False):
        about = metadata.update_for_export(
            Metadata(exif=bytes(block)), width=24, height=16, thumbnail=b"abc", keep_gps=keep_gps, path=Path("photo")
        )
        for form in ("JPEG", "TIFF", "PNG"):
            with Image.open(io.BytesIO(encode(photo_of(pixels), form, about, 96))) as image:
                assert image.size == (24, 16)
                assert form == "JPEG" or np.array_equal(np.asarray(image), pixels)


def test_metadata_of_a_tiff_survives_a_round_of_formats(tmp_path: Path) -> None:
    path = tmp_path / "photo.tif"
    about = Metadata(exif=camera_block(), xmp=PACKET, iptc=KEYWORD)
    path.write_bytes(encode(photo_of(DEEP, icc=SRGB), "TIFF", about, 96))
    again = metadata.read(path)
    assert (again.xmp, again.iptc) == (PACKET, KEYWORD)
    with Image.open(io.BytesIO(encode(photo_of(COFFEE), "JPEG", again, 96))) as image:
        tags = image.getexif()
        assert tags[0x010F] == "Canon"
        assert tags.get_ifd(0x8769)[0x829A] == 1 / 250
        assert tags.get_ifd(0x8825)[2] == (48, 8, 14)


def test_the_same_inputs_give_the_same_bytes_wherever_they_lie(tmp_path: Path) -> None:
    first = finished(tmp_path / "here" / "album", ".jpg", camera_jpeg)
    second = finished(tmp_path / "there" / "album", ".jpg", camera_jpeg)
    export.run(first, load_params())
    export.run(second, load_params())
    assert digest(first.completed) == digest(second.completed)


def test_provenance_names_what_the_photo_was_made_from(tmp_path: Path) -> None:
    album = finished(tmp_path / "album", ".jpg", camera_jpeg)
    result = export.run(album, load_params(assignments=["base.model=/models/pocket"]))
    told = json.loads(result.provenance.read_text())
    assert told["digest"] == digest(result.photo)
    assert {row["file"]: row["digest"] for row in told["inputs"]} == {
        "target/target.jpg": digest(album.target),
        "ref/0.jpg": digest(album.references[0]),
    }
    assert (told["candidate"], told["seed"], told["base_model"]["name"]) == (1, 0, "pocket")
    assert [row["candidate"] for row in told["ranking"]] == [1, 0, 2]
    assert set(told["versions"]) >= {"realfill", "torch", "diffusers", "transformers", "peft", "kornia", "python"}
    assert told["params"]["export"]["quality"] == 96
    text = result.provenance.read_text()
    assert str(tmp_path) not in text
    assert "/models" not in text


def test_a_second_export_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    album = finished(tmp_path / "album", *KINDS["jpeg"])
    export.run(album, load_params())
    export.run(album, load_params(assignments=["export.format=png"]))
    assert sorted(path.name for path in album.completed.iterdir()) == [
        "album.json",
        "album.png",
        "authenticity.png",
        "page",
    ]


def test_an_album_that_was_not_blended_is_told_so(tmp_path: Path) -> None:
    album = finished(tmp_path / "album", *KINDS["jpeg"])
    (album.work("blend") / "blend.json").unlink()
    with pytest.raises(StageError, match="realfill blend"):
        export.run(album, load_params())
