from pathlib import Path
from typing import Any

import pytest

from realfill.album.layout import Album
from realfill.album.provenance import build_provenance
from realfill.core.errors import StageError
from realfill.core.hashing import digest
from realfill.core.params import load_params
from support.finished_album import finish


@pytest.fixture
def album(album_folder: Path) -> Album:
    return finish(album_folder)


def build(album: Album, candidate: int = 1) -> dict[str, Any]:
    params = load_params(assignments=["base.model=/models/pocket"])
    return build_provenance(album, params, album.target, candidate, {"realfill": "1"})


def test_the_provenance_names_what_the_photo_was_made_from(album: Album) -> None:
    provenance = build(album)
    assert provenance["digest"] == digest(album.target)
    assert {row["file"]: row["digest"] for row in provenance["inputs"]} == {
        path.relative_to(album.root).as_posix(): digest(path) for path in (album.target, *album.references)
    }
    assert (provenance["candidate"], provenance["kind"], provenance["seed"]) == (1, "noise", 0)
    assert provenance["base_model"] == {"name": "pocket", "digest": "0" * 64}
    assert [row["candidate"] for row in provenance["ranking"]] == [1, 0, 2]
    assert provenance["geometry"]["model"] == "none"
    assert provenance["hole"]["source"] == "file"
    assert provenance["authenticity"]["generated_only"] == 1.0
    assert provenance["versions"] == {"realfill": "1"}


def test_no_folder_of_this_machine_is_told(album: Album) -> None:
    text = repr(build(album))
    assert str(album.root) not in text
    assert "/models" not in text


def test_a_candidate_that_no_longer_exists_is_an_error(album: Album) -> None:
    with pytest.raises(StageError, match="Run `realfill blend` again"):
        build(album, candidate=9)
