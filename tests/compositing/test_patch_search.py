import numpy as np
import pytest
from skimage import data

from realfill.compositing.detail_sources import DetailSources, to_smooth_ycrcb
from realfill.compositing.patch_features import compute_patch_features
from realfill.compositing.patch_lattice import PatchLattice
from realfill.compositing.patch_search import PatchSearchSettings, build_patch_atlas, search_coherent_matches
from realfill.imaging.ops import resize
from realfill.photo_io.working_files import write_png
from support.holes import window_at
from support.scenes import rectangle_mask

PHOTO = np.ascontiguousarray(data.astronaut()[:400])  # 512 x 400
MASK = rectangle_mask(PHOTO.shape, slice(96, 256), slice(96, 256))
WINDOW = window_at(MASK, 40, 40, 288)
BOX = slice(56, 216), slice(56, 216)
MARGIN = PatchSearchSettings().margin


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> DetailSources:
    """The canvas in the window, a reference that shows the photo two and three cells higher, and an unusable one."""
    folder = tmp_path_factory.mktemp("references")
    write_png(folder / "0.png", np.ascontiguousarray(PHOTO[8:, 12:]))
    write_png(folder / "1.png", np.ascontiguousarray(PHOTO[::4, ::4]))
    return DetailSources.from_canvas(PHOTO, MASK, WINDOW, sorted(folder.glob("*.png")), 72)


def test_the_atlas_holds_all_photos_one_below_the_other(sources: DetailSources) -> None:
    atlas = build_patch_atlas(sources)
    assert atlas.first_rows == [0, 72, 72 + 98, 72 + 98]
    assert atlas.cells.shape == (170, 125, 3)
    assert atlas.photo_numbers(np.array([(0, 0), (71, 9), (72, 9), (169, 9)])).tolist() == [0, 0, 1, 1]


def test_patches_reach_neither_into_the_hole_nor_beyond_a_photo(sources: DetailSources) -> None:
    atlas = build_patch_atlas(sources)
    canvas, reference = atlas.usable[:72, :72], atlas.usable[72:170]
    assert not canvas[14 - MARGIN : 54 + MARGIN, 14 - MARGIN : 54 + MARGIN].any()
    assert canvas[14 - MARGIN - 1, 40] and not canvas[MARGIN - 1].any()
    assert reference[MARGIN:-MARGIN, MARGIN:-MARGIN].all()
    assert reference.sum() == (98 - 2 * MARGIN) * (125 - 2 * MARGIN)
    assert not atlas.usable[:72, 72:].any()


def test_examples_are_usable_and_always_the_same(sources: DetailSources) -> None:
    atlas = build_patch_atlas(sources)
    examples = atlas.draw_examples(500)
    assert 400 < len(examples) <= 500
    assert atlas.usable[tuple(examples.T)].all()
    assert np.array_equal(examples, atlas.draw_examples(500))


def test_unusable_patches_are_infinitely_far(sources: DetailSources) -> None:
    atlas = build_patch_atlas(sources)
    centers = np.array([(100, 60), (-5, 3), (1, 1), (500, 60)])
    distances = atlas.squared_distances(atlas.describe(centers[[0, 0, 0, 0]]), centers)
    assert distances[0] == 0
    assert np.isinf(distances[1:]).all()


def test_a_fill_that_a_reference_shows_is_matched_to_it_as_one_piece(sources: DetailSources) -> None:
    atlas = build_patch_atlas(sources)
    wanted = MASK[40:328, 40:328] > 0
    lattice = PatchLattice.covering(wanted, BOX, sources.scale, stride=2)
    cells = to_smooth_ycrcb(resize(np.ascontiguousarray(PHOTO[40:328, 40:328]), 72, 72))
    features = compute_patch_features(cells, lattice.cells)
    matches = search_coherent_matches(features, lattice, atlas)
    expected = lattice.cells + [72 + 10 - 2, 10 - 3]  # the window starts at cell 10, the reference at cell (2, 3)
    assert (matches == expected).all(axis=1).mean() > 0.98
    assert atlas.usable[tuple(matches.T)].all()


def test_coherence_decides_between_equal_patches(sources: DetailSources) -> None:
    atlas = build_patch_atlas(sources)
    flat = np.full((72, 72, 3), 128, np.uint8)
    lattice = PatchLattice.covering(MASK[40:328, 40:328] > 0, BOX, sources.scale, stride=2)
    features = compute_patch_features(flat, lattice.cells)
    scattered, coherent = (
        lattice.are_coherent(
            search_coherent_matches(features, lattice, atlas, PatchSearchSettings(incoherence_cost=cost))
        ).mean()
        for cost in (0, 0.1)
    )
    assert coherent > scattered
