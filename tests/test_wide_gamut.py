"""Albums of photos with colors outside of sRGB: the fill holds them, from decoding to the composite."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import tifffile

from realfill.album.canvas import crop_window, read_model_window
from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.placement import Proposal
from realfill.album.schemas import InputPhoto
from realfill.album.store import canvas_path, mask_path, read_window, read_working_profile, write_rows
from realfill.compositing.blended_patch import complete_photo
from realfill.compositing.mosaic import build_mosaic
from realfill.compositing.multiband_blend import BlendSettings, Fill, blend_fill
from realfill.compositing.photographed_pixels import PhotographedSettings, place_photographed
from realfill.compositing.ring_color_matching import RingColorSettings
from realfill.compositing.warped_reference import warp_and_match_color
from realfill.core.params import BlendParams, load_params
from realfill.geometry.warp import homography_warp
from realfill.imaging.ops import resize
from realfill.imaging.region import Region
from realfill.photo_io.color_management import from_rgb, read_srgb
from realfill.photo_io.decode import read_photo
from realfill.photo_io.photo import Photo
from realfill.photo_io.working_files import read_png
from realfill.stages import masks
from support.camera_photos import SRGB
from support.color_spaces import DISPLAY_P3, WIDE_GAMMA_22, WIDE_SPACES
from support.scenes import rectangle_mask

HOLE = rectangle_mask((200, 300), slice(70, 130), slice(110, 190))
COARSE = RingColorSettings(grid=32)  # solved in milliseconds
GRAY_ROWS = slice(84, 94)
SATURATED_ROWS = slice(100, 120)


@cache
def saturated_photo() -> np.ndarray:
    """A photo of pure colors, with a gray gradient and stripes of the primaries across the hole, uint16."""
    planes = cv2.cvtColor(cv2.resize(skimage.data.coffee(), (300, 200)), cv2.COLOR_RGB2HSV).astype(np.float32)
    planes[..., 1] = (planes[..., 1] * 1.7).clip(0, 255)
    colors = cv2.cvtColor(np.rint(planes).astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.float32) / 255
    colors[GRAY_ROWS] = np.linspace(0.3, 0.6, 300, dtype=np.float32)[:, None]
    for number, primary in enumerate(((0.9, 0, 0), (0, 0.9, 0), (0, 0, 0.9), (0, 0.8, 0.8))):
        colors[SATURATED_ROWS.start + 5 * number : SATURATED_ROWS.start + 5 * number + 5] = primary
    return np.rint((0.96 * colors + 0.04) * 65535).astype(np.uint16)  # near 0 a gamma magnifies every rounding


def write_album(root: Path, icc: bytes, reference_icc: bytes) -> Album:
    """An album that counts as validated; its only reference shows the truth, perhaps in another color space."""
    for folder in ("target", "ref"):
        (root / folder).mkdir(parents=True)
    truth = saturated_photo()
    target = np.where(HOLE[..., None] > 0, np.uint16(32896), truth)
    tifffile.imwrite(root / "target" / "target.tif", target, photometric="rgb", iccprofile=icc)
    cv2.imwrite(str(root / "target" / "mask.png"), HOLE)
    like = Photo(truth, None, reference_icc, "TIFF", 1)
    reference = truth if reference_icc == icc else from_rgb(truth.astype(np.float32) / 65535, icc, like)
    tifffile.imwrite(root / "ref" / "0.tif", reference, photometric="rgb", iccprofile=reference_icc)
    album = open_album(root)
    album.work("validate").mkdir(parents=True)
    write_rows(album.work("validate") / "inputs.parquet", InputPhoto, [])
    masks.run(album, load_params())
    return album


def complete(album: Album, *, only_photographed: bool = False) -> Photo:
    """Place the reference, whose warp is known, and composite it into the target."""
    canvas, mask, window = read_png(canvas_path(album)), read_png(mask_path(album)), read_window(album)
    profile = read_working_profile(album)
    region = Region.around(canvas, mask, profile=profile)
    reference = warp_and_match_color(region, album.references[0], homography_warp(np.eye(3)))
    assert reference is not None
    mosaic = build_mosaic(region, [reference])
    proposal = Proposal(*region.box[:2], mosaic.colors, np.maximum(mosaic.confidence, 200))
    params = BlendParams()
    if only_photographed:
        patch = place_photographed(canvas, mask, window, proposal, params, PhotographedSettings(ring_colors=COARSE))
    else:
        filled = region.fill(mosaic.colors, mosaic.filled).canvas
        candidate = resize(crop_window(filled, window), 128, 128)
        fill = Fill(candidate, "placed", proposal, None, profile)
        patch = blend_fill(canvas, mask, window, fill, params, BlendSettings(ring_colors=COARSE))
    return complete_photo(read_photo(album.target), window, patch, profile)


def errors(completed: Photo) -> np.ndarray:
    """Differences from the truth in the hole, in the photo's own color space, 8-bit levels, [60, 80, 3]."""
    difference = (completed.pixels.astype(np.float64) - saturated_photo()) / 257
    return difference[70:130, 110:190]


