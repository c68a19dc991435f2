"""What a worker tells of an album that it did not complete."""

from pathlib import Path

from realfill.core.errors import PhotoError, RemoteError
from realfill.flows.outcomes import make_error_outcome, make_unfinished_outcome

ROOT = Path("/srv/library")


def test_an_albums_own_fault_means_quarantine_with_a_relative_path() -> None:
    outcome = make_error_outcome(PhotoError("It is damaged.", "Replace it.", ROOT / "data" / "a.jpg"), ROOT)
    assert outcome == {
        "outcome": "quarantined",
        "error": "PhotoError",
        "reason": "data/a.jpg: It is damaged. Replace it.",
        "transient": False,
        "lock": "",
    }


def test_what_may_pass_is_a_failure_and_an_unforeseen_error_tells_its_type() -> None:
    assert make_error_outcome(RemoteError("Away.", "Wait."), ROOT)["outcome"] == "failed"
    outcome = make_error_outcome(ValueError(f"{ROOT}/data is odd"), ROOT)
    assert (outcome["outcome"], outcome["reason"]) == ("quarantined", "ValueError: data is odd")


def test_an_album_without_an_outcome_gets_one() -> None:
    crashed = make_unfinished_outcome("roof", "Crashed", "It crashed.", transient=False)
    late = make_unfinished_outcome("roof", "TimeoutError", "It was late.", transient=True)
    assert [entry["outcome"] for entry in (crashed, late)] == ["quarantined", "failed"]
    assert crashed.keys() >= {"album", "error", "reason", "log", "ended"}
