import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from realfill.core.errors import PhotoError, StageError
from realfill.imaging.ops import Pixels
from realfill.photo_io.decode_sandbox import DecodeSandbox, SandboxSettings
from realfill.photo_io.photo_info import InspectionSettings, inspect_photo
from support.camera_photos import save_image

NAMES = ("a.jpg", "a.png", "a.webp", "a.tif", "a.heic", "a.avif")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[DecodeSandbox]:
    with DecodeSandbox(max_megapixels=1.0, timeout=30.0) as started:
        yield started


@pytest.fixture(scope="module")
def undamaged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undamaged")
    for name in NAMES:
        Image.fromarray(data.chelsea()[:96, :96]).save(folder / name)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_sandbox_tells_what_the_process_itself_would(sandbox: DecodeSandbox, tmp_path: Path) -> None:
    path = save_image(tmp_path / "a photo.jpg", data.coffee())
    assert sandbox.inspect(path) == inspect_photo(path, 1.0)


def test_a_photo_that_cannot_be_used_is_an_error(sandbox: DecodeSandbox, tmp_path: Path) -> None:
    path = tmp_path / "text.jpg"
    path.write_text("This is no photo.")
    with pytest.raises(PhotoError, match="can be read") as caught:
        sandbox.inspect(path)
    assert caught.value.path == path


def test_goes_on_after_a_photo_that_hangs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")  # opening it waits for ever
    Image.fromarray(data.coffee()).save(tmp_path / "coffee.jpg")
    with DecodeSandbox(max_megapixels=1.0, timeout=2.0) as sandbox:
        with pytest.raises(PhotoError, match="longer than 2 s"):
            sandbox.inspect(tmp_path / "pipe.jpg")
        assert sandbox.inspect(tmp_path / "coffee.jpg").width == 600


def test_goes_on_after_the_process_is_killed_between_two_photos(tmp_path: Path, picture: Pixels) -> None:
    path = save_image(tmp_path / "a.png", picture)
    before = {child.pid for child in psutil.Process().children()}
    with DecodeSandbox(1.0, 30.0) as sandbox:
        sandbox.inspect(path)
        (child,) = (child for child in psutil.Process().children() if child.pid not in before)
        child.kill()
        while child.status() != psutil.STATUS_ZOMBIE:  # its end of the pipes is closed only then
            time.sleep(0.01)
        with pytest.raises(PhotoError, match="crashes"):
            sandbox.inspect(path)
        assert sandbox.inspect(path) == inspect_photo(path, 1.0)


def test_the_settings_reach_the_process(tmp_path: Path, picture: Pixels) -> None:
    path = save_image(tmp_path / "a.png", picture)
    inspection = InspectionSettings(thumbnail_side=40)
    with DecodeSandbox(1.0, 30.0, SandboxSettings(inspection=inspection)) as sandbox:
        assert sandbox.inspect(path) == inspect_photo(path, 1.0, inspection)


def test_memory_beyond_the_limit_is_not_given(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (8000, 4000)).save(path)
    settings = SandboxSettings(bytes_per_pixel=0, base_bytes=256 * 2**20)
    with DecodeSandbox(50.0, 30.0, settings) as sandbox, pytest.raises(PhotoError, match="more memory than there is"):
        sandbox.inspect(path)
    with DecodeSandbox(50.0, 30.0) as sandbox:
        assert sandbox.inspect(path).width == 8000


def test_a_process_that_does_not_start_is_an_error(
    tmp_path: Path, picture: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_image(tmp_path / "a.png", picture)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with DecodeSandbox(1.0, 30.0) as sandbox, pytest.raises(StageError, match="does not start"):
        sandbox.inspect(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(NAMES),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), max_size=6),
    st.floats(0.1, 1),
)
def test_damage_is_survived(
    undamaged: dict[str, bytes],
    sandbox: DecodeSandbox,
    tmp_path: Path,
    name: str,
    flaws: list[tuple[float, bytes]],
    kept: float,
) -> None:
    damaged = bytearray(undamaged[name])
    for place, junk in flaws:
        start = int(place * len(damaged))
        damaged[start : start + len(junk)] = junk
    path = tmp_path / name
    path.write_bytes(damaged[: int(kept * len(damaged))])
    try:
        info = sandbox.inspect(path)
    except PhotoError as error:
        assert error.path == path and error.remedy
    else:
        assert info.width * info.height > 0