@pytest.fixture(scope="module")
def srgb_errors(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """What an album of sRGB photos of the same values has."""
    return np.abs(errors(complete(write_album(tmp_path_factory.mktemp("srgb") / "roof", SRGB, SRGB))))


@pytest.mark.parametrize("reference", ["same profile", "other profile"])
@pytest.mark.parametrize("icc", WIDE_SPACES.values(), ids=WIDE_SPACES)
def test_a_wide_fill_is_as_near_to_the_truth_as_one_in_srgb(
    tmp_path: Path, icc: bytes, reference: str, srgb_errors: np.ndarray
) -> None:
    album = write_album(tmp_path / "roof", icc, icc if reference == "same profile" else WIDE_GAMMA_22)
    completed = complete(album)
    assert completed.icc == icc
    wide = np.abs(errors(completed))
    rim = np.ones((60, 80), bool)
    rim[3:-3, 3:-3] = False
    for part in (np.s_[:], rim, np.s_[SATURATED_ROWS.start - 70 : SATURATED_ROWS.stop - 70]):
        assert wide[part].mean() < srgb_errors[part].mean() + 0.15
    outside = HOLE == 0
    outside[66:134, 106:194] = False  # the feather
    assert np.array_equal(completed.pixels[outside], saturated_photo()[outside])


@pytest.mark.parametrize("icc", WIDE_SPACES.values(), ids=WIDE_SPACES)
def test_a_gray_gradient_of_16_bits_has_no_bands(tmp_path: Path, icc: bytes) -> None:
    completed = complete(write_album(tmp_path / "roof", icc, icc))
    gradient, truth = (
        pixels[GRAY_ROWS][3:-3, 114:186].astype(float).mean(axis=0)
        for pixels in (completed.pixels, saturated_photo())
    )
    steps, even = np.diff(gradient, axis=0), np.diff(truth, axis=0)
    assert (np.abs(steps - even) < even / 2).all()


def test_photographed_pixels_alone_hold_wide_colors(tmp_path: Path) -> None:
    completed = complete(write_album(tmp_path / "roof", DISPLAY_P3, DISPLAY_P3), only_photographed=True)
    assert np.abs(errors(completed)).mean() < 0.5


def test_model_and_pages_see_srgb(tmp_path: Path) -> None:
    album = write_album(tmp_path / "roof", DISPLAY_P3, DISPLAY_P3)
    window, canvas = read_window(album), read_srgb(canvas_path(album))
    assert np.abs(canvas.astype(int) - read_png(canvas_path(album))).max() > 20
    image, _ = read_model_window(album, 64)
    assert np.array_equal(image, resize(crop_window(canvas, window), 64, 64))
