"""Delivering finished photos: copied, or signed, with their provenance, their maps, a contact sheet and a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from realfill.album.layout import Album
from realfill.core.atomic_io import encode_json
from realfill.core.errors import ExportError, OutputError, RealFillError, printable
from realfill.core.hashing import digest_bytes
from realfill.delivery.contact_sheet import Thumbnail, make_thumbnail, write_page, write_pdf
from realfill.delivery.file_names import SIDECAR, name_files
from realfill.delivery.finished_photos import FinishedPhoto, read_finished_photo
from realfill.delivery.manifest import describe_photo, list_ingredients
from realfill.delivery.output import Output, new_output
from realfill.delivery.signing import Signer
from realfill.delivery.table import make_row, write_table


@dataclass(frozen=True)
class Wish:
    """A photo that is to be delivered.

    Attributes:
        album: Its album.
        note: What was remarked about it in the review; may be empty.
    """

    album: Album
    note: str = ""


@dataclass(frozen=True)
class Delivery:
    """What was delivered.

    Attributes:
        path: The folder or the archive.
        files: The names of the photos in it.
        problems: Why others are not in it, by name of the album.
        warning: What is not as it should be in it, a text; may be empty.
    """

    path: Path
    files: tuple[str, ...]
    problems: Mapping[str, RealFillError]
    warning: str


def deliver(
    wishes: Sequence[Wish],
    out: Path,
    names: str = "{album}",
    signer: Signer | None = None,
    on_album: Callable[[str], None] = lambda _: None,
) -> Delivery:
    """Write photos to a new folder or zip archive, which appears whole or not at all.

    Each photo has its provenance, `<name>.json`, and its authenticity map, `<name>.authenticity.png`, beside it. The
    contact sheet is `contact-sheet.html` and `contact-sheet.pdf`, the table `delivery.csv`. A photo that fails does
    not stop the others.

    Args:
        wishes: The photos, one or more.
        out: The folder to create, or the archive if it ends in `.zip`.
        names: Template of the names, see `file_names`.
        signer: Signs the photos with content credentials; None to copy them as they are.
        on_album: Called with the name of each album before it is worked on.

    Raises:
        OutputError: There is something in the place of `out`, or it lies in an album.
        ParamsError: The template cannot be used.
        RealFillError: Not even one photo can be delivered.
    """
    _require_outside(out, wishes)
    stems = name_files(names, [{"album": wish.album.name, "target": wish.album.root.name} for wish in wishes])
    thumbnails: list[Thumbnail] = []
    problems: dict[str, RealFillError] = {}
    with new_output(out) as output:
        for wish, stem in zip(wishes, stems, strict=True):
            on_album(wish.album.name)
            try:
                thumbnails.append(_deliver_photo(read_finished_photo(wish.album, wish.note), stem, signer, output))
            except RealFillError as error:
                problems[wish.album.name] = error
        if not thumbnails:
            raise next(iter(problems.values()))
        title = printable(out.stem)
        output.write("contact-sheet.html", write_page(thumbnails, title))
        pdf, warning = write_pdf(thumbnails, title)
        output.write("contact-sheet.pdf", pdf)
        output.write("delivery.csv", write_table([thumbnail.row for thumbnail in thumbnails]))
    return Delivery(out, tuple(thumbnail.row.file for thumbnail in thumbnails), problems, warning)


def _require_outside(out: Path, wishes: Sequence[Wish]) -> None:
    """Check that nothing is written into an album, whose results could not be replaced then."""
    place = out.absolute().parent.resolve()
    for wish in wishes:
        if any(place.is_relative_to(folder) for folder in (wish.album.base, wish.album.completed)):
            raise OutputError("A delivery cannot lie in an album.", "Choose another place.", out)


def _deliver_photo(photo: FinishedPhoto, stem: str, signer: Signer | None, output: Output) -> Thumbnail:
    file = stem + photo.path.suffix
    try:
        data = photo.data if signer is None else _sign(photo, file, signer)
        provenance = dict(photo.provenance) | {"photo": file, "digest": digest_bytes(data)}
        if signer is not None:
            signed = {"signer": signer.identity.name, "unsigned_digest": photo.provenance["digest"]}
            provenance["credentials"] = signed
        row = make_row(file, provenance, signer.identity.name if signer else "", photo.note, provenance["digest"])
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        problem = "The provenance of the finished photo is damaged."
        raise ExportError(problem, f"Run `realfill export {photo.album.name}` again.", photo.album.root) from error
    thumbnail = make_thumbnail(photo, row)
    output.write(file, data)
    output.write(f"{stem}.json", encode_json(provenance))
    output.write(f"{stem}{SIDECAR}.png", photo.authenticity_map)
    return thumbnail


def _sign(photo: FinishedPhoto, file: str, signer: Signer) -> bytes:
    ingredients = list_ingredients(photo.provenance, photo.album)
    map_digest = digest_bytes(photo.authenticity_map)
    return signer.sign(
        photo.data,
        photo.path.suffix,
        describe_photo(photo.provenance, file, ingredients, map_digest),
        ingredients,
        keep_inherited=photo.provenance["params"]["export"]["privacy"]["position"] == "keep",
    )
