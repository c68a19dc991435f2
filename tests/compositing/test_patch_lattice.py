import numpy as np

from realfill.compositing.patch_lattice import NEIGHBOR_STEPS, PatchLattice

SCALE, SIDE = 4.0, 160
BOX = slice(40, 120), slice(60, 150)


def lattice() -> PatchLattice:
    wanted = np.zeros((SIDE, SIDE), bool)
    wanted[BOX] = True
    wanted[40:70, 60:90] = False
    return PatchLattice.covering(wanted, BOX, SCALE, stride=2)


def test_every_wanted_cell_lies_between_patches() -> None:
    cells = {tuple(cell) for cell in lattice().cells}
    for row, column in [(10, 25), (18, 16), (29, 37), (20, 25)]:  # cells in the wanted part
        around = [(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        assert sum(tuple(cell) in cells for cell in around) >= 1
    assert not any(row < 10 and column < 15 for row, column in cells if row > 12)
    assert (10, 15) not in cells


def test_neighbors_lie_a_stride_away_and_know_each_other() -> None:
    patches = lattice()
    for k, neighbors in enumerate(patches.neighbors):
        for direction, neighbor in enumerate(neighbors):
            if neighbor >= 0:
                step = patches.cells[neighbor] - patches.cells[k]
                assert (step == 2 * NEIGHBOR_STEPS[direction]).all()
                assert patches.neighbors[neighbor][(direction + 2) % 4] == k


def test_matches_of_one_translation_are_coherent() -> None:
    patches = lattice()
    matches = patches.cells + [100, 7]
    assert np.array_equal(patches.are_coherent(matches), patches.neighbors >= 0)
    assert np.allclose(patches.measure_coherence(matches, 5), 1)


def test_a_stray_match_is_not_coherent_and_lowers_the_coherence_around_it() -> None:
    patches = lattice()
    matches = patches.cells + [100, 7]
    stray = len(matches) // 2
    matches[stray] += 3
    coherent, coherence = patches.are_coherent(matches), patches.measure_coherence(matches, 3)
    assert not coherent[stray].any()
    far = np.abs(patches.positions - patches.positions[stray]).max(axis=1) > 2
    assert coherence[stray] < 0.8
    assert np.allclose(coherence[far], 1)


def test_extrapolated_matches_continue_those_of_the_neighbors() -> None:
    patches = lattice()
    matches = patches.cells + [100, 7]
    some = np.flatnonzero((patches.neighbors >= 0).all(axis=1))[:5]
    continued = patches.extrapolate_matches(matches, some)
    assert np.array_equal(continued, np.broadcast_to(matches[some][:, None], continued.shape))
