"""Which photos are delivered."""

import json
import shutil
from pathlib import Path

import pytest

from realfill.album.candidate_override import override_blend
from realfill.album.discovery import open_album
from realfill.core.atomic_io import write_json
from realfill.core.errors import LibraryError
from realfill.review.approved import choose_photos
from realfill.review.collection import Collection
from realfill.review.journal import Journal
from support.reviews import write_finished_albums


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, _small_album: Path) -> Path:
    return write_finished_albums(tmp_path_factory.mktemp("finished") / "albums", _small_album, ("roof", "tower"))


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "albums"))


def decide(folder: Path, name: str, verdict: str | None) -> None:
    seen = Collection(folder).albums()[name].seen.model_dump(mode="json")
    Journal(folder).append(name, "verdict", {"verdict": verdict, "reason": "", "seen": seen})


def chosen(folder: Path, *, everything: bool = False) -> list[str]:
    return [wish.album.name for wish in choose_photos(folder, everything=everything)[0]]


def test_approved_photos_are_delivered_with_their_notes(folder: Path) -> None:
    assert chosen(folder) == []
    decide(folder, "tower", "approved")
    Journal(folder).append("tower", "note", "for the archive")
    wishes, left_out = choose_photos(folder, everything=False)
    assert [(wish.album.name, wish.note) for wish in wishes] == [("tower", "for the archive")]
    assert left_out == {"roof": "Nobody has approved it."}


def test_everything_is_all_that_was_not_rejected(folder: Path) -> None:
    assert chosen(folder, everything=True) == ["roof", "tower"]
    decide(folder, "tower", "rejected")
    assert chosen(folder, everything=True) == ["roof"]
    assert choose_photos(folder, everything=True)[1] == {"tower": "It was rejected."}


def test_an_approval_that_was_taken_back_is_none(folder: Path) -> None:
    decide(folder, "roof", "approved")
    decide(folder, "roof", None)
    assert chosen(folder) == []


@pytest.mark.parametrize("everything", [False, True])
def test_a_photo_that_was_made_again_since_is_not_delivered_unseen(everything: bool, folder: Path) -> None:
    decide(folder, "roof", "approved")
    path = folder / "roof" / "completed" / "roof.json"
    document = json.loads(path.read_text())
    write_json(path, document | {"digest": "0" * 64, "versions": {"realfill": "another"}})
    assert "roof" not in chosen(folder, everything=everything)


def test_a_choice_that_is_not_applied_yet_keeps_the_photo_back(folder: Path) -> None:
    Journal(folder).append("roof", "pick", {"candidate": 0, "before": "best"})
    decide(folder, "roof", "approved")
    wishes, left_out = choose_photos(folder, everything=True)
    assert [wish.album.name for wish in wishes] == ["tower"]
    assert "not applied yet" in left_out["roof"]


def test_a_candidate_that_was_picked_since_keeps_the_photo_back(folder: Path) -> None:
    decide(folder, "tower", "approved")
    for name in ("roof", "tower"):
        override_blend(open_album(folder / name), {"candidate": 1})
    wishes, left_out = choose_photos(folder, everything=True)
    assert wishes == []
    assert set(left_out.values()) == {"Another candidate was chosen since it was made: run `realfill complete`."}


def test_a_folder_without_albums_is_told(tmp_path: Path) -> None:
    with pytest.raises(LibraryError):
        choose_photos(tmp_path, everything=True)
