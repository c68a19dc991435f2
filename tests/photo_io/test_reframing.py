import numpy as np
import pytest

from realfill.photo_io.photo import Photo
from realfill.photo_io.reframing import Reframing


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("is_extended", [False, True])
def test_a_box_goes_where_the_picture_in_it_goes(orientation: int, is_extended: bool) -> None:
    stored = np.zeros((40, 60), np.uint8)
    stored[4:12, 6:24] = 255
    upright = Photo.from_samples(stored, 1, icc=None, file_format="PNG", orientation=orientation, exif=False).pixels[
        ..., 0
    ]
    height, width = upright.shape
    inner = (0.0, 0.0, 1.0, 1.0)
    if is_extended:
        inner = (10 / (width + 30), 20 / (height + 20), (width + 10) / (width + 30), 1.0)
        upright = np.pad(upright, ((20, 0), (10, 20)))
    height, width = upright.shape
    frame = Reframing(width, height, orientation, inner)
    assert frame.stored_size == (60, 40)
    assert frame.is_identity == (orientation == 1 and not is_extended)
    left, top, right, bottom = frame.move((6 / 60, 4 / 40, 24 / 60, 12 / 40))
    rows, columns = np.nonzero(upright)
    shown = (columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height)
    assert (left, top, right, bottom) == pytest.approx(shown)
