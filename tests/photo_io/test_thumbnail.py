import io

import numpy as np
import pytest
from PIL import Image

from realfill.photo_io.thumbnail import ThumbnailSettings, encode_thumbnail
from support.camera_photos import COFFEE


@pytest.mark.parametrize(
    ("height", "width", "size"), [(160, 240, (160, 107)), (240, 160, (107, 160)), (1, 900, (160, 1))]
)
def test_the_longer_side_has_the_size_of_a_thumbnail(height: int, width: int, size: tuple[int, int]) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    with Image.open(io.BytesIO(encode_thumbnail(image))) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("JPEG", size)


def test_a_thumbnail_shows_the_photo() -> None:
    with Image.open(io.BytesIO(encode_thumbnail(COFFEE))) as thumbnail:
        shown = np.asarray(thumbnail.resize((24, 16))).astype(int)
    assert np.median(np.abs(shown - np.asarray(Image.fromarray(COFFEE).resize((24, 16))))) < 8


def test_size_and_quality_are_settings() -> None:
    small = encode_thumbnail(COFFEE, ThumbnailSettings(side=60, quality=30))
    with Image.open(io.BytesIO(small)) as thumbnail:
        assert thumbnail.size == (60, 40)
    assert len(small) < len(encode_thumbnail(COFFEE))
