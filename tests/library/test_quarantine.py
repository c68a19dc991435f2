"""Albums in quarantine."""

from dataclasses import replace

from realfill.library import quarantine
from realfill.library.repository import Library


def test_quarantine_ends_when_the_photos_the_settings_or_the_parameters_change(library: Library) -> None:
    inputs = quarantine.inputs_digest(library, "first")
    note = quarantine.Note("PhotoError", "Broken.", ("a line",), inputs, "2026-05-01")
    quarantine.write_note(library, "first", note)
    assert quarantine.read_note(library, "first") == note
    assert quarantine.is_quarantined(library, "first")
    assert not quarantine.is_quarantined(library, "second")
    settings = library.folder("first") / "album.yaml"
    text = settings.read_text()
    settings.write_text(text + "# a remark\n")
    assert not quarantine.is_quarantined(library, "first")
    settings.write_text(text)
    assert quarantine.is_quarantined(library, "first")
    params = library.root / "params.yaml"
    text = params.read_text()
    params.write_text(text + "# a remark\n")
    assert not quarantine.is_quarantined(library, "first")
    params.write_text(text)
    photo = library.folder("first") / "target" / "target.png"
    photo.write_bytes(photo.read_bytes() + b"\0")
    library.commit_photos("first")
    assert not quarantine.is_quarantined(library, "first")


def test_an_album_can_be_released(library: Library) -> None:
    inputs = quarantine.inputs_digest(library, "first")
    note = quarantine.Note("MaskError", "There is no hole.", (), inputs, "2026-05-01")
    quarantine.write_note(library, "first", replace(note, attempts=3))
    quarantine.release(library, "first")
    assert quarantine.read_note(library, "first") is None
    quarantine.release(library, "first")
