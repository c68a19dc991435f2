import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from realfill.geometry.sgm import aggregate_costs, sgm_labels


def costs_of(labels: np.ndarray, count: int) -> np.ndarray:
    """Costs [L, H, W] that grow with the distance from a label."""
    return np.abs(np.arange(count)[:, None, None] - labels).astype(np.float32)


def test_without_penalties_every_pixel_takes_its_cheapest_label() -> None:
    cost = np.random.default_rng(0).uniform(0, 1, (6, 12, 15)).astype(np.float32)
    np.testing.assert_allclose(aggregate_costs(cost, 0, 0).argmin(axis=0), cost.argmin(axis=0))


def test_a_pixel_that_contradicts_all_around_it_is_overruled() -> None:
    labels = np.full((9, 9), 2)
    labels[4, 4] = 5
    cost = np.minimum(costs_of(labels, 8), 1)
    np.testing.assert_allclose(sgm_labels(cost, 0.1, 1).round(), 2)
    assert sgm_labels(cost, 0.01, 0.01)[4, 4].round() == 5


def test_a_step_that_all_pixels_show_is_kept() -> None:
    labels = np.full((20, 20), 2)
    labels[:, 10:] = 7
    assert np.array_equal(sgm_labels(costs_of(labels, 10), 0.1, 1).round(), labels)


@given(st.floats(1.6, 5.4))
def test_a_minimum_between_labels_is_located(minimum: float) -> None:
    cost = np.tile(((np.arange(8) - minimum) ** 2).astype(np.float32), (4, 5, 1)).transpose(2, 0, 1)
    assert sgm_labels(cost, 10, 10) == pytest.approx(np.full((4, 5), minimum), abs=0.01)


def test_labels_at_the_ends_have_no_fraction() -> None:
    cost = np.tile(np.arange(5, dtype=np.float32), (3, 3, 1)).transpose(2, 0, 1)
    assert (sgm_labels(cost, 1, 2) == 0).all()
    assert (sgm_labels(cost[::-1].copy(), 1, 2) == 4).all()


def test_up_and_down_left_and_right_count_alike() -> None:
    cost = np.random.default_rng(0).uniform(0, 1, (5, 11, 11)).astype(np.float32)
    total = aggregate_costs(cost, 0.3, 0.9)
    for flip in (np.s_[:, ::-1], np.s_[:, :, ::-1]):
        np.testing.assert_allclose(aggregate_costs(cost[flip].copy(), 0.3, 0.9), total[flip], atol=1e-4)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.floats(width=32), min_size=1, max_size=30))
@example([0.0, 0.0, 4e37])  # sums of which overflow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_whatever_the_costs_are_the_labels_are_among_all(costs: list[float]) -> None:
    labels = sgm_labels(np.resize(np.array(costs, np.float32), (4, 5, 6)), 0.1, 1)
    assert (labels >= 0).all()
    assert (labels <= 3).all()
