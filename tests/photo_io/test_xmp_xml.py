import pytest

from realfill.photo_io.xmp_xml import (
    EMPTY_PACKET,
    BrokenXmpError,
    add_property,
    descriptions,
    iterate_nodes,
    parse,
    qualified_name,
    serialize,
    text_of,
)
from support.camera_photos import PACKET


@pytest.mark.parametrize(
    ("packet", "problem"),
    [
        (b"not XML at all", "syntax error"),
        (b"<a/>", "no rdf:RDF"),
        (b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + PACKET[PACKET.index(b"<x:") :], "document type"),
        (b"<a>" * 20_000 + b"</a>" * 20_000, "recursion"),
        (PACKET[:300], "no element|unclosed|mismatched"),
        (PACKET.replace(b"Ann", b"\xff\xfe"), "utf-8"),
    ],
    ids=["text", "no rdf", "entities", "deep", "cut", "not utf-8"],
)
def test_what_is_no_packet_is_an_error(packet: bytes, problem: str) -> None:
    with pytest.raises(BrokenXmpError, match=problem):
        parse(packet)


@pytest.mark.parametrize("packet", [PACKET, EMPTY_PACKET, PACKET + bytes(2000)])
def test_a_packet_that_is_read_and_written_says_the_same(packet: bytes) -> None:
    once = serialize(parse(packet))
    assert serialize(parse(once)) == once
    assert (b'my:note="kept"' in once) == (b'my:note="kept"' in packet)


def test_properties_are_attributes_and_elements() -> None:
    values = {qualified_name(node): text_of(node) for node in iterate_nodes(parse(PACKET))}
    assert values["http://ns.adobe.com/xap/1.0/", "Rating"] == "4"
    assert values["http://ns.adobe.com/exif/1.0/", "PixelXDimension"] == "240"


@pytest.mark.parametrize("packet", [PACKET, EMPTY_PACKET])
def test_an_added_property_can_be_read_again(packet: bytes) -> None:
    document = parse(packet)
    count = len(list(descriptions(document)))
    add_property(document, "my", "urn:mine", "Note", "a < b & c")
    again = parse(serialize(document))
    values = {qualified_name(node): text_of(node) for node in iterate_nodes(again)}
    assert values["urn:mine", "Note"] == "a < b & c"
    assert len(list(descriptions(again))) == count + 1
