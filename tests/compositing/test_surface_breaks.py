import cv2
import numpy as np
import pytest
import skimage.data

from realfill.compositing.surface_breaks import cut_at_breaks, detect_breaks

ROWS, COLUMNS = np.mgrid[:120, :160].astype(np.float32)
ISLAND = np.zeros((120, 160), bool)
ISLAND[40:80, 60:110] = True
FAR = np.where(ISLAND, COLUMNS * 2 + 90, COLUMNS * 2)  # the island comes from 90 pixels to the right
SKY = np.repeat(np.linspace(100, 180, 480)[None, :, None], 300, axis=0).repeat(3, axis=2).astype(np.uint8)
GRAVEL = cv2.cvtColor(cv2.resize(skimage.data.gravel(), (480, 300)), cv2.COLOR_GRAY2RGB)


def outline(shape: np.ndarray) -> np.ndarray:
    """Places whose neighbor to the right, or below, is not on the same side."""
    edge = np.zeros_like(shape)
    edge[:, :-1] |= shape[:, :-1] != shape[:, 1:]
    edge[:-1] |= shape[:-1] != shape[1:]
    return edge


def test_an_island_of_wrong_depth_in_a_sky_has_breaks_all_around() -> None:
    np.testing.assert_array_equal(detect_breaks(SKY, FAR, ROWS * 2), outline(ISLAND))


@pytest.mark.parametrize(
    ("photo", "columns"), [(GRAVEL, FAR), (SKY, COLUMNS * 2)], ids=["where the photo has edges", "without an island"]
)
def test_elsewhere_there_are_none(photo: np.ndarray, columns: np.ndarray) -> None:
    assert not detect_breaks(photo, columns, ROWS * 2).any()


def test_an_edge_between_two_even_surfaces_is_none() -> None:
    photo = SKY.copy()
    photo[80:160, 160:260] = 40  # a dark wall, as large as it is seen from here
    assert not detect_breaks(photo, np.where(ISLAND, COLUMNS * 2 + 40, COLUMNS * 2), ROWS * 2).any()


def test_what_comes_from_nowhere_does_not_matter() -> None:
    columns = FAR.copy()
    columns[:10], columns[110:] = np.nan, np.inf
    breaks = detect_breaks(SKY, columns, ROWS * 2)
    np.testing.assert_array_equal(breaks[20:100], outline(ISLAND)[20:100])


def test_only_the_reference_that_has_breaks_is_cut_and_only_into_large_surfaces() -> None:
    labels = np.zeros((120, 160), int)
    labels[:, 100:] = 1
    speck = np.zeros_like(ISLAND)
    speck[10:12, 10:12] = True
    pieces, surfaces = cut_at_breaks(labels, [outline(ISLAND) | outline(speck), np.zeros_like(ISLAND)])
    assert [surface.reference for surface in surfaces] == [0, 0, 1]
    assert surfaces[2].extent.all()
    inside, outside = pieces[60, 80], pieces[10, 11]
    assert inside != outside
    for piece, wanted in ((inside, ISLAND), (outside, ~ISLAND)):
        assert (surfaces[piece].extent == wanted).mean() > 0.98
        assert ((pieces == piece) == (wanted & (labels == 0))).mean() > 0.98
