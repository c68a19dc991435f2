"""The demo album."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data

from realfill.album.discovery import open_album
from realfill.core.errors import OutputError
from realfill.demo_album import hole_mask, render_view, write_demo_album
from realfill.photo_io.working_files import read_png


def test_the_album_has_the_target_its_truth_and_three_references(tmp_path: Path) -> None:
    folder = write_demo_album(tmp_path / "motorcycle")
    album = open_album(folder)
    assert [path.name for path in album.references] == ["0.png", "1.png", "2.png"]
    target, mask, truth = (read_png(folder / "target" / f"{name}.png") for name in ("target", "mask", "gt"))
    assert (target[mask == 255] == 255).all()
    assert (target[mask == 0] == truth[mask == 0]).all()
    assert 0.1 < (mask == 255).mean() < 0.2


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="exists already"):
        write_demo_album(tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="exists already"):
        write_demo_album(tmp_path / "link")


def test_the_hole_has_the_same_place_at_every_size() -> None:
    rows, columns = np.nonzero(hole_mask(100, 200))
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (33, 80, 72, 136)


def test_the_left_camera_sees_the_left_photo() -> None:
    left = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    disparity = np.full((8, 12), 3.0, np.float32)
    assert (render_view(left, disparity, 0.0) == left).all()


def test_a_rendered_view_moves_near_things_more_and_leaves_no_gap() -> None:
    left = np.full((40, 100, 3), 50, np.uint8)
    left[10:30, 40:60] = (200, 30, 30)
    disparity = np.full((40, 100), 4.0, np.float32)
    disparity[10:30, 40:60] = 20
    disparity[10:30, 60:64] = np.inf  # not measured beside the box
    view = render_view(left, disparity, 0.5)
    assert (view[12:28, 31:49] == (200, 30, 30)).all()
    assert np.abs(view[12:28, 52:].astype(int) - 50).max() <= 1
    assert np.abs(view[:8].astype(int) - 50).max() <= 1


def test_the_mixed_rim_of_a_near_thing_leaves_no_specks() -> None:
    """The pixels beside a dark bar are half covered by it; their disparity is the background's, or in between."""
    left = np.full((40, 100, 3), 200, np.uint8)
    left[:, 49:56] = 120
    left[:, 50:55] = 40
    disparity = np.full((40, 100), 4.0, np.float32)
    disparity[:, 50:55] = 24
    disparity[::3, 49] = 13  # between both
    view = render_view(left, disparity, 0.5).astype(int)
    assert np.abs(view[:, 38:43] - 40).max() <= 4
    assert np.abs(view[:, [37, 43]] - 120).max() <= 8
    assert np.abs(view[:, 20:37] - 200).max() <= 4
    assert np.abs(view[:, 44:90] - 200).max() <= 4
    assert np.abs(render_view(left, disparity, 0.0).astype(int) - left).max() <= 2


def test_the_right_camera_sees_about_the_right_photo() -> None:
    """The hole shows the edges of near things; without layers and mirrored gaps it had 23.8 dB there."""
    photos = Path(skimage.data.__file__).parent
    disparity = np.load(photos / "motorcycle_disp.npz", allow_pickle=False)["arr_0"]
    left, right = (read_png(photos / f"motorcycle_{side}.png") for side in ("left", "right"))
    errors = (render_view(left, disparity, 1.0).astype(float) - right)[hole_mask(*disparity.shape)]
    assert 10 * np.log10(255**2 / (errors**2).mean()) > 24.1
