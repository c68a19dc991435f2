"""Albums in quarantine."""

from dataclasses import replace

import pytest

from realfill.core.errors import (
    AlbumError,
    ExportError,
    LibraryError,
    MaskError,
    ModelError,
    OutputError,
    ParamsError,
    PhotoError,
    RemoteError,
    SpaceError,
    StageError,
    TuningError,
)
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


@pytest.mark.parametrize(
    ("error", "own_fault"),
    [
        (AlbumError("Empty.", "Add photos."), True),
        (PhotoError("Broken.", "Replace it."), True),
        (MaskError("There is no hole.", "Draw one."), True),
        (ParamsError("Unknown key.", "Correct it."), True),
        (ExportError("Too large.", "Choose another format."), True),
        (LibraryError("The photos are not here.", "Run `dvc pull`."), False),
        (ModelError("There are no weights.", "Install them."), False),
        (TuningError("Not even one sample fits into memory.", "Free memory."), False),
        (StageError("The process does not start.", "Run `realfill doctor`."), False),
        (OutputError("There is something in its place.", "Move it away."), False),
        (RemoteError("Away.", "Wait."), False),
        (SpaceError("Full.", "Make room."), False),
        (OSError("full"), False),
        (MemoryError(), False),
        (ValueError("unforeseen"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_only_what_its_owner_alone_can_mend_is_an_albums_own_fault(error: Exception, own_fault: bool) -> None:
    assert quarantine.is_own_fault(error) == own_fault


@pytest.mark.parametrize("error", ["LibraryError", "ValueError", "Crashed", "StageError"])
def test_a_note_of_an_earlier_version_for_what_is_not_the_albums_fault_does_not_hold(
    library: Library, error: str
) -> None:
    inputs = quarantine.inputs_digest(library, "first")
    quarantine.write_note(library, "first", quarantine.Note(error, "It is so.", (), inputs, "2026-05-01"))
    assert not quarantine.is_quarantined(library, "first")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"log": 3}', '{"log": [], "odd": 1}', "<<<<<<< HEAD"])
def test_a_note_that_cannot_be_read_does_not_hold(library: Library, content: str) -> None:
    (library.folder("first") / "quarantine.json").write_text(content)
    assert not quarantine.is_quarantined(library, "first")
