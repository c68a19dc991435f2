import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pypdf import PdfReader

from realfill.delivery.contact_sheet import ContactSheetSettings, Thumbnail, write_page, write_pdf
from realfill.delivery.table import Row
from support.browser import PHONE, emulate, find_violations, open_browser, read_console, read_requests


def thumbnail(file: str, color: int = 200) -> Thumbnail:
    data = io.BytesIO()
    Image.fromarray(np.full((60, 90, 3), color, np.uint8)).save(data, "JPEG")
    row = Row(file, "roof", "photographed", "Every pixel.", 1.0, 0, 0, 0, "compositeCapture", 0, "Ann", "<b>note", "")
    return Thumbnail(row, data.getvalue())


def test_the_page_holds_its_pictures_and_fetches_nothing() -> None:
    page = write_page([thumbnail("roof.jpg"), thumbnail("<script>.jpg")], "Müller & sons").decode()
    assert len(re.findall(r'src="data:image/jpeg;base64,', page)) == 2
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert "<title>Müller &amp; sons</title>" in page
    assert "&lt;script&gt;.jpg" in page
    assert "&lt;b&gt;note" in page
    assert "Signed by Ann." in page


@pytest.mark.parametrize(("count", "pages"), [(1, 1), (12, 1), (13, 2), (25, 3)])
def test_the_pdf_has_as_many_pages_as_it_needs(count: int, pages: int) -> None:
    data, warning = write_pdf([thumbnail(f"{number}.jpg") for number in range(count)], "Photos")
    assert warning == ""
    document = PdfReader(io.BytesIO(data))
    assert len(document.pages) == pages
    assert [float(side) / 72 for side in document.pages[0].mediabox[2:]] == pytest.approx(ContactSheetSettings.page)
    assert sum(len(page.images) for page in document.pages) == pages  # the same picture is embedded once
    assert f"{count - 1}.jpg" in document.pages[-1].extract_text()
    assert f"page {pages} of {pages}" in document.pages[-1].extract_text()


def test_the_pdf_tells_how_much_of_a_hole_is_not_filled() -> None:
    row = replace(thumbnail("roof.jpg").row, left=0.92)
    data, _ = write_pdf([replace(thumbnail("roof.jpg"), row=row)], "Photos")
    assert "photographed, 92 % left as it was" in PdfReader(io.BytesIO(data)).pages[0].extract_text()


def test_the_pdf_has_names_in_many_scripts() -> None:
    names = ["Дом.jpg", "Ελλάδα.jpg", "שלום.jpg", "مرحبا.jpg", "Łódź é.jpg"]
    data, warning = write_pdf([thumbnail(name) for name in names], "Свадьба")
    assert warning == ""
    text = PdfReader(io.BytesIO(data)).pages[0].extract_text()
    assert [name for name in ("Свадьба", *(name[:-4] for name in names)) if name not in text] == []


def test_letters_that_no_font_has_are_boxes_and_named_in_a_warning() -> None:
    data, warning = write_pdf([thumbnail("roof \U000f1234.jpg")], "Photos")
    assert "roof □.jpg" in PdfReader(io.BytesIO(data)).pages[0].extract_text()
    assert "\U000f1234 (no name)" in warning
    assert "Install" in warning


def test_a_long_name_ends_where_its_picture_does() -> None:
    data, _ = write_pdf([thumbnail("a very long name " * 9 + ".jpg")], "Photos")
    assert re.search("very long.*…", PdfReader(io.BytesIO(data)).pages[0].extract_text())


def test_the_page_is_accessible_and_fetches_nothing_in_a_browser(tmp_path: Path) -> None:
    page = tmp_path / "contact-sheet.html"
    page.write_bytes(write_page([thumbnail("roof.jpg"), thumbnail("tower.tif", 20)], "Photos"))
    with open_browser() as chrome:
        for scheme in ("light", "dark"):
            emulate(chrome, PHONE, scheme)
            chrome.get(page.as_uri())
            assert find_violations(chrome) == []
            assert chrome.execute_script("return [...document.images].every((image) => image.naturalWidth === 90)")
        assert read_console(chrome) == []
        assert {address.split(":")[0] for address in read_requests(chrome)} == {"file", "data"}
