import numpy as np
import pytest

from realfill.album.placement import CERTAIN, LIKELY, Proposal
from realfill.album.schemas import AuthenticityClass, Window
from realfill.compositing.authenticity_map import build_authenticity_map, compute_authenticity_shares

REFERENCE, CONFIRMED, GENERATED = AuthenticityClass
MASK = np.zeros((100, 200), np.uint8)
MASK[20:80, 40:160] = 255
WINDOW = Window("file", 200, 100, 0, 0, 200, 100, 0, -50, 200, 0.36)
NO_MATCHES = np.empty((0, 2))


def proposal(confidence: int) -> Proposal:
    """Something is proposed in the left half of the hole."""
    return Proposal(40, 20, np.zeros((60, 60, 3), np.uint8), np.full((60, 60), confidence, np.uint8))


@pytest.mark.parametrize("kind", ["placed", "guided"])
def test_pixels_that_show_a_certain_proposal_are_reference_pixels(kind: str) -> None:
    classes = build_authenticity_map(MASK, proposal(CERTAIN), kind, NO_MATCHES, WINDOW)
    assert (classes[22:78, 42:98] == REFERENCE).all()
    assert (classes[22:78, 102:158] == GENERATED).all()
    assert not classes[MASK == 0].any()


def test_what_is_proposed_but_not_likely_or_not_shown_is_generated_only() -> None:
    for kind, confidence in (("placed", LIKELY - 1), ("guided", CERTAIN - 1), ("noise", 255)):
        classes = build_authenticity_map(MASK, proposal(confidence), kind, NO_MATCHES, WINDOW)
        assert (classes[MASK > 0] == GENERATED).all()


def test_what_is_placed_and_likely_is_confirmed() -> None:
    classes = build_authenticity_map(MASK, proposal(LIKELY), "placed", NO_MATCHES, WINDOW)
    assert CONFIRMED in classes[MASK > 0]
    assert REFERENCE not in classes


def test_matches_of_pasted_pixels_with_their_own_source_confirm_nothing() -> None:
    matches = np.array([[100.0, 50.0]])
    for kind in ("placed", "patches"):
        classes = build_authenticity_map(MASK, None, kind, matches, WINDOW)
        assert (classes[MASK > 0] == GENERATED).all()


def test_a_verified_match_confirms_the_fill_around_it() -> None:
    classes = build_authenticity_map(MASK, None, "noise", np.array([[100.2, 50.0], [10.0, 10.0]]), WINDOW)
    confirmed = np.argwhere(classes == CONFIRMED)
    assert np.hypot(*(confirmed - (50, 100)).T).max() <= 4  # 2 % of the window's side
    assert len(confirmed) > 40
    assert classes[10, 10] == 0


def test_a_match_does_not_make_a_reference_pixel_less() -> None:
    classes = build_authenticity_map(MASK, proposal(255), "placed", np.array([[70.0, 50.0]]), WINDOW)
    assert classes[50, 70] == REFERENCE


def test_the_score_counts_a_confirmed_pixel_half() -> None:
    classes = np.array([[REFERENCE, REFERENCE, CONFIRMED, GENERATED], [0, 0, 0, 0]], np.uint8)
    assert compute_authenticity_shares(classes) == {
        "reference_pixel": 0.5,
        "confirmed": 0.25,
        "generated_only": 0.25,
        "score": 0.625,
    }


def test_a_photo_without_a_hole_has_no_shares() -> None:
    assert not any(compute_authenticity_shares(np.zeros((5, 5), np.uint8)).values())
