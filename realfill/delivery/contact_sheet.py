"""The contact sheet of a delivery: a page that holds its pictures, and a PDF to print."""

from __future__ import annotations

import io
import unicodedata
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from fpdf import FPDF
from PIL import Image

from realfill.album.verdict import is_to_be_looked_at
from realfill.delivery.finished_photos import FinishedPhoto
from realfill.delivery.table import Row
from realfill.delivery.text_fonts import TextFonts, find_fonts
from realfill.imaging.ops import shrink_to
from realfill.photo_io.color_management import read_srgb
from realfill.report.rendering import render

_NAMED_LETTERS = 12  # that a warning names


@dataclass(frozen=True)
class ContactSheetSettings:
    """How a contact sheet looks.

    Attributes:
        side: Longer side of its pictures, pixels. Set by hand: enough for 6 cm at 200 dpi.
        jpeg_quality: Of its pictures. Set by hand.
        page: Width and height of a page, inches: A4.
        columns: Pictures beside each other. Set by hand.
        rows: Pictures below each other. Set by hand.
        margin: Around the page and between pictures, inches. Set by hand.
        text_height: Of a line below a picture, inches. Set by hand.
    """

    side: int = 480
    jpeg_quality: int = 85
    page: tuple[float, float] = (8.27, 11.69)
    columns: int = 3
    rows: int = 4
    margin: float = 0.3
    text_height: float = 0.15


@dataclass(frozen=True)
class Thumbnail:
    """A picture of a contact sheet.

    Attributes:
        row: Its row of the table.
        jpeg: The picture, JPEG without metadata.
    """

    row: Row
    jpeg: bytes


def make_thumbnail(
    photo: FinishedPhoto, row: Row, settings: ContactSheetSettings = ContactSheetSettings()
) -> Thumbnail:
    """Make the picture of a finished photo.

    Raises:
        PhotoError: The photo cannot be decoded.
    """
    picture = Image.fromarray(shrink_to(read_srgb(photo.path), settings.side))
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=settings.jpeg_quality)
    return Thumbnail(row, data.getvalue())


def write_page(thumbnails: Sequence[Thumbnail], title: str) -> bytes:
    """The contact sheet as one HTML file, its pictures inside."""
    cards = [
        {
            "row": thumbnail.row,
            "source": f"data:image/jpeg;base64,{b64encode(thumbnail.jpeg).decode()}",
            "to_be_looked_at": is_to_be_looked_at(thumbnail.row.verdict),
        }
        for thumbnail in thumbnails
    ]
    return render("contact_sheet.html", title=title, cards=cards).encode("utf-8", errors="backslashreplace")


def write_pdf(
    thumbnails: Sequence[Thumbnail], title: str, settings: ContactSheetSettings = ContactSheetSettings()
) -> tuple[bytes, str]:
    """The contact sheet as a PDF of A4 pages, its text in fonts of the machine.

    Returns:
        The file, and a warning that names the letters that no font has, for which there are boxes; empty if all are
        there.
    """
    texts = [title, *(text for thumbnail in thumbnails for text in _captions(thumbnail))]
    fonts = find_fonts(texts)
    pdf = _open_pdf(fonts, title, settings)
    count = settings.columns * settings.rows
    starts = range(0, len(thumbnails), count)
    for number, start in enumerate(starts, 1):
        heading = f"{title}, page {number} of {len(starts)}"
        _draw_page(pdf, thumbnails[start : start + count], heading, fonts, settings)
    return bytes(pdf.output()), _describe_missing(fonts)


def _captions(thumbnail: Thumbnail) -> tuple[str, str]:
    row = thumbnail.row
    left = f", {max(1, round(100 * row.left))} % left as it was" if 0 < row.left < 1 else ""
    return row.file, f"{row.verdict}{left}"


def _describe_missing(fonts: TextFonts) -> str:
    if not fonts.missing:
        return ""
    letters = sorted(fonts.missing)
    named = ", ".join(f"{letter} ({unicodedata.name(letter, 'no name')})" for letter in letters[:_NAMED_LETTERS])
    more = f" and {len(letters) - _NAMED_LETTERS} more" if len(letters) > _NAMED_LETTERS else ""
    return (
        f"The contact sheet's PDF shows boxes for letters that no font of this machine has: {named}{more}. Install a "
        "font that has them, e.g. fonts-noto, fonts-noto-cjk or fonts-noto-color-emoji of Debian, and deliver again."
    )


def _open_pdf(fonts: TextFonts, title: str, settings: ContactSheetSettings) -> FPDF:
    pdf = FPDF(unit="in", format=settings.page)
    pdf.set_auto_page_break(False)
    pdf.c_margin = 0
    pdf.set_title(title)
    for number, path in enumerate(fonts.paths):
        pdf.add_font(f"font{number}", fname=path)
    pdf.set_fallback_fonts([f"font{number}" for number in range(1, len(fonts.paths))], exact_match=False)
    pdf.set_text_shaping(True, direction="ltr")  # of file names; runs of other directions are turned
    pdf.set_font("font0", size=72 * settings.text_height * 0.75)
    return pdf


def _draw_page(
    pdf: FPDF, thumbnails: Sequence[Thumbnail], heading: str, fonts: TextFonts, settings: ContactSheetSettings
) -> None:
    width, height = settings.page
    margin, line = settings.margin, settings.text_height
    pdf.add_page()
    _write_line(pdf, margin, margin / 2, width - 2 * margin, heading, fonts, line)
    cell_width = (width - margin) / settings.columns
    cell_height = (height - 2 * margin) / settings.rows
    box = (cell_width - margin, cell_height - 3 * line)
    for place, thumbnail in enumerate(thumbnails):
        row, column = divmod(place, settings.columns)
        left, top = margin + column * cell_width, 1.5 * margin + row * cell_height
        with Image.open(io.BytesIO(thumbnail.jpeg)) as picture:
            scale = min(box[0] / picture.width, box[1] / picture.height)
            size = picture.width * scale, picture.height * scale
        pdf.image(io.BytesIO(thumbnail.jpeg), left, top + box[1] - size[1], *size)
        for number, text in enumerate(_captions(thumbnail)):
            _write_line(pdf, left, top + box[1] + number * line, box[0], text, fonts, line)


def _write_line(pdf: FPDF, left: float, top: float, width: float, text: str, fonts: TextFonts, height: float) -> None:
    """Write as much of a text as a line has room for."""
    text = fonts.replace_missing(text.encode("utf-8", errors="replace").decode())
    if pdf.get_string_width(text) > width:
        while text and pdf.get_string_width(f"{text}…") > width:
            text = text[:-1]
        text += "…"
    pdf.set_xy(left, top)
    pdf.cell(width, height, text, align="L")
