import cv2
import numpy as np

from realfill.compositing.patch_features import compute_patch_features
from realfill.compositing.patch_lattice import PatchLattice
from realfill.compositing.patch_registration import PatchRegistrationSettings, register_patches

LATTICE = PatchLattice.covering(np.ones((80, 80), bool), (slice(8, 72), slice(8, 72)), 2.0, stride=2)


def picture(down: float = 0, right: float = 0, contrast: float = 60) -> np.ndarray:
    """Smooth cells of [46, 46] around the lattice, moved by so much."""
    rows, columns = np.mgrid[:46, :46].astype(np.float32)
    luma = np.sin((rows + down) / 1.9) * np.sin((columns + right) / 2.3 + 0.4)
    return np.dstack([np.rint(120 + contrast * luma)] + 2 * [np.full_like(luma, 128)]).astype(np.uint8)


def shifts(fill: np.ndarray, photo: np.ndarray, settings: PatchRegistrationSettings) -> np.ndarray:
    features, matches = (compute_patch_features(cells, LATTICE.cells + 3) for cells in (fill, photo))
    coherent = LATTICE.are_coherent(LATTICE.cells)
    return register_patches(features, matches, coherent, LATTICE, settings=settings)


def test_a_shift_within_a_cell_is_made_smaller() -> None:
    estimated = shifts(picture(0.3, -0.2), picture(), PatchRegistrationSettings())
    left = np.array([0.3, -0.2]) - np.median(estimated, axis=0)
    assert (np.abs(left) < [0.15, 0.1]).all()  # the step is too short, as the patches' means are subtracted


def test_equal_pictures_are_not_moved() -> None:
    assert not shifts(picture(), picture(), PatchRegistrationSettings()).any()


def test_flat_patches_stay() -> None:
    estimated = shifts(picture(0.3, -0.2, contrast=0.6), picture(contrast=0), PatchRegistrationSettings())
    assert np.abs(estimated).max() < 1e-6


def test_no_patch_is_moved_farther_than_allowed() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (46, 46, 3), np.uint8)
    settings = PatchRegistrationSettings(rounds=0, damping=1e-6, max_shift=0.5)
    assert np.abs(shifts(noise, cv2.flip(noise, 0), settings)).max() == 0.5


def test_coherent_patches_move_alike() -> None:
    fill = picture(0.3, -0.2).astype(int) + np.random.default_rng(0).integers(-25, 26, (46, 46, 3))
    noisy = fill.clip(0, 255).astype(np.uint8)
    alone, together = (shifts(noisy, picture(), PatchRegistrationSettings(rounds=rounds)) for rounds in (0, 2))
    assert together.std() < alone.std() / 1.5
