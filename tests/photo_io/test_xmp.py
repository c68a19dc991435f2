import pytest

from realfill.photo_io import xmp
from realfill.photo_io.privacy import Privacy
from realfill.photo_io.reframing import Reframing
from realfill.photo_io.xmp_xml import BrokenXmpError
from support.camera_photos import PACKET, SOURCE_TYPE

FRAME = Reframing(640, 480)
TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def updated(packet: bytes | None = PACKET, privacy: Privacy = Privacy(), reframing: Reframing = FRAME) -> str:
    return xmp.update_for_export(packet, None, reframing, privacy).decode()


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
    once = xmp.update_for_export(PACKET, None, FRAME)
    assert xmp.update_for_export(once, None, FRAME).count(SOURCE_TYPE) == 1


def test_the_authenticity_replaces_an_earlier_one() -> None:
    shares = {"score": 0.5, "reference_pixel": 0.25, "confirmed": 0.1, "generated_only": 0.65}
    packet: bytes | None = None
    for value in (0.1, 0.7):
        told = shares | {"score": value}
        packet = xmp.update_for_export(packet, None, FRAME, authenticity=told)
    assert packet is not None
    assert packet.count(b"realfill:Score") == 2, "an opening and a closing tag"
    assert b">0.7000<" in packet
    assert b">0.6500<" in packet


def typed(source_type: str) -> bytes:
    return xmp.minimal_packet(TYPES + source_type)


@pytest.mark.parametrize(
    ("is_generated", "target", "reference", "chosen"),
    [
        (False, None, None, "compositeCapture"),
        (False, "digitalCapture", "negativeFilm", "compositeCapture"),
        (False, "compositeCapture", None, "compositeCapture"),
        (False, "trainedAlgorithmicMedia", None, "trainedAlgorithmicMedia"),
        (False, "compositeWithTrainedAlgorithmicMedia", None, "compositeWithTrainedAlgorithmicMedia"),
        (False, "digitalCapture", "trainedAlgorithmicMedia", "compositeSynthetic"),
        (True, "digitalCapture", None, "compositeWithTrainedAlgorithmicMedia"),
    ],
)
def test_the_source_type_is_that_of_the_parts(
    is_generated: bool, target: str | None, reference: str | None, chosen: str
) -> None:
    packets = [[None, b"no XMP", *([typed(each)] if each else [])] for each in (target, reference)]
    source_type = xmp.choose_source_type(generated=is_generated, target=packets[0], references=packets[1])
    assert source_type == TYPES + chosen
    assert xmp.read_source_type(xmp.update_for_export(PACKET, None, FRAME, source_type=source_type)) == source_type


@pytest.mark.parametrize("keep_gps", [True, False])
def test_a_position_is_kept_or_removed_in_either_form(keep_gps: bool) -> None:
    packet = updated(privacy=Privacy(keep_position=keep_gps))
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
    merged = xmp.update_for_export(standard, extension, FRAME)
    assert history.encode() in merged
    assert xmp.extension_identifier(merged) == ""


def test_a_packet_that_stays_too_long_is_an_error() -> None:
    about = b"x" * xmp.JPEG_LIMIT
    with pytest.raises(BrokenXmpError, match="do not fit"):
        xmp.split_for_jpeg(PACKET.replace(b'r:about=""', b'r:about="' + about + b'"'))


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("declaration", ["", '<?xml version="1.0" encoding="UTF-16"?>'])
def test_a_packet_in_another_encoding_is_read(codec: str, declaration: str) -> None:
    assert "Ann &amp; Bob" in updated((declaration + PACKET.decode()).encode(codec))


def with_properties(properties: str) -> bytes:
    return PACKET.replace(b"<dc:creator>", properties.encode() + b"<dc:creator>")


