import numpy as np
import pytest
from skimage import data

from realfill.imaging.ops import Pixels


@pytest.fixture(scope="session")
def picture() -> Pixels:
    """A colorful part of a photo, [120, 160, 3]."""
    return np.ascontiguousarray(data.astronaut()[:120, 180:340])
