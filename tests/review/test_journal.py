"""The journal of decisions: what is in it after crashes, retries, undos, and other processes."""

import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realfill.core.errors import LibraryError, OutputError
from realfill.core.params import Region
from realfill.review.decisions import Decision, Entry, digest_source, fold
from realfill.review.journal import Journal, journal_folder, load_decisions

PROVENANCE = {
    "digest": "a" * 64,
    "inputs": [{"file": "target/target.jpg", "digest": "1"}],
    "params": {"blend": {"candidate": "best", "feather": 1.0}},
    "versions": {"realfill": "1"},
}
SEEN = {"photo": "a" * 64, "source": digest_source(PROVENANCE)}
APPROVED = {"verdict": "approved", "seen": SEEN}
SQUARE = [[0, 0], [9, 0], [9, 9]]
STROKE = {"tool": "brush", "radius": 5, "points": [[1, 2], [3.5, 4]], "base": "b" * 64}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def decision(journal: Journal, album: str = "roof") -> Decision:
    """What another process would read."""
    return load_decisions(journal.folder.parent)[album]


def test_decisions_are_read_as_they_were_made(journal: Journal, tmp_path: Path) -> None:
    assert load_decisions(tmp_path) == {}
    journal.append("roof", "looked", True)
    journal.append("roof", "pick", {"candidate": 3, "before": 1})
    journal.append("roof", "region", {"candidate": 2, "polygon": SQUARE})
    journal.append("roof", "note", "the left edge – look “again”\nplease")
    journal.append("roof", "verdict", APPROVED)
    journal.append("barn", "verdict", {"verdict": "rejected", "reason": "a ghost"})
    roof = decision(journal)
    assert (roof.verdict, roof.looked, roof.candidate, roof.original) == ("approved", True, 3, 1)
    assert roof.regions == (Region(candidate=2, polygon=((0, 0), (9, 0), (9, 9))),)
    assert roof.note == "the left edge – look “again”\nplease"
    assert (decision(journal, "barn").verdict, decision(journal, "barn").reason) == ("rejected", "a ghost")
    assert decision(journal, "barn").choice == ""


def test_undo_takes_the_last_decisions_back_over_albums_and_can_be_undone(journal: Journal) -> None:
    first = journal.append("roof", "verdict", APPROVED)
    second = journal.append("barn", "verdict", {"verdict": "rejected"})
    undo = journal.append("barn", "undo", second.id)
    assert "barn" not in journal.decisions()
    journal.append("roof", "undo", first.id)
    assert journal.decisions() == {}
    journal.append("barn", "undo", undo.id)
    assert decision(journal, "barn").verdict == "rejected"


def test_a_request_that_is_sent_twice_counts_once(journal: Journal) -> None:
    entry_id = uuid.uuid4().hex
    for _ in range(2):
        journal.append("roof", "stroke", STROKE, entry_id)
    assert len(decision(journal).strokes) == 1
    assert len(journal.path.read_text().splitlines()) == 1


