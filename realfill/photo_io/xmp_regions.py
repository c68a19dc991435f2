"""Regions of a photo in XMP packets, such as faces: moved with the picture.

Metadata Working Group, "Guidelines for handling image metadata" 2.0, section 5.9: regions are relative to the picture
as it is stored. Microsoft's (https://learn.microsoft.com/windows/win32/wic/-wic-people-tagging) are so too.
"""

from __future__ import annotations

import math
from dataclasses import replace
from xml.dom import minidom

from realfill.photo_io.exif import move_subject
from realfill.photo_io.reframing import QUARTER_TURNS, Box, Reframing
from realfill.photo_io.xmp_xml import RDF, Node, iterate_nodes, qualified_name, remove, set_text, text_of

_AREA = "http://ns.adobe.com/xmp/sType/Area#"
_DIMENSIONS = "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
_MICROSOFT_RECTANGLE = ("http://ns.microsoft.com/photo/1.2/t/Region#", "Rectangle")
_SUBJECTS = {("http://ns.adobe.com/exif/1.0/", name) for name in ("SubjectArea", "SubjectLocation")}
_OTHER_REGIONS = {  # whose reference frame is not told, or which programs fill differently
    ("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "ImageRegion"),
    ("http://ns.acdsee.com/regions/", "Regions"),
    ("http://ns.apple.com/faceinfo/1.0/", "Regions"),
}


def move_regions(document: minidom.Document, reframing: Reframing) -> None:
    """Move all regions of a document to their places in the finished photo; remove those that cannot be moved."""
    if reframing.is_identity:
        return
    dimensions = _group(document, _DIMENSIONS)
    of_faces = _as_drawn(dimensions, reframing)
    for owner, fields in _group(document, _AREA):
        if not _move_area(document, fields, of_faces):
            remove(owner)
    for _, fields in dimensions:
        for name, value in zip("wh", (reframing.width, reframing.height), strict=True):
            if name in fields:
                set_text(document, fields[name], str(value))
    for node in iterate_nodes(document):
        if not _move_node(document, node, reframing, of_faces):
            remove(node)


def _move_node(document: minidom.Document, node: Node, reframing: Reframing, of_faces: Reframing) -> bool:
    """Move what a single property tells of places in the picture; whether it could be."""
    name = qualified_name(node)
    if name == _MICROSOFT_RECTANGLE:
        return _move_rectangle(document, node, of_faces)
    if name in _SUBJECTS:
        return _move_subject(document, node, reframing)
    return name not in _OTHER_REGIONS


def _group(document: minidom.Document, namespace: str) -> list[tuple[minidom.Element, dict[str, Node]]]:
    """The structures of a type: the element that holds the fields, and the fields by name."""
    groups: dict[int, tuple[minidom.Element, dict[str, Node]]] = {}
    for node in iterate_nodes(document):
        owner = node.ownerElement if isinstance(node, minidom.Attr) else node.parentNode
        if node.namespaceURI == namespace and isinstance(owner, minidom.Element):
            groups.setdefault(id(owner), (owner, {}))[1][node.localName or ""] = node
    return list(groups.values())


def _as_drawn(dimensions: list[tuple[minidom.Element, dict[str, Node]]], reframing: Reframing) -> Reframing:
    """The reframing of the picture that regions refer to: not turned if their dimensions are of the upright one."""
    if QUARTER_TURNS[reframing.orientation] % 2 == 0:
        return reframing
    for _, fields in dimensions:
        sides = [_number(fields[name]) if name in fields else math.nan for name in "wh"]
        stored_width, stored_height = reframing.stored_size
        if (sides[0] - sides[1]) * (stored_width - stored_height) < 0:
            return replace(reframing, orientation=1)
    return reframing


def _move_area(document: minidom.Document, fields: dict[str, Node], reframing: Reframing) -> bool:
    """Move an area given by its center and its size or diameter; whether it could be."""
    values = {name: _number(fields[name]) for name in ("x", "y", "w", "h", "d") if name in fields}
    if not {"x", "y"} <= set(values) or not all(math.isfinite(value) for value in values.values()):
        return False
    across, down = values.get("w", 0.0), values.get("h", 0.0)
    x, y = values["x"], values["y"]
    left, top, right, bottom = reframing.move((x - across / 2, y - down / 2, x + across / 2, y + down / 2))
    scale = min(reframing.photo_size) / min(reframing.width, reframing.height)
    moved = {"x": (left + right) / 2, "y": (top + bottom) / 2, "w": right - left, "h": bottom - top}
    moved["d"] = values.get("d", 0.0) * scale
    for name in values:
        set_text(document, fields[name], _format(moved[name]))
    return True


def _move_rectangle(document: minidom.Document, node: Node, reframing: Reframing) -> bool:
    """Move a rectangle "left, top, width, height"; whether it could be."""
    values = [_to_number(text) for text in text_of(node).split(",")]
    if len(values) != 4 or not all(math.isfinite(value) for value in values):
        return False
    box: Box = (values[0], values[1], values[0] + values[2], values[1] + values[3])
    left, top, right, bottom = reframing.move(box)
    set_text(document, node, ", ".join(map(_format, (left, top, right - left, bottom - top))))
    return True


def _move_subject(document: minidom.Document, node: Node, reframing: Reframing) -> bool:
    """Move a list of pixels as of the tag SubjectArea of EXIF; whether it could be."""
    if not isinstance(node, minidom.Element):
        return False
    items = list(node.getElementsByTagNameNS(RDF, "li"))
    values = tuple(_number(item) for item in items)
    if len(values) not in (2, 3, 4) or not all(math.isfinite(value) for value in values):
        return False
    for item, value in zip(items, move_subject(values, reframing), strict=True):
        set_text(document, item, str(round(value)))
    return True


def _number(node: Node) -> float:
    return _to_number(text_of(node))


def _to_number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if abs(value) < 1e6 else math.nan


def _format(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")
