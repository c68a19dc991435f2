"""What in a photo's metadata tells where it was taken, or identifies its camera, its owner or the photo itself.

The tables follow what ExifTool knows; names of XMP properties are judged in every namespace, also in unknown ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from PIL import ExifTags

from realfill.photo_io.place_keywords import redact_list, tells_place
from realfill.photo_io.xmp_xml import RDF

_TAG, _IFD = ExifTags.Base, ExifTags.IFD
MAKER_NOTES = frozenset(  # data of the camera's maker, which hold serial numbers, and often the position
    {_TAG.MakerNote, _TAG.DNGPrivateData, _TAG.OriginalRawFileData, _TAG.PrintImageMatching}
)
GEOTIFF_TAGS = frozenset({33550, 33920, 33922, 34264, 34735, 34736, 34737})  # where on the earth each pixel lies
_UNNAMED_TAGS = frozenset({0x9214, *range(0xA436, 0xA43D)})  # SubjectArea; those of Exif 3.0
_KNOWN_TAGS = {int(tag) for tag in _TAG} | {int(pointer) for pointer in _IFD} | _UNNAMED_TAGS
_IDENTITY_TAGS = frozenset(
    {_TAG.HostComputer, _TAG.ImageID, _TAG.ImageUniqueID, _TAG.CameraOwnerName, _TAG.BodySerialNumber}
    | {_TAG.LensSerialNumber, _TAG.CameraSerialNumber, _TAG.RawDataUniqueID, _TAG.OriginalRawFileName}
)
_POSITION_DATASETS = frozenset({(2, 26), (2, 27), (2, 90), (2, 92), (2, 95), (2, 100), (2, 101)})  # IPTC-IIM
_IDENTITY_DATASETS = frozenset({(1, 100), (2, 185), (2, 186), (2, 187), (2, 188)})

_PLACE = re.compile(  # local names of XMP properties, in lower case
    r"gps|(?<!isospeed)latitude|longt?itude|altitude|elevation|geotag|geohash|geograph|georeference|geologicalcontext"
    r"|geodetic|coordinate|verbatim(depth|locality)|location|locality|footprint"
    r"|^(lat|lon|long|lng|alt|position|city|state|country|countrycode|countryname|provincestate|stateprovince)$"
    r"|^(sublocation|worldregion|continent|county|municipality|island|islandgroup|waterbody|habitat|place|venue)$"
    r"|^(placename|placeofinterest|poi|landmark|town|village|neighbou?rhood|regionname|geonames?|plus_?code)$"
    r"|^((street|postal)?address|postalcode|zip(code)?|latl(on|ng)|coords?|easting|northing|utm|mgrs|gridref)$"
    r"|^(what3words|mcc|mnc|lac|cellid|b?ssid|mapdatum|coverage|spatial)$"
)
_PLACE_ENDING = re.compile(r"[a-z](Lat|Lon|Long|Lng|Alt)$")
_NO_PLACE = frozenset({"subjectlocation", "markerslocation"})  # places in the picture, or in time
_PLACE_NAMESPACE = re.compile(r"geotag|drone|dji\.com|pix4d|wgs84_pos|/cell/|cellTower", re.IGNORECASE)
_IDENTITY = re.compile(
    r"serialnumber|serialno\b|cameraowner|^ownername$|ownersdeviceid|uniqueid|guid$|^(drone|device)?serial$"
    r"|^(documentid|instanceid|originaldocumentid|documentancestors|rawfilename|hostcomputer|burstid)$"
)
_IDENTITY_NAMESPACE = "http://ns.adobe.com/xap/1.0/mm/"  # identifiers of the photo and of what it was derived from
_MAKER_NOTE = re.compile(r"makernote|^shot_log_data$")

_NUMBER = r"[-+]?\d{1,3}(?:[.,]\d+)?"
_DECIMAL = r"-?\d{1,3}\.\d{3,}"
_QUOTE = "[\"'\u2019\u2032\u2033]"
_DEGREES = r"(?:\u00c2?[\u00b0\u00ba]|deg\b)"  # also the bytes of UTF-8, read as Latin-1
_UNITS = "[\\s,:\u00c2\u00b0\u00ba\"'\u2019\u2032\u2033]"  # between degrees, minutes and seconds
_ANGLE = rf"\d{{1,3}}(?:{_UNITS}{{1,4}}\d{{1,2}}(?:\.\d{{1,8}})?){{1,2}}{_UNITS}{{0,4}}"
_BETWEEN = r"\s{0,3}(?:[,;/ ]|%2C)\s{0,3}"
_COORDINATES = re.compile(
    rf"geo:(?:lat|lon|lng|long)\w*\s{{0,3}}=\s{{0,3}}{_NUMBER}"  # machine tags
    rf"|geo:{_NUMBER},{_NUMBER}(?:,{_NUMBER})?"  # RFC 5870
    rf"|(?:gps)?(?:latitude?|longitude?|breitengrad|l\u00e4ngengrad){_QUOTE}?(?:ref)?"
    rf"(?:\s{{1,3}}(?:is|ist|es))?\s{{0,3}}[:=]?\s{{0,3}}{_QUOTE}?{_NUMBER}(?:[.,]\d+){{0,2}}(?-i:[NSEWO]\b)?"
    rf"|\bm?(?:lat|lon|lng|long){_QUOTE}?\s{{0,3}}[:= ]\s{{0,3}}{_QUOTE}?[-+]?\d{{1,3}}\.\d+"
    rf"|{_NUMBER}\s{{0,3}}{_DEGREES}\s{{0,3}}{_NUMBER}\s{{0,3}}\S{{1,3}}(?:\s{{0,3}}{_NUMBER}\s{{0,3}}\S{{1,6}})?\s{{0,3}}(?-i:[NSEWO])\b"
    rf"|\d{{1,3}}\.\d{{2,}}\s{{0,3}}{_DEGREES}?\s{{0,3}}(?-i:[NSEWO])\b"
    rf"|-?\d{{1,3}}\.\d{{3,}}\s{{0,3}}{_DEGREES}(?!\s{{0,3}}(?-i:[CFK])\b)"
    rf"|(?-i:\b[NS])\s{{0,2}}{_ANGLE}[,\s]{{0,3}}(?-i:[EWO])\s{{0,2}}{_ANGLE}"
    rf"|(?<![\d.]){_ANGLE}(?-i:[NS])\b[,\s]{{0,3}}{_ANGLE}(?-i:[EWO])\b"
    r"|\b\d{1,3},\d{1,2}(?:\.\d+|,\d{1,2})(?-i:[NSEW])\b"  # XMP
    r"|[-+]\d{2}\.\d{3,}[-+]\d{3}\.\d{3,}(?:[-+][\d.]+)?/?"  # ISO 6709
    rf"|[@=]{_DECIMAL}{_BETWEEN}{_DECIMAL}|!\d?[a-z]{_DECIMAL}"  # links to maps
    rf"|(?<![\d.,])(?<!\d, ){_DECIMAL}{_BETWEEN}{_DECIMAL}(?![\d.])(?!\s{{0,3}},\s{{0,3}}-?[\d.])"
    r"|(?<![\d.,])-?\d{1,3},\d{4,}\s{0,3}[;/ ]\s{0,3}-?\d{1,3},\d{4,}(?![\d.,])"  # decimal commas
    r"|(?-i:\b[2-9CFGHJMPQRVWX]{8}\+[2-9CFGHJMPQRVWX]{2,3}\b)"  # plus codes
    r"|(?-i:\b\d{1,2}[C-X]\s{1,3}\d{6}(?:\.\d+)?\s{1,3}\d{7}\b)"  # UTM
    r"|(?-i:\b\d{1,2}[C-X]\s?[A-Z]{2}\s?\d{4,5}\s?\d{4,5}\b)",  # MGRS
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Privacy:
    """What of the metadata is delivered.

    Attributes:
        keep_position: Whether it stays where the photo was taken.
        keep_identity: Whether serial numbers, the camera owner's name and unique identifiers stay.
        place_names: Keywords, in lower case, that are names of places; see `place_keywords`.
    """

    keep_position: bool = True
    keep_identity: bool = True
    place_names: frozenset[str] = frozenset()

    @property
    def keeps_all(self) -> bool:
        """Whether nothing is removed."""
        return self.keep_position and self.keep_identity

    def allows_tag(self, tag: int) -> bool:
        """Whether a tag of an EXIF block, outside of its GPS directory, is delivered.

        Where anything is removed, so is what is not known to be harmless: maker notes and tags without a name.
        """
        if self.keeps_all:
            return True
        is_harmless = tag in _KNOWN_TAGS and tag not in MAKER_NOTES
        if not self.keep_position:
            is_harmless = is_harmless and tag != _IFD.GPSInfo
        elif tag in GEOTIFF_TAGS:
            is_harmless = True
        return is_harmless and (self.keep_identity or tag not in _IDENTITY_TAGS)

    def allows_dataset(self, record: int, dataset: int) -> bool:
        """Whether a dataset of IPTC-IIM is delivered."""
        key = (record, dataset)
        return (self.keep_position or key not in _POSITION_DATASETS) and (
            self.keep_identity or key not in _IDENTITY_DATASETS
        )

    def allows_property(self, namespace: str, name: str) -> bool:
        """Whether an XMP property, or a text of a PNG by the name of one, is delivered."""
        if self.keeps_all:
            return True
        if _MAKER_NOTE.search(name.lower()):
            return False
        return (self.keep_position or not _tells_place(namespace, name)) and (
            self.keep_identity or not (namespace == _IDENTITY_NAMESPACE or _IDENTITY.search(name.lower()))
        )

    def allows_keyword(self, keyword: str) -> bool:
        """Whether a keyword is delivered."""
        return self.keep_position or not tells_place(keyword, self.place_names)

    def redact_keywords(self, text: str) -> str:
        """Overwrite those keywords of a list in one text that tell a place, and coordinates, by spaces."""
        return text if self.keep_position else self.redact(redact_list(text, self.place_names))

    def redact(self, text: str) -> str:
        """Overwrite coordinates in a text by spaces."""
        return text if self.keep_position else _COORDINATES.sub(lambda match: " " * len(match[0]), text)

    def redact_bytes(self, value: bytes) -> bytes:
        """Overwrite coordinates in the bytes of a text by spaces, whatever its encoding."""
        if self.keep_position:
            return value
        for codec in ("latin-1", "utf-16-le", "utf-16-be"):
            try:
                text = value.decode(codec)
            except UnicodeDecodeError:
                continue
            value = self.redact(text).encode(codec)
        return value


def _tells_place(namespace: str, name: str) -> bool:
    if namespace == RDF or name.lower() in _NO_PLACE:
        return False
    is_place = _PLACE.search(name.lower()) or _PLACE_ENDING.search(name)
    return bool(is_place or _PLACE_NAMESPACE.search(namespace))
