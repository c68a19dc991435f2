import io
import logging
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from realfill.photo_io import metadata
from realfill.photo_io.encode import encode
from realfill.photo_io.metadata import Metadata, MetadataSettings
from realfill.photo_io.metadata_update import Delivery, update_for_export
from realfill.photo_io.photoshop_resources import write_resources
from realfill.photo_io.png_chunks import pack_chunk, pack_text
from realfill.photo_io.privacy import Privacy
from realfill.photo_io.reframing import Reframing
from realfill.photo_io.xmp import update_for_export as update_xmp
from support.camera_photos import (
    COFFEE,
    DEEP,
    KEYWORD,
    PACKET,
    PHOTO_KINDS,
    SOURCE_TYPE,
    SRGB,
    camera_block,
    make_photo,
    save_image,
    second_directory,
    small_jpeg,
    write_camera_jpeg,
)

WHOLE = camera_block(small_jpeg(COFFEE, 40))


FRAME = Reframing(24, 16)


def updated(about: Metadata, thumbnail: bytes = b"", privacy: Privacy = Privacy()) -> Metadata:
    return update_for_export(about, Delivery(FRAME, thumbnail, privacy), Path("a.jpg"))


def test_all_kinds_of_metadata_are_read(tmp_path: Path) -> None:
    write_camera_jpeg(tmp_path / "a.jpg")
    about = metadata.read(tmp_path / "a.jpg")
    assert (about.xmp, about.iptc) == (PACKET, KEYWORD)
    assert about.exif is not None and about.exif.startswith(b"II*\0")


@pytest.mark.parametrize("kind", PHOTO_KINDS)
def test_photos_without_metadata_have_none(kind: str, tmp_path: Path) -> None:
    suffix, write = PHOTO_KINDS[kind]
    write(tmp_path / f"a{suffix}")
    about = metadata.read(tmp_path / f"a{suffix}")
    assert (about.xmp, about.xmp_extension, about.iptc) == (None, None, None)


@pytest.mark.parametrize(("dpi", "read"), [((300, 200), (300, 200)), ((0, 0), None)])
def test_a_resolution_outside_of_exif_is_read(
    dpi: tuple[int, int], read: tuple[int, int] | None, tmp_path: Path
) -> None:
    assert metadata.read(save_image(tmp_path / "a.jpg", COFFEE, dpi=dpi)).dpi == read


def test_metadata_behind_the_pixels_of_a_png_is_read(tmp_path: Path) -> None:
    path = save_image(tmp_path / "a.png", COFFEE, exif=WHOLE)
    data = path.read_bytes()
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4])
    tail = len(data) - 12  # IEND
    path.write_bytes(data[:start] + data[end:tail] + data[start:end] + data[tail:])
    assert metadata.read(path).exif == WHOLE


def test_a_file_that_is_no_photo_has_no_metadata(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"no photo")
    with caplog.at_level(logging.WARNING):
        assert metadata.read(path) == Metadata()
    assert "The metadata is damaged and was left out" in caplog.text


def test_a_thumbnail_that_would_not_fit_is_dropped() -> None:
    block = camera_block(small_jpeg(COFFEE)) + bytes(64_000)
    about = updated(Metadata(exif=block), bytes(9_000))
    assert about.exif is not None
    assert second_directory(about.exif) == 0
    assert len(about.exif) == len(block)


def test_no_exif_is_added() -> None:
    assert updated(Metadata(), small_jpeg(COFFEE)).exif is None


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
        about = updated(Metadata(exif=camera_block(), xmp=packet))
    assert "a.jpg: The XMP is damaged and was left out" in caplog.text
    assert about.xmp is not None
    assert SOURCE_TYPE in about.xmp
    assert about.exif is not None


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
    for keep_position in (True, False):
        about = updated(Metadata(exif=bytes(block)), b"abc", Privacy(keep_position))
        for file_format in ("JPEG", "TIFF", "PNG"):
            with Image.open(io.BytesIO(encode(make_photo(pixels), file_format, about, 96))) as image:
                assert image.size == (24, 16)
                assert file_format == "JPEG" or np.array_equal(np.asarray(image), pixels)


def test_metadata_of_a_tiff_survives_a_round_of_formats(tmp_path: Path) -> None:
    path = tmp_path / "photo.tif"
    about = Metadata(exif=camera_block(), xmp=PACKET, iptc=KEYWORD)
    path.write_bytes(encode(make_photo(DEEP, icc=SRGB), "TIFF", about, 96))
    again = metadata.read(path)
    assert (again.xmp, again.iptc) == (PACKET, KEYWORD)
    with Image.open(io.BytesIO(encode(make_photo(COFFEE), "JPEG", again, 96))) as image:
        tags = image.getexif()
        assert tags[0x010F] == "Canon"
        assert tags.get_ifd(0x8769)[0x829A] == 1 / 250
        assert tags.get_ifd(0x8825)[2] == (48, 8, 14)


