"""What a worker tells of an album that it did not complete."""

from pathlib import Path

from realfill.core.errors import PhotoError
from realfill.flows.outcomes import make_error_outcome, make_unfinished_outcome

ROOT = Path("/srv/library")


def test_an_albums_own_fault_means_quarantine_with_a_relative_path() -> None:
    outcome = make_error_outcome(PhotoError("It is damaged.", "Replace it.", ROOT / "data" / "a.jpg"), ROOT)
    assert outcome == {
        "outcome": "quarantined",
        "error": "PhotoError",
        "reason": "data/a.jpg: It is damaged. Replace it.",
        "lock": "",
    }


def test_an_unforeseen_error_is_not_the_albums_fault_and_tells_its_type() -> None:
    outcome = make_error_outcome(ValueError(f"{ROOT}/data is odd"), ROOT)
    assert (outcome["outcome"], outcome["reason"]) == ("failed", "ValueError: data is odd")


def test_an_album_without_an_outcome_has_failed() -> None:
    crashed = make_unfinished_outcome("roof", "Crashed", "It crashed.")
    assert crashed["outcome"] == "failed"
    assert crashed.keys() >= {"album", "error", "reason", "log", "ended"}
