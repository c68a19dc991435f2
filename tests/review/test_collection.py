"""Which albums are reviewed, and in which order."""

import json
import shutil
from pathlib import Path

import pytest

from realfill.core.errors import LibraryError
from realfill.review.collection import Collection
from realfill.review.decisions import Decision
from support.reviews import write_finished_albums

SHARES = {"reference_pixel": 1.0, "confirmed": 0.0, "generated_only": 0.0, "score": 1.0}


@pytest.fixture
def albums(tmp_path: Path, _small_album: Path) -> Path:
    """Albums that only differ in how far they can be believed; one is not finished."""
    write_finished_albums(tmp_path / "albums", _small_album, ["a"])
    for name in ("b", "c", "d", "e", "unfinished"):
        shutil.copytree(tmp_path / "albums" / "a", tmp_path / "albums" / name)
    shutil.rmtree(tmp_path / "albums" / "unfinished" / "completed")
    for name in ("a", "b", "d", "e"):
        change(tmp_path / "albums" / name, authenticity=SHARES, verdict={"level": "photographed", "sentence": "."})
    return tmp_path / "albums"


def change(folder: Path, **values: object) -> None:
    (document,) = (folder / "completed").glob("*.json")
    document.write_text(json.dumps(json.loads(document.read_text()) | values))


def test_what_needs_a_look_comes_first_and_what_is_decided_last(albums: Path) -> None:
    collection = Collection(albums)
    seen = {name: album.seen.model_dump() for name, album in collection.albums().items()}
    collection.journal.append("a", "verdict", {"verdict": "approved", "seen": seen["a"]})
    collection.journal.append("b", "looked", True)
    collection.journal.append("e", "verdict", {"verdict": "approved", "seen": seen["e"]})
    change(albums / "e", digest="0" * 64)
    decisions = collection.journal.decisions()
    states = [(album.name, album.state(decisions.get(album.name, Decision()))) for album in collection.in_order()]
    assert states == [("c", "doubtful"), ("e", "changed"), ("d", "new"), ("b", "looked"), ("a", "approved")]
    assert collection.unfinished() == ["unfinished"]


def test_a_hole_that_is_mostly_left_needs_a_look(albums: Path) -> None:
    change(albums / "d", verdict={"level": "mostly left as it was: look closely", "sentence": ""})
    album = Collection(albums).albums()["d"]
    assert album.state(Decision()) == "doubtful"


@pytest.mark.parametrize("subject", ["looked", "verdict"])
def test_a_photo_that_was_made_anew_since_it_was_looked_at_or_rejected_is_told(subject: str, albums: Path) -> None:
    collection = Collection(albums)
    album = collection.albums()["a"]
    rejection = {"verdict": "rejected", "seen": album.seen.model_dump()}
    collection.journal.append("a", subject, rejection if subject == "verdict" else album.provenance["digest"])
    decision = collection.journal.decisions()["a"]
    assert album.state(decision) == {"looked": "looked", "verdict": "rejected"}[subject]
    change(albums / "a", digest="0" * 64)
    assert collection.albums()["a"].state(decision) == "changed"


def test_an_album_alone_is_reviewed_too_and_what_a_run_makes_anew_is_seen(albums: Path) -> None:
    collection = Collection(albums / "a")
    assert list(collection.albums()) == ["a"]
    assert collection.find("b") is None
    change(albums / "a", digest="0" * 64)
    album = collection.find("a")
    assert album is not None
    assert album.provenance["digest"] == "0" * 64


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"photo": "../../x.jpg"}', "\x00"])
def test_what_cannot_be_read_is_left_out(albums: Path, text: str) -> None:
    (document,) = (albums / "c" / "completed").glob("*.json")
    document.write_text(text)
    assert set(Collection(albums).albums()) == {"a", "b", "d", "e"}


def test_a_folder_without_albums_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="no album"):
        Collection(tmp_path)
    with pytest.raises(LibraryError, match="no such folder"):
        Collection(tmp_path / "absent")
