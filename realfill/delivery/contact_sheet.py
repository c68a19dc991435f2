"""The contact sheet of a delivery: a page that holds its pictures, and a PDF to print."""

from __future__ import annotations

import io
import unicodedata
from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from realfill.album.verdict import is_to_be_looked_at
from realfill.delivery.finished_photos import FinishedPhoto
from realfill.delivery.table import Row
from realfill.imaging.ops import Pixels, shrink_to
from realfill.photo_io.color_management import read_srgb
from realfill.report.rendering import render

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class ContactSheetSettings:
    """How a contact sheet looks.

    Attributes:
        side: Longer side of its pictures, pixels. Set by hand: enough for 6 cm at 200 dpi.
        jpeg_quality: Of its pictures, and of the PDF's pages. Set by hand.
        resolution: Of the PDF's pages, dots per inch. Set by hand.
        page: Width and height of a page, inches: A4.
        columns: Pictures beside each other. Set by hand.
        rows: Pictures below each other. Set by hand.
        margin: Around the page and between pictures, inches. Set by hand.
        text_height: Of a line below a picture, inches. Set by hand.
        fonts: Files of fonts with many scripts, as systems have them; the first that there is is used, else Pillow's
            own, which has the letters of ASCII alone.
    """

    side: int = 480
    jpeg_quality: int = 85
    resolution: int = 200
    page: tuple[float, float] = (8.27, 11.69)
    columns: int = 3
    rows: int = 4
    margin: float = 0.3
    text_height: float = 0.15
    fonts: tuple[str, ...] = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf")


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
) -> bytes:
    """The contact sheet as a PDF of A4 pages."""
    count = settings.columns * settings.rows
    starts = range(0, len(thumbnails), count)
    pages = [
        _draw_page(thumbnails[start : start + count], f"{title}, page {number} of {len(starts)}", settings)
        for number, start in enumerate(starts, 1)
    ]
    data = io.BytesIO()
    pages[0].save(
        data,
        "PDF",
        save_all=True,
        append_images=pages[1:],
        resolution=settings.resolution,
        quality=settings.jpeg_quality,
        title=title,
    )
    return data.getvalue()


def _draw_page(thumbnails: Sequence[Thumbnail], heading: str, settings: ContactSheetSettings) -> Image.Image:
    dots = settings.resolution
    width, height = (round(side * dots) for side in settings.page)
    margin, line = round(settings.margin * dots), round(settings.text_height * dots)
    page = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(page)
    font = _load_font(settings.fonts, round(0.75 * line))
    draw.text((margin, margin // 2), _fit(heading, width - 2 * margin, font), "black", font)
    cell_width = (width - margin) // settings.columns
    cell_height = (height - 2 * margin) // settings.rows
    box = (cell_width - margin, cell_height - 3 * line)
    for place, thumbnail in enumerate(thumbnails):
        row, column = divmod(place, settings.columns)
        left, top = margin + column * cell_width, 3 * margin // 2 + row * cell_height
        picture = Image.fromarray(_fit_picture(thumbnail.jpeg, box))
        page.paste(picture, (left, top + box[1] - picture.height))
        for number, text in enumerate((thumbnail.row.file, thumbnail.row.verdict)):
            draw.text((left, top + box[1] + number * line), _fit(text, box[0], font), "black", font)
    return page


def _fit_picture(jpeg: bytes, box: tuple[int, int]) -> Pixels:
    """A picture at the largest size that a box has room for, [H, W, 3]."""
    with Image.open(io.BytesIO(jpeg)) as image:
        scale = min(box[0] / image.width, box[1] / image.height)
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        return np.asarray(image.convert("RGB").resize(size, Image.Resampling.LANCZOS))


def _load_font(names: Sequence[str], size: int) -> Font:
    for name in names:
        with suppress(OSError):
            return ImageFont.truetype(name, size)
    return ImageFont.load_default(size)


def _fit(text: str, width: int, font: Font) -> str:
    """As much of a text as a line has room for, in letters that the font has."""
    text = text.encode("utf-8", errors="replace").decode()
    if not isinstance(font, ImageFont.FreeTypeFont) or font.getname()[0] == "Aileron":  # Pillow's own
        plain = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in plain if not unicodedata.combining(char))
        text = text.encode("ascii", errors="replace").decode()
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"
