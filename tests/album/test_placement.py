from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realfill.album.placement import CERTAIN, Proposal


@given(st.integers(-30, 60), st.integers(-30, 60), st.integers(1, 50), st.integers(1, 50))
def test_a_proposal_is_cut_anywhere(left: int, top: int, width: int, height: int) -> None:
    colors = np.arange(20 * 30 * 3, dtype=np.uint32).reshape(20, 30, 3).astype(np.uint8)
    proposal = Proposal(10, 5, colors, np.full((20, 30), 200, np.uint8))
    whole = proposal.crop(-40, -40, 160, 160)
    cut = proposal.crop(left, top, width, height)
    rows, columns = slice(top + 40, top + 40 + height), slice(left + 40, left + 40 + width)
    np.testing.assert_array_equal(cut.colors, whole.colors[rows, columns])
    np.testing.assert_array_equal(cut.confidence, whole.confidence[rows, columns])


def test_what_a_candidate_shows_of_the_proposal_follows_from_its_kind() -> None:
    confidence = np.zeros((60, 60), np.uint8)
    confidence[:, 20:] = 60
    confidence[:, 40:] = 220
    proposal = Proposal(0, 0, np.zeros((60, 60, 3), np.uint8), confidence)
    assert not proposal.weight("noise").any()
    placed_weight, guided_weight = proposal.weight("placed"), proposal.weight("guided")
    assert placed_weight[30, 30] == pytest.approx(1)
    assert placed_weight[30, 5] == 0
    assert guided_weight[30, 30] == 0
    assert guided_weight[30, 55] == pytest.approx(1)


def test_nothing_is_shown_where_nothing_is_proposed_and_the_transition_lies_inside() -> None:
    confidence = np.zeros((40, 1000), np.uint8)
    confidence[:, 500:] = CERTAIN
    weight = Proposal(0, 0, np.zeros((40, 1000, 3), np.uint8), confidence).weight("guided")
    assert not weight[:, :500].any()
    assert ((weight[:, 500:508] > 0) & (weight[:, 500:508] < 1)).all()  # 0.8 % of the longer side
    assert weight[:, 508:] == pytest.approx(1)


def test_a_pixel_made_smaller_is_proposed_only_where_all_of_it_was() -> None:
    confidence = np.full((8, 8), 200, np.uint8)
    confidence[0, 0] = 0
    proposal = Proposal(0, 0, np.full((8, 8, 3), 90, np.uint8), confidence)
    small = proposal.resize(4, 4)
    assert small.confidence[0, 0] == 0
    assert (small.confidence.ravel()[1:] == 200).all()
    assert (small.colors == 90).all()
    faint = replace(proposal, confidence=np.ones((8, 8), np.uint8)).resize(4, 4)
    assert (faint.confidence == 1).all()
