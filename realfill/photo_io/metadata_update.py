"""The original's metadata, updated for the finished photo."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from realfill.photo_io import exif, iptc, xmp
from realfill.photo_io import photoshop_resources as photoshop
from realfill.photo_io.metadata import Metadata, attempt
from realfill.photo_io.place_keywords import find_place_names
from realfill.photo_io.privacy import Privacy
from realfill.photo_io.reframing import Reframing
from realfill.photo_io.xmp_keywords import read_place_names
from realfill.photo_io.xmp_xml import BrokenXmpError, parse

_CAPTION_OF_TEXT = {  # names of `xmp_captions` by the keywords that the PNG specification registers
    "title": "title",
    "author": "creator",
    "description": "description",
    "copyright": "rights",
    "disclaimer": "instructions",
    "source": "source",
    "software": "creator_tool",
    "comment": "comment",
    "keywords": "keywords",
}
_KEYWORDS = "keywords"
_OUTDATED_TEXT = re.compile(  # of the file as it was: thumbnails, and EXIF tags that ImageMagick repeats as texts
    r"^thumb::|^png:|^exif:(thumbnail:|.*(orientation|width|length|dimension|offset|subjectarea|subjectlocation))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Delivery:
    """What the metadata of a finished photo is to say.

    Attributes:
        reframing: How the stored picture became the finished one.
        thumbnail: A JPEG of the finished photo; see `thumbnail.encode_thumbnail`.
        privacy: What of the original's metadata is delivered.
        authenticity: Shares that are written into XMP, as for `xmp.update_for_export`.
        source_type: The digital source type.
        is_srgb: Whether the finished photo's ICC profile is that of sRGB; None without one.
    """

    reframing: Reframing
    thumbnail: bytes = b""
    privacy: Privacy = Privacy()
    authenticity: Mapping[str, float] = field(default_factory=dict)
    source_type: str = xmp.PARTLY_GENERATED
    is_srgb: bool | None = None


def update_for_export(metadata: Metadata, delivery: Delivery, path: Path) -> Metadata:
    """Update the original's metadata for the finished photo.

    The pixels are written upright, as every stage sees them, and the orientation is set to 1: all viewers show that
    the same way, also those that ignore the tag. A thumbnail is replaced, but none is added. XMP, which is added if
    there is none, declares what the photo is a composite of (IPTC DigitalSourceType), and repeats captions that the
    file keeps elsewhere, so that they arrive in every format.

    Args:
        metadata: Metadata of the original.
        delivery: What it is to say.
        path: The original, to be named in warnings.
    """
    privacy = replace(delivery.privacy, place_names=_find_place_names(metadata))
    update_exif = partial(
        exif.update_for_export,
        reframing=delivery.reframing,
        thumbnail=delivery.thumbnail,
        privacy=privacy,
        is_srgb=delivery.is_srgb,
    )
    records, block = metadata.iptc, metadata.exif
    records = attempt("IPTC", path, partial(iptc.update_for_export, records, privacy)) if records else None
    block = attempt("EXIF", path, partial(update_exif, block)) if block else None
    texts = _update_texts(metadata.texts, privacy)
    update_xmp = partial(
        xmp.update_for_export,
        reframing=delivery.reframing,
        privacy=privacy,
        captions=_collect_captions(texts, metadata.resources, records),
        authenticity=delivery.authenticity,
        source_type=delivery.source_type,
        is_srgb=delivery.is_srgb,
    )
    packet = metadata.xmp
    packet = attempt("XMP", path, partial(update_xmp, packet, metadata.xmp_extension)) if packet else None
    return Metadata(
        exif=block or None,
        xmp=packet or update_xmp(None, None),
        iptc=records or None,
        resources=tuple((number, privacy.redact_bytes(data)) for number, data in metadata.resources),
        texts=texts,
        colors=metadata.colors,
        dpi=metadata.dpi,
    )


def _update_texts(texts: tuple[tuple[str, str], ...], privacy: Privacy) -> tuple[tuple[str, str], ...]:
    """Texts without those that are outdated or private."""
    return tuple(
        (keyword, privacy.redact_keywords(text) if keyword.lower() == _KEYWORDS else privacy.redact(text))
        for keyword, text in texts
        if not _OUTDATED_TEXT.search(keyword) and privacy.allows_property("", keyword.rpartition(":")[2])
    )


def _find_place_names(metadata: Metadata) -> frozenset[str]:
    """Names of places by hierarchical keywords, which the file repeats elsewhere as keywords of their own."""
    names = find_place_names(iptc.read_captions(metadata.iptc or b"").get(_KEYWORDS, ()))
    for packet in filter(None, (metadata.xmp, metadata.xmp_extension)):
        with suppress(BrokenXmpError):  # told where it is updated
            names |= read_place_names(parse(packet))
    return names


def _collect_captions(
    texts: tuple[tuple[str, str], ...], resources: tuple[photoshop.Resource, ...], records: bytes | None
) -> dict[str, tuple[str, ...]]:
    """What people wrote elsewhere than in XMP, by the names of `xmp_captions`; IPTC records come first."""
    captions: dict[str, tuple[str, ...]] = {}
    for keyword, text in texts:
        name = _CAPTION_OF_TEXT.get(keyword.lower())
        if name is not None:
            captions.setdefault(name, (text,))
    for number, data in resources:
        if number == photoshop.COPYRIGHT_FLAG and any(data):
            captions["marked"] = ("True",)
        elif number == photoshop.COPYRIGHT_URL:
            captions["web_statement"] = (iptc.decode_text(data),)
    return captions | (iptc.read_captions(records) if records else {})
