import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from realfill.masking.model_window import ModelWindowSettings, choose_window

SMALL = ModelWindowSettings(min_side=64)


@settings(deadline=None)
@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.floats(1, 4),
    st.integers(1, 320),
    st.data(),
)
def test_the_window_holds_the_hole(
    height: int, width: int, context: float, min_side: int, draw: st.DataObject
) -> None:
    left, right = sorted(draw.draw(st.tuples(st.integers(0, width), st.integers(0, width)), label="x"))
    top, bottom = sorted(draw.draw(st.tuples(st.integers(0, height), st.integers(0, height)), label="y"))
    mask = np.zeros((height, width), np.uint8)
    mask[top : bottom + 1, left : right + 1] = 255
    if not mask.any():
        mask[-1, -1] = 255
    x, y, side = choose_window(mask, context, ModelWindowSettings(min_side))
    rows, columns = np.nonzero(mask)
    assert x <= columns.min() and columns.max() < x + side
    assert y <= rows.min() and rows.max() < y + side
    assert side <= max(height, width)
    assert side >= min(min_side, height, width)
    for start, limit in ((x, width), (y, height)):
        inside = start >= 0 and start + side <= limit
        imbalance = -start - (start + side - limit)  # how unequally far it reaches beyond
        assert inside if side <= limit else start <= 0 and abs(imbalance) <= 1


def test_the_window_has_the_context_that_is_asked_for() -> None:
    mask = np.zeros((400, 600), np.uint8)
    mask[150:200, 250:350] = 255
    assert choose_window(mask, 1.5, SMALL) == (225, 100, 150)
    assert choose_window(mask, 2.0, SMALL) == (200, 75, 200)
    assert choose_window(mask, 1.5) == (172, 47, 256)


def test_a_hole_that_fills_the_shorter_side_is_seen_with_what_lies_beside_it() -> None:
    mask = np.zeros((200, 300), np.uint8)
    mask[:, 50:250] = 255
    assert choose_window(mask, 1.5, SMALL) == (0, -50, 300)
    mask[:, 100:] = 0
    assert choose_window(mask, 1.5, SMALL) == (0, 0, 200)
