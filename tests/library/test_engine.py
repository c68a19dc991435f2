"""The file that says which code makes a library's results."""

import pytest
import yaml

from realfill.album.discovery import open_album
from realfill.core.errors import LibraryError
from realfill.library.engine import (
    ENGINE,
    Renewal,
    changed_stages,
    installed_engine,
    read_engine,
    renew_engine,
    require_engine,
    results_of_other_code,
)
from realfill.library.pipeline_files import PIPELINE_FILES
from realfill.library.repository import Library
from realfill.pipeline import STAGES


def set_fingerprint(library: Library, stage: str, fingerprint: str) -> None:
    path = library.root / ENGINE
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {stage: fingerprint}))


def test_it_has_a_line_for_every_stage_the_gallery_and_the_pipelines(library: Library) -> None:
    assert list(read_engine(library)) == [*(stage.name for stage in STAGES), "gallery", *PIPELINE_FILES]
    assert read_engine(library) == dict(installed_engine())


def test_renewing_it_again_changes_nothing(library: Library) -> None:
    before = (library.root / ENGINE).stat().st_mtime_ns
    assert renew_engine(library) == Renewal([], [], {})
    assert (library.root / ENGINE).stat().st_mtime_ns == before


def test_renewing_it_names_the_stages_whose_code_changed(library: Library) -> None:
    set_fingerprint(library, "align", "0123456789abcdef")
    assert changed_stages(library) == ["align"]
    assert renew_engine(library).stages == ["align"]
    assert read_engine(library) == dict(installed_engine())


@pytest.mark.parametrize("text", ["- a list", "{", "\x00"])
def test_a_broken_file_is_written_anew(library: Library, text: str) -> None:
    (library.root / ENGINE).write_text(text)
    with pytest.raises(LibraryError, match="realfill engine"):
        read_engine(library)
    assert renew_engine(library).stages == [*(stage.name for stage in STAGES), "gallery"]
    assert read_engine(library) == dict(installed_engine())


def test_a_fingerprint_of_digits_alone_stays_a_text(library: Library) -> None:
    (library.root / ENGINE).write_text("align: '0000000000000123'\nmasks: '12e4567890123456'\n")
    assert read_engine(library) == {"align": "0000000000000123", "masks": "12e4567890123456"}


def test_other_code_is_refused_inside_the_library_alone(library: Library) -> None:
    album = library.album("first")
    require_engine(album, "align")
    set_fingerprint(library, "align", "0123456789abcdef")
    require_engine(album, "masks")
    with pytest.raises(LibraryError, match="realfill engine"):
        require_engine(album, "align")
    elsewhere = album.root.rename(library.root / "elsewhere")
    require_engine(open_album(elsewhere), "align")


def test_results_of_other_code_are_told_by_the_stage(library: Library) -> None:
    assert results_of_other_code(library) == {}
    lock = library.folder("second") / "dvc.lock"
    lock.write_text(lock.read_text().replace(installed_engine()["rank"], "0123456789abcdef"))
    assert results_of_other_code(library) == {"rank": ["second"]}