@pytest.mark.parametrize("as_attribute", [False, True])
def test_xmp_longer_than_a_jpeg_segment_is_kept_whole(as_attribute: bool, tmp_path: Path) -> None:
    history = "edited; " * 12_000
    packet = PACKET.replace(b'my:note="kept"', f'my:note="{history}"'.encode())
    if not as_attribute:
        packet = PACKET.replace(b"<dc:creator>", f"<my:note>{history}</my:note><dc:creator>".encode())
        packet = packet.replace(b' my:note="kept"', b"")
    about = Metadata(xmp=update_xmp(packet, None, FRAME))
    path = tmp_path / "photo.jpg"
    path.write_bytes(encode(make_photo(COFFEE), "JPEG", about, 96))
    with Image.open(path) as image:
        assert SOURCE_TYPE in image.info["xmp"]
        assert b"Ann &amp; Bob" in image.info["xmp"]
    again = metadata.read(path)
    merged = update_xmp(again.xmp, again.xmp_extension, FRAME)
    assert history.encode() in merged
    assert b"HasExtendedXMP" not in merged
    assert metadata.read(path, MetadataSettings(max_xmp_extension_bytes=1000)).xmp_extension is None


def png_with(folder: Path, chunks: bytes, *, behind_pixels: bool = False) -> Path:
    path = save_image(folder / "a.png", COFFEE)
    data = path.read_bytes()
    start = len(data) - 12 if behind_pixels else 33
    path.write_bytes(data[:start] + chunks + data[start:])
    return path


def raw_profile(kind: str, data: bytes) -> bytes:
    return pack_text(f"Raw profile type {kind}", f"\n{kind}\n{len(data):8}\n{data.hex()}\n")


@pytest.mark.parametrize(
    ("chunks", "part"),
    [
        (pack_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + PACKET), {"xmp": PACKET}),
        (raw_profile("xmp", PACKET), {"xmp": PACKET}),
        (raw_profile("APP1", b"http://ns.adobe.com/xap/1.0/\0" + PACKET), {"xmp": PACKET}),
        (raw_profile("APP1", b"Exif\0\0" + WHOLE), {"exif": WHOLE}),
        (raw_profile("exif", b"Exif\0\0" + WHOLE), {"exif": WHOLE}),
        (raw_profile("iptc", KEYWORD), {"iptc": KEYWORD}),
        (raw_profile("iptc", write_resources([(0x0404, KEYWORD)])), {"iptc": KEYWORD}),
        (raw_profile("8bim", write_resources([(0x0404, KEYWORD)])), {"iptc": KEYWORD}),
        (pack_text("Author", "Ann"), {"texts": (("Author", "Ann"),)}),
        (pack_chunk(b"gAMA", bytes(4)), {"colors": ((b"gAMA", bytes(4)),)}),
    ],
)
@pytest.mark.parametrize("behind_pixels", [False, True])
def test_what_a_png_holds_is_read_wherever_it_stands(
    chunks: bytes, part: dict[str, object], behind_pixels: bool, tmp_path: Path
) -> None:
    chunks = pack_text("Title", "Roof") + chunks
    about = metadata.read(png_with(tmp_path, chunks, behind_pixels=behind_pixels))
    texts = (("Title", "Roof"), *part.get("texts", ()))  # type: ignore[misc]
    assert about == Metadata(**part | {"texts": texts})  # type: ignore[arg-type]


