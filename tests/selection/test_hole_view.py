import numpy as np
import pytest
from skimage import data

from realfill.album.placement import Proposal
from realfill.album.schemas import Window
from realfill.selection.hole_view import HoleView, HoleViewSettings, scale_reference

R = 128
CANVAS = np.ascontiguousarray(data.coffee())  # 600 x 400
MASK = np.zeros(CANVAS.shape[:2], np.uint8)
MASK[:, 450:] = 255
WINDOW = Window("outpaint", 600, 400, 0, 0, 450, 400, 0, -100, 600, 0.25)
VIEW = HoleView.from_canvas(CANVAS, MASK, WINDOW)


def test_the_view_is_the_part_of_the_window_on_the_canvas() -> None:
    completed = VIEW.complete(np.zeros((R, R, 3), np.uint8))
    assert VIEW.known.shape[:2] == (426, 640)
    assert VIEW.hole[:, 480:].all()
    assert not VIEW.hole[:, :479].any()
    assert not completed[VIEW.hole].any()
    assert np.array_equal(completed[~VIEW.hole], VIEW.known[~VIEW.hole])


def test_the_view_has_the_side_of_the_settings() -> None:
    view = HoleView.from_canvas(CANVAS, MASK, WINDOW, HoleViewSettings(side=300))
    assert view.known.shape == (200, 300, 3)
    assert np.abs(view.known.astype(int) - CANVAS[::2, ::2]).mean() < 6


@pytest.mark.parametrize(("kind", "certain", "doubtful"), [("noise", 0, 0), ("guided", 200, 0), ("placed", 200, 200)])
def test_a_candidate_shows_as_much_of_the_proposal_as_its_kind_says(kind: str, certain: int, doubtful: int) -> None:
    confidence = np.zeros((400, 150), np.uint8)
    confidence[:150], confidence[150:300] = 255, 100
    proposal = VIEW.crop_proposal(Proposal(450, 0, np.full((400, 150, 3), 200, np.uint8), confidence))
    assert proposal.colors.shape == (640, 640, 3)
    completed = VIEW.complete(np.zeros((R, R, 3), np.uint8), kind, proposal)
    assert completed.shape == VIEW.known.shape
    assert (completed[80, 560] == certain).all()
    assert (completed[240, 560] == doubtful).all()
    assert not completed[400, 560].any()


def test_points_of_the_view_lie_where_the_canvas_shows_the_same() -> None:
    marked = np.zeros_like(CANVAS)
    marked[90:110, 290:310] = 255
    rows, columns = np.nonzero(HoleView.from_canvas(marked, MASK, WINDOW).known[..., 0] > 127)
    center = np.array([[columns.mean(), rows.mean()]])
    assert np.abs(VIEW.to_canvas(center) - [299.5, 99.5]).max() < 0.5


@pytest.mark.parametrize(("size", "scaled"), [((1200, 800), (640, 427)), ((300, 400), (480, 640))])
def test_a_reference_is_scaled_like_the_view(size: tuple[int, int], scaled: tuple[int, int]) -> None:
    reference = np.zeros((size[1], size[0], 3), np.uint8)
    assert scale_reference(reference, WINDOW).shape[1::-1] == scaled


def test_a_small_window_does_not_make_references_huge() -> None:
    window = Window("file", 600, 400, 0, 0, 600, 400, 200, 100, 100, 0.1)
    assert scale_reference(CANVAS, window).shape == (683, 1024, 3)
