"""An upgrade reaches the pipelines of a library, unless they were edited."""

import pytest
import yaml

from realfill.core.hashing import digest
from realfill.library.engine import ENGINE, installed_engine, read_engine, renew_engine
from realfill.library.pipeline_files import PIPELINE_FILES, own_pipelines, template_path
from realfill.library.repository import PIPELINE, Library
from realfill.library.watched_settings import WATCHED_KEYS
from support.libraries import call

ALBUMS, ALBUM = PIPELINE_FILES
OLD = "# An older version had other stages.\nstages:\n  gallery:\n    cmd: 'true'\n"


def make_older(library: Library) -> None:
    """Give a library the pipelines of an older version, recorded as that wrote them."""
    digests = {}
    for name in PIPELINE_FILES:
        (library.root / name).write_text(OLD)
        digests[name] = digest(library.root / name)[:16]
    (library.root / ENGINE).write_text(yaml.safe_dump(read_engine(library) | digests))


def is_installed(library: Library, name: str) -> bool:
    return (library.root / name).read_bytes() == template_path(name).read_bytes()


def test_pipelines_of_an_older_version_are_renewed(library: Library) -> None:
    make_older(library)
    (library.folder("second") / "album.yaml").write_text("profile:\n")
    printed = call(library.root, "realfill", "engine")
    assert printed == "".join(f"{name} is renewed, as this version of realfill has it.\n" for name in PIPELINE_FILES)
    assert all(is_installed(library, name) for name in PIPELINE_FILES)
    assert (library.folder("first") / "dvc.yaml").is_symlink()
    assert read_engine(library) == dict(installed_engine())
    assert set(yaml.safe_load((library.folder("second") / "album.yaml").read_text())) == set(WATCHED_KEYS)
    assert "Data and pipelines are up to date" in call(library.root, "dvc", "status", "data/albums/second/dvc.yaml")
    assert call(library.root, "realfill", "engine") == f"{ENGINE} is up to date\n"


def test_an_edited_pipeline_stays_and_is_named(library: Library) -> None:
    make_older(library)
    (library.root / ALBUM).write_text(f"{OLD}# mine\n")
    for _ in range(2):
        printed = call(library.root, "sh", "-c", "realfill engine 2>&1")
        assert f"{ALBUM} was edited and stays as it is." in printed
        assert str(template_path(ALBUM)) in printed
        assert printed.count("was edited") == 1
        assert (library.root / ALBUM).read_text() == f"{OLD}# mine\n"
    assert own_pipelines(library) == [ALBUMS]
    (library.root / ALBUM).write_bytes(template_path(ALBUM).read_bytes())
    assert renew_engine(library).warnings == []


def test_a_pipeline_that_is_gone_is_made_again(library: Library) -> None:
    (library.root / ALBUMS).unlink()
    assert renew_engine(library).pipelines == [ALBUMS]
    assert is_installed(library, ALBUMS)


@pytest.mark.parametrize("edit", ["", "# of this album alone\n"])
def test_copies_of_albums_are_renewed_too(library: Library, edit: str) -> None:
    make_older(library)
    copy = library.folder("first") / "dvc.yaml"
    copy.unlink()
    copy.write_text(OLD + edit)
    renewal = renew_engine(library)
    assert (list(renewal.edited) == ["data/albums/first/dvc.yaml"]) == bool(edit)
    assert copy.read_text() == (OLD + edit if edit else (library.root / PIPELINE).read_text())
