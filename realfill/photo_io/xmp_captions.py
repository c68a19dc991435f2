"""Captions, keywords, copyright and other words of people, as XMP has them.

Where a packet lacks one that the file keeps elsewhere (IPTC records, texts of a PNG, the comment of a JPEG,
Photoshop's resources), it is added, so that it arrives in formats that have no such place. The names correspond as in
the Metadata Working Group's guidelines 2.0 and the IPTC Photo Metadata Standard.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from xml.dom import minidom

from realfill.photo_io.xmp_xml import RDF, add_property, iterate_nodes, qualified_name, set_text

_DC = "http://purl.org/dc/elements/1.1/"
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
_IPTC_CORE = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
_RIGHTS = "http://ns.adobe.com/xap/1.0/rights/"
_EXIF = "http://ns.adobe.com/exif/1.0/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class _Property:
    """An XMP property: its prefix, namespace and name, and the RDF container that holds its values, if any."""

    prefix: str
    namespace: str
    name: str
    container: Literal["", "Alt", "Bag", "Seq"] = ""


PROPERTIES = {
    "title": _Property("dc", _DC, "title", "Alt"),
    "description": _Property("dc", _DC, "description", "Alt"),
    "rights": _Property("dc", _DC, "rights", "Alt"),
    "creator": _Property("dc", _DC, "creator", "Seq"),
    "keywords": _Property("dc", _DC, "subject", "Bag"),
    "source_url": _Property("dc", _DC, "source"),
    "headline": _Property("photoshop", _PHOTOSHOP, "Headline"),
    "credit": _Property("photoshop", _PHOTOSHOP, "Credit"),
    "source": _Property("photoshop", _PHOTOSHOP, "Source"),
    "instructions": _Property("photoshop", _PHOTOSHOP, "Instructions"),
    "creator_title": _Property("photoshop", _PHOTOSHOP, "AuthorsPosition"),
    "description_writer": _Property("photoshop", _PHOTOSHOP, "CaptionWriter"),
    "date_created": _Property("photoshop", _PHOTOSHOP, "DateCreated"),
    "transmission_reference": _Property("photoshop", _PHOTOSHOP, "TransmissionReference"),
    "city": _Property("photoshop", _PHOTOSHOP, "City"),
    "state": _Property("photoshop", _PHOTOSHOP, "State"),
    "country": _Property("photoshop", _PHOTOSHOP, "Country"),
    "country_code": _Property("Iptc4xmpCore", _IPTC_CORE, "CountryCode"),
    "location": _Property("Iptc4xmpCore", _IPTC_CORE, "Location"),
    "marked": _Property("xmpRights", _RIGHTS, "Marked"),
    "web_statement": _Property("xmpRights", _RIGHTS, "WebStatement"),
    "creator_tool": _Property("xmp", _XMP, "CreatorTool"),
    "comment": _Property("exif", _EXIF, "UserComment", "Alt"),
}


def add_captions(document: minidom.Document, captions: Mapping[str, tuple[str, ...]]) -> None:
    """Add what a document lacks.

    Args:
        document: A packet.
        captions: Values by the names of `PROPERTIES`.
    """
    present = {qualified_name(node) for node in iterate_nodes(document)}
    for name, texts in captions.items():
        entry = PROPERTIES[name]
        values = tuple(filter(None, map(_to_xml_text, texts)))
        if not values or (entry.namespace, entry.name) in present:
            continue
        element = add_property(document, entry.prefix, entry.namespace, entry.name, values[0])
        if entry.container:
            set_text(document, element, "")
            _fill(document, element, entry.container, values)


def _fill(document: minidom.Document, element: minidom.Element, kind: str, values: tuple[str, ...]) -> None:
    """Put values into an RDF container."""
    container = document.createElementNS(RDF, f"rdf:{kind}")
    for value in values[:1] if kind == "Alt" else values:
        item = document.createElementNS(RDF, "rdf:li")
        if kind == "Alt":
            item.setAttribute("xml:lang", "x-default")
        item.appendChild(document.createTextNode(value))
        container.appendChild(item)
    element.appendChild(container)


def _to_xml_text(text: str) -> str:
    """The text without characters that XML does not allow."""
    return _NOT_XML.sub("", text).strip()
