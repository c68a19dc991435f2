"""XMP packets (ISO 16684-1): updated for the finished photo, and split where a JPEG segment is too small.

Packets are edited as XML, so that properties that are not understood stay as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from xml.dom import minidom

from realfill.photo_io.privacy import Privacy
from realfill.photo_io.reframing import Reframing
from realfill.photo_io.xmp_captions import add_captions
from realfill.photo_io.xmp_colors import update_colors
from realfill.photo_io.xmp_keywords import read_place_names, remove_places
from realfill.photo_io.xmp_regions import move_regions
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
    remove_comments,
    serialize,
    set_text,
    text_of,
)

# IPTC's digital source types, https://cv.iptc.org/newscodes/digitalsourcetype
_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
PARTLY_GENERATED = f"{_SOURCE_TYPES}compositeWithTrainedAlgorithmicMedia"
PHOTOGRAPHED = f"{_SOURCE_TYPES}compositeCapture"
PARTLY_SYNTHETIC = f"{_SOURCE_TYPES}compositeSynthetic"
_NOT_PHOTOGRAPHED = (  # types of media that are not captures of real life alone
    "algorithmicMedia",
    "composite",  # of any elements
    "compositeSynthetic",
    "compositeWithTrainedAlgorithmicMedia",
    "dataDrivenMedia",
    "digitalArt",
    "digitalCreation",
    "screenCapture",
    "softwareImage",
    "trainedAlgorithmicMedia",
    "virtualRecording",
)
JPEG_LIMIT = 65_502  # bytes that fit into the standard XMP segment of a JPEG (XMP part 3, 1.1.3)
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_NOTE = "http://ns.adobe.com/xmp/note/"
_REALFILL = "urn:realfill:authenticity:1.0/"
_OUTDATED = {  # embedded images of the photo as it was, and what is written anew
    ("http://ns.adobe.com/xap/1.0/", "Thumbnails"),
    (_NOTE, "HasExtendedXMP"),
    (_IPTC, "DigitalSourceType"),
    (_IPTC, "DigitalSourcefileType"),  # its older name
    ("http://purl.org/dc/terms/", "provenance"),  # where the C2PA manifest is, which belongs to the original's bytes
}
_OUTDATED_NAMESPACES = (  # of what is in the original's file besides its picture: depth, gain maps, sound, videos
    "http://ns.google.com/photos/1.0/image/",
    "http://ns.google.com/photos/1.0/depthmap/",
    "http://ns.google.com/photos/1.0/audio/",
    "http://ns.google.com/photos/1.0/container/",
    "http://ns.google.com/photos/dd/1.0/",
    "http://ns.adobe.com/hdr-gain-map/",
    "http://ns.apple.com/HDRGainMap/",
    "http://ns.apple.com/HDRToneMap/",
    "http://ns.apple.com/pixeldatainfo/",
    "http://ns.apple.com/depthData/",
    _REALFILL,
)
_OUTDATED_NAMES = ("MotionPhoto", "MicroVideo", "OLivePhoto", "VideoLength")  # how names of motion photos begin
_PANORAMA = "http://ns.google.com/photos/1.0/panorama/"
_NUMBERS = {
    ("http://ns.adobe.com/tiff/1.0/", "ImageWidth"): "width",
    ("http://ns.adobe.com/tiff/1.0/", "ImageLength"): "height",
    ("http://ns.adobe.com/tiff/1.0/", "Orientation"): "orientation",
    ("http://ns.adobe.com/exif/1.0/", "PixelXDimension"): "width",
    ("http://ns.adobe.com/exif/1.0/", "PixelYDimension"): "height",
}
_COMPOSITE_IMAGE = {  # as the EXIF tag CompositeImage
    ("http://ns.adobe.com/exif/1.0/", "CompositeImage"),
    ("http://cipa.jp/exif/1.0/", "CompositeImage"),
}


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
    reframing: Reframing,
    privacy: Privacy = Privacy(),
    *,
    captions: Mapping[str, tuple[str, ...]] | None = None,
    authenticity: Mapping[str, float] | None = None,
    source_type: str = PARTLY_GENERATED,
    is_srgb: bool | None = None,
) -> bytes:
    """Make a packet describe a photo whose hole was filled and which was turned upright.

    It declares what the photo is a composite of (IPTC DigitalSourceType) and how much of the fill is authentic. The
    orientation becomes 1 and the dimensions become those of the finished photo, where the packet holds them; regions
    such as faces are moved with the picture. What described parts of the file that are no longer there (embedded
    images, gain maps, depth, the video of a motion photo) is removed, and what is private.

    Args:
        packet: The packet, or None for a new one.
        extension: The extended packet that JPEG files may have besides, which is merged, or None.
        reframing: How the stored picture became the finished one.
        privacy: What is delivered.
        captions: What the packet is to say if it does not yet, by the names of `xmp_captions.PROPERTIES`.
        authenticity: Shares of the filled pixels, 0 to 1, by names in snake case, "score" among them. They replace
            all that the packet says of it.
        source_type: The digital source type.
        is_srgb: Whether the photo's ICC profile, which tells its colors alone, is that of sRGB; None without one.

    Returns:
        The packet, UTF-8.

    Raises:
        BrokenXmpError: The packet is not XMP.
    """
    document = parse(EMPTY_PACKET if packet is None else packet)
    if extension is not None:
        for description in descriptions(parse(extension)):
            inherit_namespaces(description)
            rdf_root(document).appendChild(document.importNode(description, True))
    add_captions(document, captions or {})
    if not privacy.keep_position:
        remove_places(document, privacy.place_names | read_place_names(document))
    _update_numbers(document, reframing)
    if is_srgb is not None:
        update_colors(document, is_srgb=is_srgb)
    move_regions(document, reframing)
    for node in iterate_nodes(document):
        if _is_outdated(node, reframing) or not privacy.allows_property(*qualified_name(node)):
            remove(node)
    if not privacy.keeps_all:
        remove_comments(document)
        _redact(document, privacy)
    add_property(document, "Iptc4xmpExt", _IPTC, "DigitalSourceType", source_type)
    for key, share in (authenticity or {}).items():
        add_property(document, "realfill", _REALFILL, key.title().replace("_", ""), f"{share:.4f}")
    return serialize(document)


def _update_numbers(document: minidom.Document, reframing: Reframing) -> None:
    numbers = {"width": reframing.width, "height": reframing.height, "orientation": 1}
    for node in iterate_nodes(document):
        name = qualified_name(node)
        if name in _NUMBERS:
            set_text(document, node, str(numbers[_NUMBERS[name]]))
        elif name in _COMPOSITE_IMAGE:
            set_text(document, node, "2")


def _is_outdated(node: Node, reframing: Reframing) -> bool:
    """Whether a property is no longer true, or is written anew."""
    namespace, name = qualified_name(node)
    return (
        (namespace, name) in _OUTDATED
        or namespace.startswith(_OUTDATED_NAMESPACES)
        or name.startswith(_OUTDATED_NAMES)
        or (reframing.is_extended and namespace == _PANORAMA)
    )


def _redact(document: minidom.Document, privacy: Privacy) -> None:
    """Overwrite coordinates in all texts."""
    for node in iterate_nodes(document):
        if isinstance(node, minidom.Attr):
            node.value = privacy.redact(node.value)
            continue
        for child in node.childNodes:
            if isinstance(child, minidom.Text):
                child.data = privacy.redact(child.data)


def minimal_packet(source_type: str = PARTLY_GENERATED) -> bytes:
    """A packet that declares the digital source type, and nothing else."""
    return update_for_export(None, None, Reframing(0, 0), source_type=source_type)


def read_source_type(packet: bytes) -> str:
    """The digital source type that a packet declares; empty if it declares none.

    Raises:
        BrokenXmpError: The packet is not XMP.
    """
    nodes = (node for node in iterate_nodes(parse(packet)) if qualified_name(node) == (_IPTC, "DigitalSourceType"))
    return next((text_of(node) for node in nodes), "")


def choose_source_type(*, generated: bool, target: Iterable[bytes | None], references: Iterable[bytes | None]) -> str:
    """Choose the digital source type of a finished photo; docs/metadata.md has the reasons.

    Args:
        generated: Whether a trained model made any of its pixels.
        target: The packets of the photo as it was.
        references: The packets of the references.
    """
    if generated:
        return PARTLY_GENERATED
    if before := _first_not_photographed(target):
        return before
    return PARTLY_SYNTHETIC if _first_not_photographed(references) else PHOTOGRAPHED


def _first_not_photographed(packets: Iterable[bytes | None]) -> str:
    """The first digital source type in packets that is not of captures of real life alone; empty if there is none."""
    for packet in filter(None, packets):
        with suppress(BrokenXmpError):
            source_type = read_source_type(packet)
            if source_type.rpartition("/")[2] in _NOT_PHOTOGRAPHED:
                return source_type
    return ""


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