@pytest.mark.parametrize("cut", [2, 20, 80])
def test_a_line_that_a_crash_cut_off_costs_itself_only(
    journal: Journal, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    journal.append("roof", "verdict", APPROVED)
    journal.append("barn", "verdict", APPROVED)
    os.truncate(journal.path, journal.path.stat().st_size - cut)
    assert set(load_decisions(journal.folder.parent)) == {"roof"}
    Journal(journal.folder.parent).append("shed", "verdict", APPROVED)
    assert set(load_decisions(journal.folder.parent)) == {"roof", "shed"}
    assert "damaged" in caplog.text


@pytest.mark.parametrize(
    "line",
    ["", "{", "[]", "null", '{"id": 1}', "[" * 100_000, "\udcff"],
    ids=["empty", "cut", "list", "null", "other", "deep", "bytes"],
)
def test_what_is_no_entry_is_left_out(journal: Journal, line: str) -> None:
    journal.append("roof", "looked", True)
    with journal.path.open("ab") as file:
        file.write(os.fsencode(line) + b"\n")
    journal.append("barn", "looked", True)
    assert set(load_decisions(journal.folder.parent)) == {"roof", "barn"}


@pytest.mark.parametrize(
    ("subject", "value"),
    [
        ("verdict", {"verdict": "delivered"}),
        ("verdict", {"verdict": "approved", "path": "/etc"}),
        ("pick", {"candidate": -1}),
        ("pick", {"candidate": "worst"}),
        ("region", {"candidate": 1, "polygon": SQUARE[:2]}),
        ("stroke", STROKE | {"base": "../../etc/passwd"}),
        ("stroke", STROKE | {"points": [[1, float("nan")]]}),
        ("stroke", STROKE | {"points": [[1, 2]] * 20_001}),
        ("undo", "the last one"),
        ("note", "x" * 2001),
        ("delivery", True),
    ],
)
def test_what_no_decision_is_is_refused_and_not_written(journal: Journal, subject: str, value: object) -> None:
    with pytest.raises(ValueError):
        journal.append("roof", subject, value)
    assert not journal.path.exists()


def test_a_journal_that_was_replaced_is_read_anew(journal: Journal, tmp_path: Path) -> None:
    journal.append("roof", "looked", True)
    (tmp_path / "other").mkdir()
    other = Journal(tmp_path / "other")
    for name in ("barn", "shed"):
        other.append(name, "note", "a longer line than the one before")
    other.path.replace(journal.path)
    assert set(journal.decisions()) == {"barn", "shed"}
    journal.path.unlink()
    assert journal.decisions() == {}


def test_a_choice_is_pending_until_it_is_applied_and_again_after_it_is_undone(journal: Journal) -> None:
    pick = journal.append("roof", "pick", {"candidate": 3})
    assert decision(journal).pending
    journal.append("roof", "applied", decision(journal).choice)
    assert not decision(journal).pending
    journal.append("roof", "undo", pick.id)
    assert decision(journal).pending
    assert decision(journal).candidate is None


def test_a_verdict_holds_for_the_photo_that_was_seen_and_for_the_choice_it_was_given_with(journal: Journal) -> None:
    journal.append("roof", "pick", {"candidate": 3})
    journal.append("roof", "verdict", APPROVED)
    assert not decision(journal).covers(PROVENANCE), "not made yet"
    journal.append("roof", "applied", decision(journal).choice)
    remade = PROVENANCE | {"digest": "c" * 64, "params": {"blend": {"candidate": 3, "feather": 1.0}}}
    assert decision(journal).covers(remade)
    assert not decision(journal).covers(remade | {"versions": {"realfill": "2"}})
    assert not decision(journal).covers(remade | {"inputs": []})
    journal.append("roof", "region", {"candidate": 2, "polygon": SQUARE})
    journal.append("roof", "applied", decision(journal).choice)
    assert not decision(journal).covers(remade), "the choice changed after the verdict"


def test_a_verdict_without_a_choice_holds_for_one_photo_alone(journal: Journal) -> None:
    journal.append("roof", "verdict", APPROVED)
    assert decision(journal).covers(PROVENANCE)
    assert not decision(journal).covers(PROVENANCE | {"digest": "c" * 64})


def test_several_processes_lose_nothing_of_one_another(journal: Journal) -> None:
    code = (
        "import sys; from pathlib import Path; from realfill.review.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for number in range(20): journal.append(sys.argv[2], 'note', str(number))"
    )
    folder = str(journal.folder.parent)
    writers = [subprocess.Popen([sys.executable, "-c", code, folder, name]) for name in ("a", "b")]
    assert [writer.wait() for writer in writers] == [0, 0]
    lines = [json.loads(line) for line in journal.path.read_text().splitlines()]
    assert len(lines) == 40
    assert [line["value"] for line in lines if line["album"] == "a"] == [str(number) for number in range(20)]


def test_what_was_answered_survives_kill_9(journal: Journal) -> None:
    code = (
        "import sys; from pathlib import Path; from realfill.review.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "number = 0\n"
        "while True: journal.append('roof', 'note', str(number)); print(number, flush=True); number += 1"
    )
    command = [sys.executable, "-c", code, str(journal.folder.parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        answered = [process.stdout.readline() for _ in range(10)]
        process.send_signal(signal.SIGKILL)
    assert int(decision(journal).note) >= int(answered[-1])


def test_the_journal_lies_beside_the_albums(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "album.dvc.yaml").touch()
    album = tmp_path / "data" / "albums" / "roof"
    album.mkdir(parents=True)
    places = {journal_folder(folder) for folder in (tmp_path, tmp_path / "data", album)}
    assert places == {tmp_path / "data" / ".review"}
    with pytest.raises(LibraryError, match="no such folder"):
        load_decisions(tmp_path / "absent")


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "albums").mkdir()
    (tmp_path / "albums" / ".review").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="link"):
        Journal(tmp_path / "albums").append("roof", "looked", True)
    assert not list((tmp_path / "elsewhere").iterdir())


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["looked", "note", "undo"]), st.integers(0, 9))))
def test_undoing_everything_leaves_nothing(actions: list[tuple[str, str, int]]) -> None:
    entries: list[Entry] = []
    values: dict[str, object] = {"looked": True, "note": "x"}
    for album, subject, target in actions:
        value = f"{target:032x}" if subject == "undo" else values[subject]
        document = {"id": f"{len(entries):032x}", "album": album, "subject": subject, "value": value}
        entries.append(Entry.parse(document))
    for entry in list(entries):
        if entry.subject != "undo":
            undo = {"id": f"{len(entries):032x}", "album": "a", "subject": "undo", "value": entry.id}
            entries.append(Entry.parse(undo))
    assert fold(entries) == {}
