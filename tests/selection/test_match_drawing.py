import numpy as np
import pytest

from realfill.matching.correspondences import Matches
from realfill.selection.candidate_scores import Evidence, Judgment, PreparedReference
from realfill.selection.match_drawing import MatchDrawingSettings, draw_matches

VIEW = np.full((200, 300, 3), 50, np.uint8)
HOLE = np.zeros((200, 300), bool)
HOLE[50:150, 100:200] = True
SETTINGS = MatchDrawingSettings()


def draw(matches: int, verified: int, most: int = 100, width: int = 300) -> np.ndarray:
    """Draw matches spread over the hole; the second of two references has them."""
    rows = np.linspace(60, 140, matches)
    points = np.column_stack([np.full(matches, 150.0), rows]).astype(np.float32)
    pairs = Matches(points, points / 2, np.ones(matches, np.float32))
    evidence = Evidence(pairs, np.arange(matches) < verified)
    reference = np.full((100, width // 2, 3), 100, np.uint8)
    references = [PreparedReference(name, reference, None, None, None) for name in ("0.jpg", "1.jpg")]
    judgment = Judgment((Evidence(pairs, np.zeros(matches, bool)), evidence), 0, 0)
    return draw_matches(VIEW, HOLE, references, judgment, most, SETTINGS)


def colored(drawing: np.ndarray) -> np.ndarray:
    """Pixels that are not gray."""
    return np.asarray(np.ptp(drawing.astype(int), axis=2) > 20)


def test_view_and_reference_stand_side_by_side_and_the_hole_is_outlined() -> None:
    drawing = draw(matches=5, verified=0)
    assert drawing.shape == (200, 300 + SETTINGS.gap + 300, 3)
    assert (drawing[10, :100] == 50).all() and (drawing[10, 310:] == 100).all()
    assert (drawing[:, 300 : 300 + SETTINGS.gap] == 255).all()
    assert (drawing[50, 100:200] > 200).all() and (drawing[100, 150] == 50).all()
    assert not colored(drawing).any()


def test_verified_matches_are_joined_by_lines() -> None:
    lines = colored(draw(matches=5, verified=3))
    assert lines[60:101, 150].any() and not lines[115:, :].any()
    assert (lines[:, 180:440].sum(axis=0) >= 3).all()
    assert colored(draw(matches=9, verified=1))[60, 150:450].mean() > 0.95


def test_as_many_matches_are_drawn_as_allowed_from_top_to_bottom() -> None:
    lines = colored(draw(matches=41, verified=41, most=3))
    rows = np.flatnonzero(lines[:, 230])
    assert 3 <= len(rows) <= 9
    assert {60, 100, 140} <= set(rows.tolist())


def test_a_wide_drawing_is_shrunk() -> None:
    drawing = draw(matches=5, verified=5, width=4000)
    assert drawing.shape[1] == SETTINGS.max_width
    assert drawing.shape[0] == pytest.approx(200 * SETTINGS.max_width / (300 + SETTINGS.gap + 4000), abs=1)
