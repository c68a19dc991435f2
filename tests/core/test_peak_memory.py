import numpy as np

from realfill.core.peak_memory import read_peaks, reset_peaks


def test_the_peak_covers_memory_that_was_freed_again() -> None:
    reset_peaks()
    before = read_peaks()["gigabytes"]
    np.ones(400_000_000, np.uint8).sum()
    assert read_peaks()["gigabytes"] > before + 0.3


def test_a_reset_forgets_earlier_peaks() -> None:
    np.ones(400_000_000, np.uint8).sum()
    peak = read_peaks()["gigabytes"]
    reset_peaks()
    assert 0 < read_peaks()["gigabytes"] < peak - 0.3
