from pathlib import Path
from typing import Any

import numpy as np
import pytest

from realfill.core.errors import PhotoError
from realfill.core.parallel import map_parallel
from realfill.imaging.ops import Pixels
from realfill.photo_io import photo_cache
from realfill.photo_io.color_management import read_rgb
from realfill.photo_io.photo_cache import PhotoCache
from support.camera_photos import save_image


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the photos that are decoded, as it happens."""
    names: list[str] = []

    def record(path: Path, *arguments: Any) -> Pixels:
        names.append(path.name)
        return read_rgb(path, *arguments)

    monkeypatch.setattr(photo_cache, "read_rgb", record)
    return names


def test_threads_that_read_one_photo_decode_it_once(tmp_path: Path, picture: Pixels, decoded: list[str]) -> None:
    path = save_image(tmp_path / "a.png", picture)
    cache = PhotoCache()
    photos = map_parallel(lambda _: cache.read_rgb(path, None), range(8))
    assert decoded == ["a.png"]
    for photo in photos:
        np.testing.assert_array_equal(photo, picture)
    with pytest.raises(ValueError, match="read-only"):
        photos[0][:] = 0


def test_the_photo_that_was_not_read_for_longest_makes_place(
    tmp_path: Path, picture: Pixels, decoded: list[str]
) -> None:
    cache = PhotoCache(max_bytes=2 * picture.nbytes)
    paths = {name: save_image(tmp_path / name, picture) for name in ("a.png", "b.png", "c.png")}
    for name in ("a.png", "b.png", "a.png", "c.png", "a.png", "b.png"):
        cache.read_rgb(paths[name], None)
    assert decoded == ["a.png", "b.png", "c.png", "b.png"]


def test_a_photo_that_cannot_be_read_is_an_error_each_time(tmp_path: Path) -> None:
    cache = PhotoCache()
    for _ in range(2):
        with pytest.raises(PhotoError):
            cache.read_rgb(tmp_path / "missing.png", None)
