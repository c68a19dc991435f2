"""What ExifTool finds in photos whose position and identity were to be removed: all that it can write was there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from realfill.photo_io import metadata
from realfill.photo_io.decode import read_photo
from realfill.photo_io.encode import SUFFIXES, encode
from realfill.photo_io.metadata_update import Delivery, update_for_export
from realfill.photo_io.privacy import Privacy
from realfill.photo_io.reframing import Reframing
from support.camera_photos import COFFEE, SECRET, camera_block
from support.exiftool import run_exiftool

PLACE_NAMES = re.compile(
    r"gps|latitude|longt?itude|altitude|geo|coordinate|location|city|country|province|^state$|continent|locality|lat$"
    r"|lon$|elevation|cellid|^position$|worldregion|mobile(country|network)|islandgroup|waterbody|county|municipality"
)
IDENTITY_NAMES = re.compile(
    r"serialnumber|ownername|uniqueid|guid$|(document|instance)id|hostcomputer|ownersdeviceid"
)
OTHERS = re.compile(  # of people who hold rights, in the picture, in time, of the sensor
    r"creator|licensor|copyrightowner|artwork|isospeed|subjectlocation|markers|ycbcr|geologic|artist|rights"
)
PIXELS = COFFEE[:40, :60]
TOWN, LATITUDE, SERIAL = "Munich", "48.1372", "SN-20250"
WORDS = f"https://maps.example/@{LATITUDE},11.5754,17z at lat: {LATITUDE}, lon: 11.5754; {LATITUDE} N 11.5754 E"


def names_to_write() -> list[str]:
    """The names of positions and identities that ExifTool can write into XMP, EXIF or IPTC."""
    names = []
    for group in ("XMP", "EXIF", "IPTC"):
        listed = run_exiftool("-listw", f"-{group}:all").split(":", 1)[1].split()
        names += [
            f"{group}:{name}" for name in listed if is_meant(name, PLACE_NAMES) or is_meant(name, IDENTITY_NAMES)
        ]
    return names


def is_meant(name: str, pattern: re.Pattern[str]) -> bool:
    name = name.rpartition(":")[2].lower()
    return bool(pattern.search(name) and not OTHERS.search(name))


def value_of(name: str) -> str:
    if IDENTITY_NAMES.search(name.lower()):
        return SERIAL
    return LATITUDE if re.search(r"tude|lat$|lon$|alt$|gps", name.lower()) else TOWN


def write_sources(folder: Path) -> list[Path]:
    """Photos of all formats with positions where ExifTool writes none: in comments, texts and GeoTIFF tags."""
    block = b"Exif\0\0" + camera_block()
    png = PngInfo()
    for key in ("exif:GPSLatitude", "Comment", "geo:lat"):
        png.add_text(key, WORDS)
    Image.fromarray(PIXELS).save(folder / "a.png", exif=block, pnginfo=png)
    Image.fromarray(PIXELS).save(folder / "a.webp", exif=block)
    Image.fromarray(PIXELS).save(folder / "a.heic", exif=block)
    geo = [(33550, "d", 3, (1.0, 1.0, 0.0)), (33922, "d", 6, (0, 0, 0, 11.5754, 48.1372, 0)), (42112, "s", 0, WORDS)]
    tifffile.imwrite(folder / "a.tif", PIXELS, photometric="rgb", extratags=[(*tag, True) for tag in geo])
    Image.fromarray(PIXELS).save(folder / "a.jpg", exif=block, comment=WORDS)
    return [folder / f"a{suffix}" for suffix in (".jpg", ".png", ".tif", ".webp", ".heic")]


def plant(paths: list[Path]) -> None:
    written = [f"-{name}={value_of(name)}" for name in names_to_write()]
    words = [f"-{name}={WORDS}" for name in ("EXIF:UserComment", "EXIF:ImageDescription", "XMP-dc:Description")]
    words += [
        "-IPTC:Caption-Abstract=" + WORDS,
        f"-XMP-dc:Subject=geo:lat={LATITUDE}",
        f"-IPTC:Keywords=geo:lat={LATITUDE}",
    ]
    kept = ["-XMP-dc:Creator=Ann", "-XMP-dc:Rights=(c) Ann", "-EXIF:Artist=Ann", "-XMP-dc:Subject=coffee"]
    run_exiftool("-q", "-q", "-m", "-overwrite_original", *written, *words, *kept, *paths)
    jpeg = paths[0].read_bytes()
    second = jpeg[2 : 4 + int.from_bytes(jpeg[jpeg.index(b"\xff\xe1") + 2 :][:2])]
    assert b"Exif" in second
    paths[0].write_bytes(jpeg[:2] + second + jpeg[2:] + jpeg)


def delivered(source: Path, folder: Path, privacy: Privacy) -> Iterator[Path]:
    """The photo delivered in all formats."""
    photo = read_photo(source)
    about = metadata.read(source)
    about = update_for_export(about, Delivery(Reframing(photo.width, photo.height), privacy=privacy), source)
    folder.mkdir()
    for file_format, suffix in SUFFIXES.items():
        path = folder / f"{source.suffix[1:]}{suffix}"
        path.write_bytes(encode(photo, file_format, about, 96))
        yield path


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    paths = write_sources(tmp_path_factory.mktemp("sources"))
    plant(paths)
    return paths


def read_all(paths: list[Path]) -> list[dict[str, object]]:
    tags: list[dict[str, object]] = json.loads(run_exiftool("-json", "-a", "-G1:4", "-ee", "-u", *paths))
    return [
        {name: value for name, value in each.items() if not name.startswith(("System", "ExifTool"))} for each in tags
    ]


def told(tags: dict[str, object], pattern: re.Pattern[str]) -> list[str]:
    """Names of tags that a pattern finds."""
    return [name for name in tags if name != "SourceFile" and is_meant(name, pattern)]


def test_no_position_and_no_identity_is_left_in_any_format(sources: list[Path], tmp_path: Path) -> None:
    for planted in read_all(sources):
        assert len(told(planted, PLACE_NAMES)) > (2 if planted["SourceFile"] == "a.heic" else 40)
    nothing = Privacy(keep_position=False, keep_identity=False)
    paths = [path for source in sources for path in delivered(source, tmp_path / source.suffix, nothing)]
    for path, tags in zip(paths, read_all(paths), strict=True):
        assert told(tags, PLACE_NAMES) == [], path.name
        assert told(tags, IDENTITY_NAMES) == [], path.name
        values = json.dumps([value for name, value in tags.items() if name != "SourceFile"])
        for secret in (TOWN, "48.137", "11.575", SERIAL):
            assert secret not in values, path.name
            assert secret.encode() not in path.read_bytes(), path.name
        assert SECRET not in path.read_bytes(), "the maker notes"
        assert "Ann" in values and "coffee" in values, path.name


@pytest.mark.parametrize(
    ("privacy", "kept", "removed"),
    [
        (Privacy(keep_position=False), SERIAL, TOWN),
        (Privacy(keep_identity=False), TOWN, SERIAL),
    ],
    ids=["position", "identity"],
)
def test_only_what_was_asked_for_is_removed(
    privacy: Privacy, kept: str, removed: str, sources: list[Path], tmp_path: Path
) -> None:
    paths = [path for source in sources for path in delivered(source, tmp_path / source.suffix, privacy)]
    for path, tags in zip(paths, read_all(paths), strict=True):
        values = json.dumps([value for name, value in tags.items() if name != "SourceFile"])
        assert kept in values, path.name
        assert removed not in values, path.name
        assert (told(tags, PLACE_NAMES) == []) == (not privacy.keep_position), path.name


@pytest.mark.parametrize(
    "text",
    [
        "geo:lat=48.1372",
        "geo:48.1372,11.5754",
        "48\u00b0 8' 14.25\" N, 11\u00b0 34' 31\" E",
        "48.1372, 11.5754",
        "48.1372 N",
        "+48.1372+011.5754/",
        '{"latitude": "48.1372"}',
        "Lat: -48.1372",
        "https://maps.example/?q=48.1372,11.5754",
        "https://maps.example/?ll=48.1372%2C11.5754",
        "https://maps.example/?mlat=48.1372&mlon=11.5754",
        "!3d48.1372!4d11.5754",
        "POINT(-148.4194 48.7749)",
        "[148.2093,-48.8688]",
        "48.1372\u00b0, 11.5754\u00b0",
        "48\u00ba 08' 11\" N",
        "N 48\u00b0 08.232' E 011\u00b0 34.531'",
        "S48 51.512 E148 12.345",
        "48 8 11 N 11 34 31 E",
        "48,8.232N 11,34.524E",
        "GPSLatitude=48,8.232N",
        "48,1372; 11,5754",
        "48.137, 11.575",
        "lat 48.1372 lon 11.5754",
        "Latitude is 48.1372",
        "48U 691603 5334760",
    ],
)
@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le", "utf-16-be"])
def test_coordinates_in_words_are_overwritten(text: str, codec: str) -> None:
    private = Privacy(keep_position=False)
    assert not re.search(r"48|11\.", private.redact(f"The roof ({text}), 1931"))
    value = f"The roof ({text}), 1931".encode(codec)
    redacted = private.redact_bytes(value)
    assert len(redacted) == len(value)
    assert b"4" not in redacted
    assert redacted.startswith("The roof (".encode(codec)) and redacted.endswith("), 1931".encode(codec))


@pytest.mark.parametrize(
    "text",
    ["f/2.8, 1/250 s", "0.25 s at ISO 100", "0.1234, 0.2345, 0.3456, 0.4567", "The long bridge: 120 m", "12.05.1931"]
    + [
        "10 12 2020 E",
        "2026:11:26 04:30:00",
        "21.50 \u00b0C",
        "Kodak 5207, roll 12 A 3",
        "1,234,567 N",
        "at 5:30 N 34th St",
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert Privacy(keep_position=False).redact(text) == text


@pytest.mark.parametrize("text", ["8FWH4HP9+3W", "32UPU 91603 34760"])
def test_codes_of_places_are_overwritten(text: str) -> None:
    assert Privacy(keep_position=False).redact(f"The roof ({text})") == f"The roof ({' ' * len(text)})"


@pytest.mark.parametrize(
    "name", ["latLon", "Town", "postalCode", "plus_code", "StreetAddress", "bssid", "what3words"]
)
def test_properties_that_tell_a_place_are_not_delivered(name: str) -> None:
    assert not Privacy(keep_position=False).allows_property("http://example.com/any/", name)


KEYWORDS = {  # as Lightroom, digiKam, Windows, Media Pro, the Metadata Working Group and ACDSee write them
    "XMP-lr:HierarchicalSubject": "Places|Bavaria|Munich",
    "XMP-digiKam:TagsList": "Orte/Bavaria/Munich",
    "XMP-microsoft:LastKeywordXMP": "Places/Bavaria/Munich",
    "XMP-mediapro:CatalogSets": "Locations|Bavaria|Munich",
    "XMP-mwg-kw:KeywordInfo": "{Hierarchy=[{Keyword=Places,Children=[{Keyword=Munich}]}]}",
    "XMP-acdsee:Categories": '<Categories><Category Assigned="0">Places<Category Assigned="1">Munich'
    "</Category></Category></Categories>",
    "XMP-dc:Subject": "geo:lat=48.1372",
    "XMP-dc:Coverage": "Munich",
    "XMP-pdf:Keywords": "roof; Places|Munich",
    "IPTC:Keywords": "Places|Munich",
    "EXIF:XPKeywords": "roof;Places/Munich",
}


@pytest.mark.parametrize("flat", [False, True])
def test_keywords_of_places_are_removed_and_others_stay(tmp_path: Path, flat: bool) -> None:
    source = tmp_path / "a.jpg"
    Image.fromarray(PIXELS).save(source)
    told = {"XMP-lr:HierarchicalSubject": KEYWORDS["XMP-lr:HierarchicalSubject"]} if flat else KEYWORDS
    names = ("XMP-dc:Subject", "IPTC:Keywords")
    repeated = [f"-{name}+={word}" for name in names for word in ("roof", *(("Munich", "Bavaria") if flat else ()))]
    written = [f"-{name}{'+' if name in names else ''}={value}" for name, value in told.items()]
    run_exiftool("-q", "-overwrite_original", *written, *repeated, source)
    assert "Munich" in run_exiftool("-a", source)
    privacy = Privacy(keep_position=False)
    about = update_for_export(metadata.read(source), Delivery(Reframing(60, 40), privacy=privacy), source)
    for file_format in ("JPEG", "TIFF", "PNG"):
        path = tmp_path / f"delivered{SUFFIXES[file_format]}"
        path.write_bytes(encode(read_photo(source), file_format, about, 90))
        left = run_exiftool("-a", "-G1", path)
        assert not re.search("Munich|Bavaria|48.1", left)
        assert "roof" in left
        assert not re.search(rb"Munich|Bavaria|M\0u\0n\0i", path.read_bytes())
