"""XML of XMP packets (ISO 16684-1): parsing, serialization, and access to properties.

A packet holds one `rdf:RDF` element with `rdf:Description` elements. A property is a child element of a description
or an attribute of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from xml.dom import minidom
from xml.parsers.expat import ExpatError

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
EMPTY_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
    '<rdf:Description rdf:about=""/></rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>'
).encode()
Node = minidom.Element | minidom.Attr


class BrokenXmpError(ValueError):
    """The bytes are not an XMP packet that can be followed."""


def parse(packet: bytes) -> minidom.Document:
    """Parse a packet: UTF-8, UTF-16 or UTF-32. Declarations of types and entities, which may blow up, are refused.

    Raises:
        BrokenXmpError: The packet is not XMP.
    """
    try:
        text = _decode(packet)
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise BrokenXmpError("it declares a document type")
        document = minidom.parseString(text.encode())
        serialize(document)  # raises on documents that are nested too deeply
        rdf_root(document)
    except (ExpatError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenXmpError(str(error)) from error
    return document


def _decode(packet: bytes) -> str:
    """The text of a packet, without an XML declaration, which may name another encoding than it has now."""
    begin = packet[:4]
    if begin[:2] in (b"\xff\xfe", b"\xfe\xff"):
        codec = "utf-32" if begin[2:] == b"\0\0" else "utf-16"
    elif begin[1:] == b"\0\0\0":
        codec = "utf-32-le"
    elif begin[:3] == b"\0\0\0":
        codec = "utf-32-be"
    elif begin[1:2] == b"\0":
        codec = "utf-16-le"
    elif begin[:1] == b"\0":
        codec = "utf-16-be"
    else:
        codec = "utf-8"
    if codec != "utf-8":
        width = 4 if "32" in codec else 2
        packet = packet[: len(packet) - len(packet) % width]
    text = packet.decode(codec).strip("\ufeff\0 \r\n\t")
    return re.sub(r"^<\?xml\s[^>]*\?>\s*", "", text)


def serialize(document: minidom.Document) -> bytes:
    """The packet of a document, UTF-8."""
    return "\n".join(node.toxml() for node in document.childNodes).encode()


def rdf_root(document: minidom.Document) -> minidom.Element:
    """The `rdf:RDF` element.

    Raises:
        BrokenXmpError: There is none.
    """
    roots = document.getElementsByTagNameNS(RDF, "RDF")
    if not roots:
        raise BrokenXmpError("there is no rdf:RDF in it")
    return roots[0]


def descriptions(document: minidom.Document) -> Iterator[minidom.Element]:
    """The `rdf:Description` elements."""
    for node in list(rdf_root(document).childNodes):
        if isinstance(node, minidom.Element) and node.localName == "Description":
            yield node


def add_property(document: minidom.Document, prefix: str, namespace: str, name: str, value: str) -> minidom.Element:
    """Add a property with a text value, in a description of its own; returns the property's element."""
    root = rdf_root(document)
    node = document.createElementNS(RDF, f"{root.prefix}:Description" if root.prefix else "Description")
    about = next((d.getAttributeNS(RDF, "about") for d in descriptions(document)), "")
    node.setAttribute("xmlns:rdf", RDF)
    node.setAttributeNS(RDF, "rdf:about", about)
    node.setAttribute(f"xmlns:{prefix}", namespace)
    element = document.createElementNS(namespace, f"{prefix}:{name}")
    element.appendChild(document.createTextNode(value))
    node.appendChild(element)
    root.appendChild(node)
    return element


def iterate_nodes(document: minidom.Document) -> Iterator[Node]:
    """All elements, each after its attributes; the document may be edited on the way."""
    for element in document.getElementsByTagName("*"):
        yield from [attribute for attribute in element.attributes.values() if attribute.prefix != "xmlns"]
        yield element


def qualified_name(node: Node) -> tuple[str, str]:
    """Namespace and local name."""
    return node.namespaceURI or "", node.localName or ""


def text_of(node: Node) -> str:
    """The text of an attribute or element, without that of inner elements."""
    if isinstance(node, minidom.Attr):
        return str(node.value)
    return "".join(child.data for child in node.childNodes if isinstance(child, minidom.Text))


def set_text(document: minidom.Document, node: Node, text: str) -> None:
    """Replace the content of an attribute or element by text."""
    if isinstance(node, minidom.Attr):
        node.value = text
        return
    while node.firstChild:
        node.removeChild(node.firstChild)
    node.appendChild(document.createTextNode(text))


def remove_comments(node: minidom.Document | minidom.Element) -> None:
    """Remove the comments below a node."""
    for child in list(node.childNodes):
        if isinstance(child, minidom.Comment):
            node.removeChild(child)
        elif isinstance(child, minidom.Element):
            remove_comments(child)


def remove(node: Node) -> None:
    """Remove an attribute or element from its document."""
    if isinstance(node, minidom.Attr) and node.ownerElement is not None:
        node.ownerElement.removeAttributeNode(node)
    elif isinstance(node, minidom.Element) and node.parentNode is not None:
        node.parentNode.removeChild(node)


def attributes_to_elements(document: minidom.Document, description: minidom.Element) -> None:
    """Write properties that are attributes of a description as elements, so that they can be moved one by one."""
    for attribute in list(description.attributes.values()):
        if attribute.prefix != "xmlns" and attribute.namespaceURI not in (None, RDF):
            element = document.createElementNS(attribute.namespaceURI, attribute.name)
            element.appendChild(document.createTextNode(attribute.value))
            description.removeAttributeNode(attribute)
            description.appendChild(element)


def inherit_namespaces(node: minidom.Element) -> None:
    """Declare on an element all namespaces that its ancestors declare, so that it can be moved elsewhere."""
    ancestor = node.parentNode
    while isinstance(ancestor, minidom.Element):
        for name, value in ancestor.attributes.items():
            if name.startswith("xmlns") and not node.hasAttribute(name):
                node.setAttribute(name, value)
        ancestor = ancestor.parentNode


def merge(packet: bytes, other: bytes) -> bytes:
    """Complete a packet by the properties of another one that it lacks; one that is no XMP counts as none."""
    try:
        document = parse(packet)
    except BrokenXmpError:
        return other
    with suppress(BrokenXmpError):
        lacking = parse(other)
        present = {qualified_name(node) for node in iterate_nodes(document)}
        for description in descriptions(lacking):
            attributes_to_elements(lacking, description)
            for node in [child for child in description.childNodes if isinstance(child, minidom.Element)]:
                if qualified_name(node) in present:
                    remove(node)
            inherit_namespaces(description)
            rdf_root(document).appendChild(document.importNode(description, True))
    return serialize(document)
