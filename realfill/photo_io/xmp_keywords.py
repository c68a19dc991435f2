"""Keywords in XMP packets, wherever programs keep them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from xml.dom import minidom

from realfill.photo_io.place_keywords import find_place_names, is_root, redact_list, tells_place
from realfill.photo_io.xmp_xml import RDF, Node, iterate_nodes, qualified_name, remove, set_text, text_of

_MWG = "http://www.metadataworkinggroup.com/schemas/keywords/"
_LISTS = frozenset(  # local names of properties with an RDF container of keywords
    {"subject", "hierarchicalSubject", "weightedFlatSubject", "TagsList", "LastKeywordXMP", "LastKeywordIPTC"}
    | {"CatalogSets", "SupplementalCategories", "keywords", "Keywords", "TagStructure", "CaptureOneKeywords"}
)
_TEXTS = frozenset({"Keywords", "keywords", "Category"})  # with keywords in one text
_CATEGORIES = "categories"  # ACDSee's, as XML in a text


def read_place_names(document: minidom.Document) -> frozenset[str]:
    """The names of places that hierarchies tell, in lower case."""
    names = find_place_names(text_of(item) for item in _items(document))
    nested = (node for item in _mwg_places(document) for node in item.getElementsByTagNameNS(_MWG, "Keyword"))
    return names | {text_of(node).strip().lower() for node in nested if not is_root(text_of(node))}


def remove_places(document: minidom.Document, names: Collection[str]) -> None:
    """Remove the keywords that tell a place; `names`, in lower case, are those of known places."""
    told = [item for item in _items(document) if tells_place(text_of(item), names)]
    for item in [*_mwg_places(document), *told]:
        remove(item)
    for node in iterate_nodes(document):
        name = node.localName or ""
        if name == _CATEGORIES and any(is_root(word) for word in _words(text_of(node))):
            remove(node)
        elif name in _TEXTS and _is_plain(node):
            set_text(document, node, redact_list(text_of(node), names))


def _items(document: minidom.Document) -> Iterator[minidom.Element]:
    """The entries of all lists of keywords."""
    for item in document.getElementsByTagNameNS(RDF, "li"):
        container = item.parentNode
        owner = container.parentNode if isinstance(container, minidom.Element) else None
        if isinstance(owner, minidom.Element) and owner.localName in _LISTS and _is_plain(item):
            yield item


def _mwg_places(document: minidom.Document) -> Iterator[minidom.Element]:
    """The entries of the Metadata Working Group's hierarchies whose root tells that they are of places."""
    for item in document.getElementsByTagNameNS(RDF, "li"):
        inner = next((child for child in _elements(item) if qualified_name(child) == (RDF, "Description")), item)
        own = [child for child in _elements(inner) if qualified_name(child) == (_MWG, "Keyword")]
        told = text_of(own[0]) if own else inner.getAttributeNS(_MWG, "Keyword")
        if is_root(told):
            yield item


def _elements(node: minidom.Element) -> list[minidom.Element]:
    return [child for child in node.childNodes if isinstance(child, minidom.Element)]


def _is_plain(node: Node) -> bool:
    return isinstance(node, minidom.Attr) or not _elements(node)


def _words(text: str) -> list[str]:
    """What stands between the tags of XML in a text."""
    return [part.partition(">")[2] for part in text.split("<")]
