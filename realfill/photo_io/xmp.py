"""XMP packets (ISO 16684-1): updated for the finished photo, and split where a JPEG segment is too small.

Packets are edited as XML, so that properties that are not understood stay as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from xml.dom import minidom

from realfill.photo_io.xmp_xml import (
    EMPTY_PACKET,
    BrokenXmpError,
    Node,
    add_property,
    attributes_to_elements,
    descriptions,
    inherit_namespaces,
    iterate_nodes,
    parse,
    qualified_name,
    rdf_root,
    remove,
    serialize,
    set_text,
    text_of,
)

# IPTC's digital source types, https://cv.iptc.org/newscodes/digitalsourcetype
_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
PARTLY_GENERATED = f"{_SOURCE_TYPES}compositeWithTrainedAlgorithmicMedia"
PHOTOGRAPHED = f"{_SOURCE_TYPES}compositeCapture"
_GENERATED = (  # types of media that are not all photographed; a photo composite keeps them
    "algorithmicMedia",
    "composite",  # of any elements
    "compositeSynthetic",
    "compositeWithTrainedAlgorithmicMedia",
    "dataDrivenMedia",
    "digitalArt",
    "digitalCreation",
    "trainedAlgorithmicMedia",
    "virtualRecording",
)
JPEG_LIMIT = 65_502  # bytes that fit into the standard XMP segment of a JPEG (XMP part 3, 1.1.3)
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_NOTE = "http://ns.adobe.com/xmp/note/"
_REALFILL = "urn:realfill:authenticity:1.0/"
_OUTDATED = {  # embedded images and depth maps of the photo as it was, and what is written anew
    ("http://ns.adobe.com/xap/1.0/", "Thumbnails"),
    ("http://ns.google.com/photos/1.0/image/", "Data"),
    ("http://ns.google.com/photos/1.0/depthmap/", "Data"),
    (_NOTE, "HasExtendedXMP"),
    (_IPTC, "DigitalSourceType"),
}
_NUMBERS = {
    ("http://ns.adobe.com/tiff/1.0/", "ImageWidth"): "width",
    ("http://ns.adobe.com/tiff/1.0/", "ImageLength"): "height",
    ("http://ns.adobe.com/tiff/1.0/", "Orientation"): "orientation",
    ("http://ns.adobe.com/exif/1.0/", "PixelXDimension"): "width",
    ("http://ns.adobe.com/exif/1.0/", "PixelYDimension"): "height",
}
_POSITION = ("latitude", "longitude", "absolutealtitude", "relativealtitude")


@dataclass(frozen=True)
class XmpSettings:
    """How packets are split.

    Attributes:
        reserved_bytes: Space that is kept free in the standard packet for the note that names the extended one; set
            by hand.
    """

    reserved_bytes: int = 400


def update_for_export(
    packet: bytes | None,
    extension: bytes | None,
    width: int,
    height: int,
    *,
    keep_gps: bool,
    authenticity: Mapping[str, float] | None = None,
    source_type: str = PARTLY_GENERATED,
) -> bytes:
    """Make a packet describe a photo whose hole was filled and which was turned upright.

    It declares what the photo is a composite of (IPTC DigitalSourceType) and how much of the fill is authentic. The
    orientation becomes 1 and the dimensions become those given, where the packet holds them. Embedded images are
    removed, and so is the GPS position unless it is kept.

    Args:
        packet: The packet, UTF-8, or None for a new one.
        extension: The extended packet that JPEG files may have besides, which is merged, or None.
        width: Width of the finished photo, pixels.
        height: Height of the finished photo, pixels.
        keep_gps: Whether the position stays.
        authenticity: Shares of the filled pixels, 0 to 1, by names in snake case, "score" among them. They replace
            all that the packet says of it.
        source_type: The digital source type.

    Raises:
        BrokenXmpError: The packet is not XMP.
    """
    document = parse(EMPTY_PACKET if packet is None else packet)
    if extension is not None:
        for description in descriptions(parse(extension)):
            inherit_namespaces(description)
            rdf_root(document).appendChild(document.importNode(description, True))
    numbers = {"width": width, "height": height, "orientation": 1}
    for node in iterate_nodes(document):
        name = qualified_name(node)
        if name in _OUTDATED or name[0] == _REALFILL or (not keep_gps and _is_position(node)):
            remove(node)
        elif name in _NUMBERS:
            set_text(document, node, str(numbers[_NUMBERS[name]]))
    add_property(document, "Iptc4xmpExt", _IPTC, "DigitalSourceType", source_type)
    for key, share in (authenticity or {}).items():
        add_property(document, "realfill", _REALFILL, key.title().replace("_", ""), f"{share:.4f}")
    return serialize(document)


def minimal_packet(source_type: str = PARTLY_GENERATED) -> bytes:
    """A packet that declares the digital source type, and nothing else."""
    return update_for_export(None, None, 0, 0, keep_gps=True, source_type=source_type)


def read_source_type(packet: bytes) -> str:
    """The digital source type that a packet declares; empty if it declares none.

    Raises:
        BrokenXmpError: The packet is not XMP.
    """
    nodes = (node for node in iterate_nodes(parse(packet)) if qualified_name(node) == (_IPTC, "DigitalSourceType"))
    return next((text_of(node) for node in nodes), "")


def source_type_of_photographed(*packets: bytes | None) -> str:
    """The digital source type of a photo that was completed with photographed pixels alone.

    Args:
        packets: Those of the photo as it was. A photo that was not all photographed stays what it was.
    """
    for packet in filter(None, packets):
        with suppress(BrokenXmpError):
            before = read_source_type(packet)
            if before.rpartition("/")[2] in _GENERATED:
                return before
    return PHOTOGRAPHED


def split_for_jpeg(packet: bytes, settings: XmpSettings = XmpSettings()) -> tuple[bytes, bytes | None, str]:
    """Split a packet that does not fit into one JPEG segment (XMP part 3, 1.1.3.1).

    The largest properties move to the extended packet, until the rest fits.

    Args:
        packet: The packet, UTF-8.
        settings: How it is split.

    Returns:
        The standard packet, the extended packet or None, and the identifier of the extended packet (MD5, upper-case
        hex) or an empty string.

    Raises:
        BrokenXmpError: The packet is not XMP, or cannot be split so that it fits.
    """
    if len(packet) <= JPEG_LIMIT:
        return packet, None, ""
    document, extended = parse(packet), parse(EMPTY_PACKET)
    for description in descriptions(document):
        attributes_to_elements(document, description)
    target = next(descriptions(extended))
    properties = [
        child
        for description in descriptions(document)
        for child in description.childNodes
        if isinstance(child, minidom.Element)
    ]
    excess = len(packet) + settings.reserved_bytes - JPEG_LIMIT
    for node in sorted(properties, key=lambda node: len(node.toxml()), reverse=True):
        if excess <= 0:
            break
        excess -= len(node.toxml().encode())
        inherit_namespaces(node)
        target.appendChild(extended.importNode(node, True))
        remove(node)
    extension = rdf_root(extended).parentNode.toxml().encode()  # type: ignore[union-attr]
    identifier = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper()
    add_property(document, "xmpNote", _NOTE, "HasExtendedXMP", identifier)
    standard = serialize(document)
    if len(standard) > JPEG_LIMIT:
        raise BrokenXmpError("its properties do not fit into a JPEG")
    return standard, extension, identifier


def extension_identifier(packet: bytes) -> str:
    """The identifier of the extended packet that belongs to a standard one; empty if there is none.

    Raises:
        BrokenXmpError: The packet is not XMP.
    """
    notes = (node for node in iterate_nodes(parse(packet)) if qualified_name(node) == (_NOTE, "HasExtendedXMP"))
    return next((text_of(node) for node in notes), "")


def _is_position(node: Node) -> bool:
    """Whether a property tells where the photo was taken, in any namespace."""
    name = qualified_name(node)[1].lower()
    return name.startswith("gps") or name in _POSITION