@pytest.mark.parametrize(
    "properties",
    [
        '<n:MotionPhoto xmlns:n="http://ns.google.com/photos/1.0/camera/">1</n:MotionPhoto>',
        '<n:MicroVideoOffset xmlns:n="http://ns.google.com/photos/1.0/camera/">gone</n:MicroVideoOffset>',
        '<n:Version xmlns:n="http://ns.adobe.com/hdr-gain-map/1.0/">gone</n:Version>',
        '<n:Directory xmlns:n="http://ns.google.com/photos/1.0/container/"><r:Seq><r:li>gone</r:li></r:Seq></n:Directory>',
        '<n:Data xmlns:n="http://ns.google.com/photos/1.0/depthmap/">gone</n:Data>',
        '<n:HDRGainMapVersion xmlns:n="http://ns.apple.com/HDRGainMap/1.0/">gone</n:HDRGainMapVersion>',
    ],
)
def test_what_the_file_no_longer_has_is_no_longer_told(properties: str) -> None:
    packet = updated(with_properties(properties))
    assert "gone" not in packet
    assert "MotionPhoto" not in packet
    assert 'my:note="kept"' in packet


def face(width: int, height: int, x: str, y: str) -> str:
    return (
        '<n:Regions xmlns:n="http://www.metadataworkinggroup.com/schemas/regions/" r:parseType="Resource">'
        '<n:AppliedToDimensions xmlns:d="http://ns.adobe.com/xap/1.0/sType/Dimensions#" '
        f'd:w="{width}" d:h="{height}"/>'
        '<n:RegionList><r:Bag><r:li><r:Description n:Name="Ann"><n:Area '
        f'xmlns:a="http://ns.adobe.com/xmp/sType/Area#" a:x="{x}" a:y="{y}" a:w="0.1" a:h="0.2"/>'
        "</r:Description></r:li></r:Bag></n:RegionList></n:Regions>"
        '<m:Rectangle xmlns:m="http://ns.microsoft.com/photo/1.2/t/Region#">0.15, 0.2, 0.1, 0.2</m:Rectangle>'
        "<exif:SubjectArea><r:Seq><r:li>32</r:li><r:li>192</r:li></r:Seq></exif:SubjectArea>"
    )


def test_regions_of_a_stored_picture_turn_with_it() -> None:
    packet = updated(with_properties(face(160, 640, "0.2", "0.3")), reframing=Reframing(640, 160, 6))
    assert 'a:x="0.7" a:y="0.2" a:w="0.2" a:h="0.1"' in packet
    assert 'd:w="640" d:h="160"' in packet
    assert ">0.6, 0.15, 0.2, 0.1<" in packet
    assert "<r:li>448</r:li><r:li>32</r:li>" in packet


def test_regions_that_were_upright_already_stay() -> None:
    packet = updated(with_properties(face(640, 160, "0.2", "0.3")), reframing=Reframing(640, 160, 6))
    assert 'a:x="0.2" a:y="0.3" a:w="0.1" a:h="0.2"' in packet


def test_regions_move_with_a_photo_that_is_extended() -> None:
    packet = updated(with_properties(face(640, 160, "0.2", "0.3")), reframing=Reframing(1280, 160, 1, (0.5, 0, 1, 1)))
    assert 'a:x="0.6" a:y="0.3" a:w="0.05" a:h="0.2"' in packet


def test_regions_that_cannot_be_understood_are_removed() -> None:
    packet = updated(with_properties(face(160, 640, "nan", "left")), reframing=Reframing(640, 160, 6))
    assert "a:x" not in packet


@pytest.mark.parametrize(("is_srgb", "delivered"), [(None, "1"), (True, "1"), (False, "65535")])
def test_colors_do_not_contradict_a_profile(is_srgb: bool | None, delivered: str) -> None:
    packet = PACKET.replace(b'xmp:Rating="4"', b'exif:ColorSpace="1" exif:Gamma="22/10" tiff:WhitePoint="1/3"')
    updated_packet = xmp.update_for_export(packet, None, FRAME, is_srgb=is_srgb).decode()
    assert f'exif:ColorSpace="{delivered}"' in updated_packet
    assert all((name in updated_packet) == (is_srgb is None) for name in ("exif:Gamma", "tiff:WhitePoint"))
