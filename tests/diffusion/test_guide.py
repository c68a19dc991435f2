import numpy as np

from realfill.diffusion.guide import Guide, restore_detail

SIDE = 64


def test_detail_comes_back_only_where_the_candidate_still_shows_what_was_placed() -> None:
    rng = np.random.default_rng(0)
    detailed = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    decoded = np.clip(detailed // 2 + 64, 0, 255).astype(np.uint8)
    candidate = decoded.copy()
    candidate[:, SIDE // 2 :] = rng.integers(0, 256, (SIDE, SIDE // 2, 3))
    mask = np.ones((SIDE, SIDE), bool)
    mask[:8] = False
    guide = Guide(detailed, np.ones((SIDE, SIDE), bool), np.ones((SIDE, SIDE), np.float32), 0.5)
    restored = restore_detail(candidate, guide, decoded, mask).astype(int)
    same, other = np.s_[16:60, 4:24], np.s_[16:60, 40:60]
    assert np.abs(restored[same] - detailed[same]).mean() < 3
    assert (
        np.abs(restored[other] - candidate[other]).mean()
        < 0.3 * np.abs(detailed[other].astype(int) - decoded[other]).mean()
    )
    np.testing.assert_array_equal(restored[:4], candidate[:4])
