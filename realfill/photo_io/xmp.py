"""XMP packets (ISO 16684-1): edited as XML, so that what is not understood stays as it was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from xml.dom import minidom
from xml.parsers.expat import ExpatError

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
JPEG_LIMIT = 65_502  # bytes that fit a JPEG's standard XMP segment
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_REALFILL = "urn:realfill:authenticity:1.0/"
_AUTHENTICITY = {
    "score": "Score",
    "reference_pixel": "ReferencePixel",
    "confirmed": "Confirmed",
    "generated_only": "GeneratedOnly",
}
_NOTE = "http://ns.adobe.com/xmp/note/"
_EMPTY = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">'
    '<rdf:Description rdf:about=""/></rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>'
)
_STALE = {  # pictures, depth and sizes of the photo as it was
    ("http://ns.adobe.com/xap/1.0/", "Thumbnails"),
    ("http://ns.google.com/photos/1.0/image/", "Data"),
    ("http://ns.google.com/photos/1.0/depthmap/", "Data"),
    ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP"),
    (_IPTC, "DigitalSourceType"),
    *((_REALFILL, name) for name in _AUTHENTICITY.values()),
}
_NUMBERS = {
    ("http://ns.adobe.com/tiff/1.0/", "ImageWidth"): "width",
    ("http://ns.adobe.com/tiff/1.0/", "ImageLength"): "height",
    ("http://ns.adobe.com/tiff/1.0/", "Orientation"): "orientation",
    ("http://ns.adobe.com/exif/1.0/", "PixelXDimension"): "width",
    ("http://ns.adobe.com/exif/1.0/", "PixelYDimension"): "height",
}
_POSITION = ("latitude", "longitude", "absolutealtitude", "relativealtitude")
Named = minidom.Element | minidom.Attr


class BrokenXmpError(ValueError):
    """The bytes are not an XMP packet that can be followed."""


def update_for_export(
    packet: bytes | None,
    extension: bytes | None,
    width: int,
    height: int,
    *,
    keep_gps: bool,
    authenticity: Mapping[str, float] | None = None,
) -> bytes:
    """Make a packet tell the truth about a photo whose pixels were completed and turned upright.

    It says that part of the photo is generated (IPTC's DigitalSourceType), that it is upright, and how large it is;
    embedded pictures of the photo as it was go, and the position too unless it is kept.

    Args:
        packet: The packet, UTF-8; None for a new one.
        extension: The extended packet that JPEG files may have besides; it is merged.
        width: Pixels.
        height: Pixels.
        keep_gps: Whether the position stays.
        authenticity: Shares of the filled part, 0 to 1, by the names of `_AUTHENTICITY`.

    Raises:
        BrokenXmpError: The packet is not XMP.
    """
    document = _parsed(_EMPTY.encode() if packet is None else packet)
    if extension is not None:
        for description in _descriptions(_parsed(extension)):
            _root(document).appendChild(document.importNode(description, True))
    for node in _nodes(document):
        name = _name(node)
        if name in _STALE or (not keep_gps and _is_position(name[1].lower())):
            _remove(node)
        elif name in _NUMBERS:
            _set(document, node, {"width": width, "height": height, "orientation": 1}[_NUMBERS[name]])
    _root(document).appendChild(
        _description(document, "Iptc4xmpExt", _IPTC, "DigitalSourceType", DIGITAL_SOURCE_TYPE)
    )
    for kind, share in (authenticity or {}).items():
        _root(document).appendChild(
            _description(document, "realfill", _REALFILL, _AUTHENTICITY[kind], f"{share:.4f}")
        )
    return _serialised(document)


def generated() -> bytes:
    """A packet that says only that part of the photo is generated."""
    return update_for_export(None, None, 0, 0, keep_gps=True)


def split(packet: bytes) -> tuple[bytes, bytes | None, str]:
    """Divide a packet that is too long for a JPEG's segment (XMP part 3, 1.1.3.1).

    Returns:
        The standard packet, the extended packet if one is needed, and its identifier (MD5, hex).

    Raises:
        BrokenXmpError: The packet is not XMP.
    """
    if len(packet) <= JPEG_LIMIT:
        return packet, None, ""
    document, extended = _parsed(packet), _parsed(_EMPTY.encode())
    for description in _descriptions(document):
        _expand(document, description)
    target = next(_descriptions(extended))
    properties = [
        child
        for description in _descriptions(document)
        for child in description.childNodes
        if isinstance(child, minidom.Element)
    ]
    excess = len(packet) + 400 - JPEG_LIMIT
    for node in sorted(properties, key=lambda node: len(node.toxml()), reverse=True):
        if excess <= 0:
            break
        excess -= len(node.toxml().encode())
        _inherit_namespaces(node)
        target.appendChild(extended.importNode(node, True))
        node.parentNode.removeChild(node)  # type: ignore[union-attr]
    extension = _root(extended).parentNode.toxml().encode()  # type: ignore[union-attr]
    identifier = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper()
    _root(document).appendChild(_description(document, "xmpNote", _NOTE, "HasExtendedXMP", identifier))
    standard = _serialised(document)
    if len(standard) > JPEG_LIMIT:
        raise BrokenXmpError("its properties do not fit a JPEG")
    return standard, extension, identifier


def extension_identifier(packet: bytes) -> str:
    """The identifier of the extended packet that belongs to this one; empty where there is none.

    Raises:
        BrokenXmpError: The packet is not XMP.
    """
    notes = (node for node in _nodes(_parsed(packet)) if _name(node) == (_NOTE, "HasExtendedXMP"))
    return next((_text(node) for node in notes), "")


def _parsed(packet: bytes) -> minidom.Document:
    try:
        text = packet.strip(b"\0 \r\n\t").decode("utf-8")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise BrokenXmpError("it declares a document type")
        document = minidom.parseString(text.encode())
        _serialised(document)
        _root(document)
    except (ExpatError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenXmpError(str(error)) from error
    return document


def _serialised(document: minidom.Document) -> bytes:
    return "\n".join(node.toxml() for node in document.childNodes).encode()


def _root(document: minidom.Document) -> minidom.Element:
    roots = document.getElementsByTagNameNS(_RDF, "RDF")
    if not roots:
        raise BrokenXmpError("there is no rdf:RDF in it")
    return roots[0]


def _descriptions(document: minidom.Document) -> Iterator[minidom.Element]:
    for node in list(_root(document).childNodes):
        if isinstance(node, minidom.Element) and node.localName == "Description":
            yield node


def _description(document: minidom.Document, prefix: str, namespace: str, name: str, value: str) -> minidom.Element:
    root = _root(document)
    rdf = root.prefix
    node = document.createElementNS(_RDF, f"{rdf}:Description" if rdf else "Description")
    about = next((d.getAttributeNS(_RDF, "about") for d in _descriptions(document)), "")
    node.setAttribute("xmlns:rdf", _RDF)
    node.setAttributeNS(_RDF, "rdf:about", about)
    node.setAttribute(f"xmlns:{prefix}", namespace)
    prop = document.createElementNS(namespace, f"{prefix}:{name}")
    prop.appendChild(document.createTextNode(value))
    node.appendChild(prop)
    return node


def _nodes(document: minidom.Document) -> Iterator[Named]:
    for element in document.getElementsByTagName("*"):
        yield from [attribute for attribute in element.attributes.values() if attribute.prefix != "xmlns"]
        yield element


def _name(node: Named) -> tuple[str, str]:
    return node.namespaceURI or "", node.localName or ""


def _is_position(name: str) -> bool:
    return name.startswith("gps") or name in _POSITION


def _text(node: Named) -> str:
    if isinstance(node, minidom.Attr):
        return str(node.value)
    return "".join(child.data for child in node.childNodes if isinstance(child, minidom.Text))


def _set(document: minidom.Document, node: Named, value: int) -> None:
    if isinstance(node, minidom.Attr):
        node.value = str(value)
        return
    while node.firstChild:
        node.removeChild(node.firstChild)
    node.appendChild(document.createTextNode(str(value)))


def _remove(node: Named) -> None:
    if isinstance(node, minidom.Attr) and node.ownerElement is not None:
        node.ownerElement.removeAttributeNode(node)
    elif isinstance(node, minidom.Element) and node.parentNode is not None:
        node.parentNode.removeChild(node)


def _expand(document: minidom.Document, description: minidom.Element) -> None:
    """Write properties that are attributes as elements, so that they can be moved one by one."""
    for attribute in list(description.attributes.values()):
        if attribute.prefix != "xmlns" and attribute.namespaceURI not in (None, _RDF):
            prop = document.createElementNS(attribute.namespaceURI, attribute.name)
            prop.appendChild(document.createTextNode(attribute.value))
            description.removeAttributeNode(attribute)
            description.appendChild(prop)


def _inherit_namespaces(node: minidom.Element) -> None:
    ancestor = node.parentNode
    while isinstance(ancestor, minidom.Element):
        for name, value in ancestor.attributes.items():
            if name.startswith("xmlns") and not node.hasAttribute(name):
                node.setAttribute(name, value)
        ancestor = ancestor.parentNode
