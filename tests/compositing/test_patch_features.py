import numpy as np

from realfill.compositing.patch_features import (
    PatchFeatureSettings,
    compute_contrast_gain,
    compute_patch_features,
    get_structure,
)

CELLS = np.random.default_rng(0).integers(60, 120, (20, 30, 3), np.uint8)
CENTERS = np.array([(2, 2), (10, 15), (17, 27)])


def test_a_patch_has_structure_lightness_chroma_and_contrast() -> None:
    settings = PatchFeatureSettings()
    features = compute_patch_features(CELLS, CENTERS, settings)
    assert features.shape == (3, 25 + 4)
    luma = CELLS[8:13, 13:18, 0] / 255
    deviation = luma.std() + settings.contrast_floor
    assert np.allclose(get_structure(features)[1], (luma - luma.mean()) / (5 * deviation), atol=1e-6)
    assert np.allclose(features[1, 25], settings.lightness_weight * luma.mean())
    assert np.allclose(features[1, 26:28], settings.chroma_weight * CELLS[10, 15, 1:] / 255)
    assert np.allclose(features[1, 28], settings.contrast_weight * np.log(deviation))


def test_structure_does_not_depend_on_the_lightness() -> None:
    brighter = CELLS + np.array([40, 0, 0], np.uint8)
    first, second = (compute_patch_features(cells, CENTERS) for cells in (CELLS, brighter))
    assert np.allclose(get_structure(first), get_structure(second), atol=1e-5)
    assert (second[:, 25] > first[:, 25]).all()


def test_the_gain_tells_how_much_more_contrast_a_patch_has() -> None:
    settings = PatchFeatureSettings(contrast_floor=0)
    doubled = (CELLS.astype(int) * 2 - 90).astype(np.uint8)
    first, second = (compute_patch_features(cells, CENTERS, settings) for cells in (CELLS, doubled))
    assert np.allclose(compute_contrast_gain(second, first, settings), 2, rtol=1e-3)


def test_noise_in_a_flat_patch_has_little_structure() -> None:
    flat = np.full_like(CELLS, 90)
    flat[10, 15] += 1
    structure = get_structure(compute_patch_features(flat, CENTERS))
    assert np.linalg.norm(structure[0]) < 1e-5
    assert np.linalg.norm(structure[1]) < 0.1
