import pytest

from realfill.photo_io import xmp
from realfill.photo_io.xmp_xml import BrokenXmpError
from support.camera_photos import PACKET, SOURCE_TYPE


def updated(packet: bytes | None = PACKET, *, keep_gps: bool = True) -> str:
    return xmp.update_for_export(packet, None, 640, 480, keep_gps=keep_gps).decode()


def test_a_packet_is_brought_up_to_date_and_else_stays_as_it_is() -> None:
    packet = updated()
    assert 'tiff:Orientation="1"' in packet
    assert "<exif:PixelXDimension>640</exif:PixelXDimension>" in packet
    assert "stale" not in packet
    assert 'xmp:Rating="4"' in packet
    assert 'my:note="kept"' in packet
    assert "Ann &amp; Bob" in packet


def test_a_photo_without_a_packet_gets_one() -> None:
    packet = updated(None)
    assert SOURCE_TYPE.decode() in packet
    assert packet == xmp.minimal_packet().decode()


def test_exporting_an_exported_photo_again_says_once_that_it_is_generated() -> None:
    once = xmp.update_for_export(PACKET, None, 240, 160, keep_gps=True)
    assert xmp.update_for_export(once, None, 240, 160, keep_gps=True).count(SOURCE_TYPE) == 1


def test_the_authenticity_replaces_an_earlier_one() -> None:
    shares = {"score": 0.5, "reference_pixel": 0.25, "confirmed": 0.1, "generated_only": 0.65}
    packet: bytes | None = None
    for value in (0.1, 0.7):
        told = shares | {"score": value}
        packet = xmp.update_for_export(packet, None, 9, 9, keep_gps=True, authenticity=told)
    assert packet is not None
    assert packet.count(b"realfill:Score") == 2, "an opening and a closing tag"
    assert b">0.7000<" in packet
    assert b">0.6500<" in packet


def test_a_photo_composite_says_so_unless_a_part_of_it_was_generated_before() -> None:
    photographed = xmp.source_type_of_photographed(PACKET, None)
    assert photographed == "http://cv.iptc.org/newscodes/digitalsourcetype/compositeCapture"
    packet = xmp.update_for_export(PACKET, None, 9, 9, keep_gps=True, source_type=photographed)
    assert xmp.read_source_type(packet) == photographed
    assert xmp.source_type_of_photographed(packet) == photographed
    generated = xmp.update_for_export(PACKET, None, 9, 9, keep_gps=True)
    assert xmp.source_type_of_photographed(generated) == SOURCE_TYPE.decode()
    assert xmp.source_type_of_photographed(None, b"no XMP", generated) == SOURCE_TYPE.decode()
    assert xmp.read_source_type(xmp.minimal_packet(photographed)) == photographed


@pytest.mark.parametrize("keep_gps", [True, False])
def test_a_position_is_kept_or_removed_in_either_form(keep_gps: bool) -> None:
    packet = updated(keep_gps=keep_gps)
    assert ("48,8.2N" in packet) == keep_gps
    assert ("11,34E" in packet) == keep_gps


def test_a_short_packet_is_not_split() -> None:
    assert xmp.split_for_jpeg(PACKET) == (PACKET, None, "")


@pytest.mark.parametrize("as_attribute", [False, True])
def test_a_long_packet_is_split_and_merged_again(as_attribute: bool) -> None:
    history = "edited; " * 12_000
    packet = PACKET.replace(b'my:note="kept"', f'my:note="{history}"'.encode())
    if not as_attribute:
        packet = PACKET.replace(b"<dc:creator>", f"<my:note>{history}</my:note><dc:creator>".encode())
    standard, extension, identifier = xmp.split_for_jpeg(packet)
    assert len(standard) <= xmp.JPEG_LIMIT
    assert b"Ann &amp; Bob" in standard
    assert xmp.extension_identifier(standard) == identifier
    assert extension is not None
    assert history.encode() in extension
    merged = xmp.update_for_export(standard, extension, 240, 160, keep_gps=True)
    assert history.encode() in merged
    assert xmp.extension_identifier(merged) == ""


def test_a_packet_that_stays_too_long_is_an_error() -> None:
    about = b"x" * xmp.JPEG_LIMIT
    with pytest.raises(BrokenXmpError, match="do not fit"):
        xmp.split_for_jpeg(PACKET.replace(b'r:about=""', b'r:about="' + about + b'"'))
