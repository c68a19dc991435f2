import numpy as np

from realfill.diffusion.training_masks import RandomMaskSettings, random_mask


def test_the_public_mask_recipe() -> None:
    drawn = [random_mask(np.random.default_rng(seed), 100) for seed in range(400)]
    full = np.mean([mask.all() for mask in drawn])
    mostly = np.mean([mask.mean() > 0.5 for mask in drawn])
    assert 0.06 < full < 0.16
    assert 0.3 < mostly < 0.75


def test_a_mask_follows_from_its_generator() -> None:
    first, again, other = (random_mask(np.random.default_rng(seed), 64) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (64, 64)
    assert first.dtype == np.bool_


def test_rectangles_keep_their_distance_from_the_border() -> None:
    settings = RandomMaskSettings(full_probability=0, inverted_probability=0, margin=0.1)
    masked = np.any([random_mask(np.random.default_rng(seed), 100, settings) for seed in range(50)], axis=0)
    assert masked[10:90, 10:90].mean() > 0.9
    masked[10:90, 10:90] = False
    assert not masked.any()