def test_words_of_people_and_colors_arrive_in_a_png_and_in_other_formats(tmp_path: Path) -> None:
    texts = {"Title": "屋根", "Author": "Ann", "Copyright": "© Ann", "Comment": "1931", "Mine": "too"}
    chunks = pack_chunk(b"gAMA", struct.pack(">I", 45_455)) + b"".join(pack_text(*each) for each in texts.items())
    about = updated(metadata.read(png_with(tmp_path, chunks)))
    for file_format in ("PNG", "JPEG", "TIFF", "WEBP", "HEIF"):
        path = tmp_path / "delivered"
        path.write_bytes(encode(make_photo(COFFEE), file_format, about, 96))
        again = metadata.read(path)
        assert all(texts[key].encode() in (again.xmp or b"") for key in ("Title", "Author", "Copyright", "Comment"))
        if file_format == "PNG":
            assert dict(again.texts) == texts
            assert again.colors == about.colors != ()
        if file_format == "JPEG":
            assert again.texts == (("Comment", "1931"),)


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_captions_longer_than_a_segment_and_the_copyright_flag_arrive(file_format: str, tmp_path: Path) -> None:
    keywords = b"".join(b"\x1c\x02\x19\x00\x28" + b"%040d" % number for number in range(2000))
    resources = ((0x040A, b"\x01"), (0x040B, b"http://ann.example"))
    about = Metadata(iptc=keywords, resources=resources)
    path = tmp_path / "photo"
    for _ in range(2):
        path.write_bytes(encode(make_photo(COFFEE), file_format, updated(about), 96))
        about = metadata.read(path)
        assert about.iptc == keywords
        assert about.resources == resources
    merged = update_xmp(about.xmp, about.xmp_extension, FRAME)
    assert b"http://ann.example</xmpRights:WebStatement>" in merged
    assert b"%040d" % 1999 in merged


@pytest.mark.parametrize("is_big", [False, True])
def test_captions_in_a_tiff_are_read_from_photoshops_resources_and_from_bigtiff(is_big: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    resources = write_resources([(0x0404, KEYWORD), (0x040A, b"\x01")])
    tags = [
        (34377, 1, len(resources), resources, True),
        (700, 1, len(PACKET), PACKET, True),
        (315, 2, 4, "Ann", True),
    ]
    tifffile.imwrite(path, COFFEE, photometric="rgb", bigtiff=is_big, extratags=tags)
    about = metadata.read(path)
    assert (about.iptc, about.xmp, about.resources) == (KEYWORD, PACKET, ((0x040A, b"\x01"),))
    path.write_bytes(encode(make_photo(COFFEE), "TIFF", updated(about), 96))
    with Image.open(path) as image:
        assert image.getexif()[315] == "Ann"


def test_a_second_exif_block_is_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = save_image(tmp_path / "a.jpg", COFFEE, exif=b"Exif\0\0" + WHOLE)
    body = b"Exif\0\0" + camera_block()
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    data = path.read_bytes()
    start = data.index(b"Exif") + len(b"Exif\0\0" + WHOLE)
    path.write_bytes(data[:start] + segment + data[start:])
    assert metadata.read(path).exif == WHOLE
    assert "a second EXIF block, which was left out" in caplog.text


def describe(name: str) -> bytes:
    """An XMP packet with a property of its own beside others."""
    start, end = PACKET.index(b"<dc:creator>"), PACKET.index(b"</r:Description>")
    return PACKET[:start] + f"<my:{name}>{name}</my:{name}>".encode() + PACKET[end:]


@pytest.mark.parametrize("as_big", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_metadata_is_that_of_the_page_that_is_the_photo(tmp_path: Path, inside: bool, as_big: bool) -> None:
    """The first page is a thumbnail that holds captions, an orientation and a resolution of its own."""
    path = tmp_path / "a.tif"
    thumbnail_tags = [
        (274, "H", 1, 6, True),
        (270, "s", 0, "caption", True),
        (33432, "s", 0, "copyright", True),
        (33550, "d", 3, (1.0, 1.0, 0.0), True),
        (700, "B", len(describe("thumb")), describe("thumb"), True),
        (33723, "B", len(KEYWORD), KEYWORD, True),
    ]
    photo_tags = [
        (274, "H", 1, 3, True),
        (270, "s", 0, "own caption", True),
        (700, "B", len(describe("photo")), describe("photo"), True),
    ]
    with tifffile.TiffWriter(path, bigtiff=as_big) as tiff:
        tiff.write(
            COFFEE[::4, ::4], photometric="rgb", subfiletype=1, subifds=int(inside), extratags=thumbnail_tags,
            resolution=(72, 72), metadata=None, software=False,
        )  # fmt: skip
        tiff.write(COFFEE, photometric="rgb", extratags=photo_tags, metadata=None, software=False, subfiletype=0)
    about = metadata.read(path)
    tags = Image.Exif()
    tags.load(about.exif or b"")
    assert (tags[274], tags[270], tags[33432]) == (3, "own caption", "copyright")
    assert tags.get(282) != 72 and 33550 not in tags
    assert about.iptc == KEYWORD
    assert about.xmp is not None and b"my:photo" in about.xmp and b"my:thumb" in about.xmp
    assert about.xmp.count(b'xmp:Rating="4"') + about.xmp.count(b"<xmp:Rating>") == 1
