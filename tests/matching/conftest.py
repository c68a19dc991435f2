import numpy as np
import pytest
from skimage import data


@pytest.fixture(scope="session")
def stereo_pair() -> tuple[np.ndarray, np.ndarray]:
    """A rectified pair of a deep scene, 400 x 500."""
    left, right, _ = data.stereo_motorcycle()
    return np.ascontiguousarray(left[:, 100:500]), np.ascontiguousarray(right[:, 100:500])
