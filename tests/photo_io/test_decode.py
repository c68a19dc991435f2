from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps
from skimage import data

from realfill.album.canvas import crop_window
from realfill.album.schemas import Window
from realfill.core.errors import PhotoError
from realfill.imaging.ops import Pixels, distance_transform, resize
from realfill.photo_io.color_management import from_srgb, profile_name, profile_problem, read_srgb, to_srgb
from realfill.photo_io.decode import Photo, read_photo
from realfill.photo_io.working_files import read_png, write_lossless_tiff, write_png

ADOBE_RGB = imagecodecs.cms_profile("adobergb")


@pytest.fixture(scope="module")
def picture() -> Pixels:
    return np.ascontiguousarray(data.astronaut()[:120, 180:340])


def saved(path: Path, pixels: Pixels, mode: str | None = None, **options: Any) -> Path:
    photo = Image.fromarray(pixels)
    (photo.convert(mode) if mode else photo).save(path, **options)
    return path


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif.tobytes()


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("a.jpg", "JPEG", {"quality": 95}),
        ("a.png", "PNG", {}),
        ("a.webp", "WEBP", {"quality": 95}),
        ("a.tif", "TIFF", {}),
        ("b.tif", "TIFF", {"compression": "tiff_lzw"}),
        ("c.tif", "TIFF", {"compression": "jpeg", "quality": 95}),
        ("a.heic", "HEIF", {"quality": 95}),
    ],
)
def test_reads_every_format(tmp_path: Path, picture: Pixels, name: str, kind: str, options: dict[str, Any]) -> None:
    photo = read_photo(saved(tmp_path / name, picture, **options))
    assert (photo.format, photo.mode, photo.bits) == (kind, "rgb", 8)
    assert np.abs(to_srgb(photo).astype(int) - picture).mean() < 4


def test_the_content_decides_not_the_name(tmp_path: Path, picture: Pixels) -> None:
    path = saved(tmp_path / "a.png", picture).rename(tmp_path / "a.jpg")
    assert read_photo(path).format == "PNG"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tif", "b.tif", "a.webp"])
def test_turns_photos_upright(tmp_path: Path, picture: Pixels, name: str, orientation: int) -> None:
    bilevel = name == "b.tif"  # decoded by another library than the other TIFFs are
    options = {"lossless": True} if name == "a.webp" else {"compression": "group4"} if bilevel else {}
    path = saved(tmp_path / name, picture, "1" if bilevel else None, exif=turned(orientation), **options)
    photo = read_photo(path)
    expected = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    assert photo.orientation == orientation
    assert np.array_equal(to_srgb(photo), np.asarray(expected))


def test_turns_heic_once(tmp_path: Path, picture: Pixels) -> None:
    path = saved(tmp_path / "a.heic", picture, exif=turned(6), quality=95)
    photo = read_photo(path)
    assert photo.orientation == 1
    assert np.abs(to_srgb(photo).astype(int) - np.rot90(picture, -1)).mean() < 4


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_keeps_sixteen_bits(tmp_path: Path, name: str, channels: int) -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (40, 50, channels), np.uint16)
    if name == "a.png":
        (tmp_path / name).write_bytes(imagecodecs.png_encode(samples))
    else:
        extra = ["unassalpha"] if channels in (2, 4) else None
        tifffile.imwrite(
            tmp_path / name,
            samples if channels > 1 else samples[..., 0],
            photometric="rgb" if channels > 2 else "minisblack",
            planarconfig="contig" if channels > 1 else None,
            compression="lzw",
            extrasamples=extra,
        )
    photo = read_photo(tmp_path / name)
    read = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    assert np.array_equal(read.reshape(samples.shape), samples)


def test_reads_planar_and_inverted_tiffs(tmp_path: Path, picture: Pixels) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(picture, -1, 0), photometric="rgb", planarconfig="separate")
    tifffile.imwrite(tmp_path / "b.tif", 255 - picture[..., 0], photometric="miniswhite")
    assert np.array_equal(read_photo(tmp_path / "a.tif").pixels, picture)
    assert np.array_equal(read_photo(tmp_path / "b.tif").pixels[..., 0], picture[..., 0])


def test_divides_premultiplied_colours(tmp_path: Path) -> None:
    samples = np.full((20, 20, 4), (50, 25, 10, 128), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", extrasamples=["assocalpha"])
    photo = read_photo(tmp_path / "a.tif")
    assert photo.pixels[0, 0].tolist() == [100, 50, 20]
    assert photo.alpha is not None and photo.alpha[0, 0] == 128


@pytest.mark.parametrize(
    ("name", "mode", "expected"),
    [
        ("a.png", "L", "gray"),
        ("a.png", "LA", "graya"),
        ("a.png", "RGBA", "rgba"),
        ("a.png", "1", "gray"),
        ("a.png", "P", "rgb"),
        ("a.tif", "P", "rgb"),
        ("a.tif", "1", "gray"),
        ("a.jpg", "L", "gray"),
        ("a.jpg", "CMYK", "cmyk"),
        ("a.tif", "CMYK", "cmyk"),
    ],
)
def test_reads_every_kind_of_pixels(tmp_path: Path, picture: Pixels, name: str, mode: str, expected: str) -> None:
    photo = read_photo(saved(tmp_path / name, picture, mode))
    shown = np.asarray(Image.fromarray(picture).convert(mode).convert("RGB")).astype(int)
    assert photo.mode == expected
    assert np.abs(to_srgb(photo) - shown).mean() < 8


def test_ink_is_not_inverted(tmp_path: Path) -> None:
    inks = np.full((32, 32, 4), (255, 0, 0, 0), np.uint8)
    for name in ("a.jpg", "a.tif"):
        Image.fromarray(inks, "CMYK").save(tmp_path / name)
        assert np.abs(read_srgb(tmp_path / name)[16, 16].astype(int) - (0, 255, 255)).max() <= 3


def test_a_transparent_palette_entry_becomes_alpha(tmp_path: Path, picture: Pixels) -> None:
    indices = np.zeros((30, 30), np.uint8)
    indices[10:20] = 1
    palette = Image.fromarray(indices, "P")
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.save(tmp_path / "a.png", transparency=1)
    photo = read_photo(tmp_path / "a.png")
    assert photo.alpha is not None
    assert photo.alpha[15, 0] == 0 and photo.alpha[0, 0] == 255
    assert photo.pixels[0, 0].tolist() == [255, 0, 0]


def test_reads_the_first_frame(tmp_path: Path, picture: Pixels) -> None:
    frames = [Image.fromarray(picture), Image.fromarray(255 - picture)]
    for name in ("a.webp", "a.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
        assert np.array_equal(read_srgb(tmp_path / name), picture)


def unusable(folder: Path, picture: Pixels) -> list[Path]:
    whole = saved(folder / "whole.jpg", picture).read_bytes()
    png = bytearray(saved(folder / "whole.png", picture).read_bytes())
    png[16:24] = (100_000).to_bytes(4, "big") * 2  # declared size
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "gigantic.png").write_bytes(png)
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("This is no photo.")
    saved(folder / "animation.gif", picture)
    saved(folder / "bitmap.bmp", picture)
    tifffile.imwrite(folder / "floats.tif", np.zeros((20, 20, 3), np.float32), photometric="rgb")
    tifffile.imwrite(folder / "deep.tif", np.zeros((20, 20), np.uint32))
    tifffile.imwrite(folder / "lab.tif", picture, photometric="cielab")
    (folder / "folder.jpg").mkdir()
    names = "truncated.jpg gigantic.png empty.jpg text.jpg animation.gif bitmap.bmp floats.tif deep.tif lab.tif"
    return [folder / name for name in [*names.split(), "folder.jpg", "missing.jpg"]]


def test_explains_what_cannot_be_used(tmp_path: Path, picture: Pixels) -> None:
    for path in unusable(tmp_path, picture):
        with pytest.raises(PhotoError) as caught:
            read_photo(path)
        assert caught.value.path == path
        assert caught.value.problem.endswith(".") and caught.value.remedy.endswith(".")


def test_refuses_more_megapixels_than_allowed(tmp_path: Path, picture: Pixels) -> None:
    path = saved(tmp_path / "a.jpg", picture)
    with pytest.raises(PhotoError, match="160 x 120 pixels, more than"):
        read_photo(path, max_megapixels=0.01)


def test_converts_through_the_embedded_profile(tmp_path: Path) -> None:
    red_in_adobe_rgb = np.full((16, 16, 3), (219, 0, 0), np.uint8)  # sRGB's own red, by the standards' primaries
    photo = read_photo(saved(tmp_path / "a.png", red_in_adobe_rgb, icc_profile=ADOBE_RGB))
    assert np.abs(to_srgb(photo)[0, 0].astype(int) - (255, 0, 0)).max() <= 1
    back = from_srgb(np.full((4, 5, 3), (1, 0, 0), np.float32), photo)
    assert back.shape == (4, 5, 3)
    assert np.abs(back[0, 0].astype(int) - (219, 0, 0)).max() <= 2


@pytest.mark.parametrize("icc", [None, ADOBE_RGB])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_there_and_back_changes_nothing_visible(picture: Pixels, dtype: Any, icc: bytes | None) -> None:
    muted = (picture // 2 + 64).astype(dtype) * (np.iinfo(dtype).max // 255)  # inside both gamuts
    photo = Photo(muted.astype(dtype), None, icc, "TIFF", 1)
    back = from_srgb(to_srgb(photo).astype(np.float32) / 255, photo)
    assert back.dtype == dtype
    assert np.abs(back.astype(float) - muted).max() <= 2 * np.iinfo(dtype).max / 255


def test_grey_and_ink_there_and_back(picture: Pixels) -> None:
    grey = Photo(picture[..., :1], None, None, "PNG", 1)
    ink = Photo(np.dstack([255 - picture, np.zeros_like(picture[..., :1])]), None, None, "TIFF", 1)
    for photo in (grey, ink):
        shown = to_srgb(photo)
        back = Photo(from_srgb(shown.astype(np.float32) / 255, photo), None, None, "TIFF", 1)
        assert back.pixels.shape == photo.pixels.shape
        assert np.abs(to_srgb(back).astype(int) - shown).max() <= 2


def test_sixteen_bits_are_not_banded() -> None:
    ramp = np.repeat(np.linspace(0.1, 0.9, 4096, dtype=np.float32)[None, :, None], 3, axis=2)
    for icc in (None, ADOBE_RGB):
        like = Photo(np.zeros((1, 1, 3), np.uint16), None, icc, "TIFF", 1)
        assert len(np.unique(from_srgb(ramp, like)[..., 1])) > 4000


def test_a_broken_profile_is_named_and_not_used(tmp_path: Path, picture: Pixels) -> None:
    for pixels, icc in ((picture, b"no profile at all" * 20), (picture[..., 0], ADOBE_RGB)):
        photo = read_photo(saved(tmp_path / "a.png", pixels, icc_profile=icc))
        assert "sRGB is assumed" in profile_problem(photo)
        assert profile_name(photo) == ""
        assert np.array_equal(to_srgb(photo)[..., 0], pixels.reshape(120, 160, -1)[..., 0])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([np.uint8, np.uint16]),
    st.sampled_from([1, 3, 4]),
    st.booleans(),
    st.sampled_from([None, ADOBE_RGB]),
    st.tuples(st.integers(1, 300), st.integers(1, 40)),
)
def test_lossless_files_hold_everything(
    tmp_path: Path, dtype: Any, channels: int, clear: bool, icc: bytes | None, size: tuple[int, int]
) -> None:
    samples = np.random.default_rng(channels).integers(0, np.iinfo(dtype).max, (*size, channels + 1), dtype)
    photo = Photo(samples[..., :channels], samples[..., channels] if clear else None, icc, "PNG", 6)
    write_lossless_tiff(tmp_path / "a.tif", photo)
    read = read_photo(tmp_path / "a.tif")
    assert np.array_equal(read.pixels, photo.pixels) and read.pixels.dtype == dtype
    assert (read.alpha is None) == (photo.alpha is None)
    if photo.alpha is not None and read.alpha is not None:
        assert np.array_equal(read.alpha, photo.alpha)
    assert (read.icc, read.orientation) == (icc, 1)


def test_work_pictures_come_back(tmp_path: Path, picture: Pixels) -> None:
    for pixels in (picture, picture[..., 0]):
        write_png(tmp_path / "a.png", pixels)
        write_png(tmp_path / "b.png", pixels)
        assert np.array_equal(read_png(tmp_path / "a.png"), pixels)
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
        assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)


def test_shrinking_averages(picture: Pixels) -> None:
    small = resize(picture, 80, 60)
    blocks = picture.reshape(60, 2, 80, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - blocks).max() <= 1
    assert resize(picture[..., :1], 320, 240).shape == (240, 320, 1)
    assert resize(picture.astype(np.float32), 30, 50).dtype == np.float32


def window(left: int, top: int, side: int) -> Window:
    return Window("file", 160, 120, 0, 0, 160, 120, left, top, side, 0.1)


def test_a_window_inside_the_canvas_is_a_cut(picture: Pixels) -> None:
    assert np.array_equal(crop_window(picture, window(20, 10, 64)), picture[10:74, 20:84])


def test_a_window_beyond_the_canvas_repeats_its_edge_or_is_filled(picture: Pixels) -> None:
    cut = crop_window(picture, window(0, -20, 160))
    assert cut.shape == (160, 160, 3)
    assert np.array_equal(cut[20:140], picture)
    assert np.array_equal(cut[0], picture[0]) and np.array_equal(cut[159], picture[119])
    mask = crop_window(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), window(0, -20, 160), fill=0)
    assert mask[:20].max() == 0 and mask[140:].max() == 0


def test_distances_are_exact_and_do_not_depend_on_where_the_picture_lies_in_memory() -> None:
    region = np.zeros((96, 96), bool)
    region[20:60, 30:70] = True
    rows, columns = np.mgrid[:96, :96]
    aside = np.hypot(rows - rows.clip(20, 59), columns - columns.clip(30, 69))
    sizes = np.random.default_rng(0).integers(1, 5000, (40, 50))
    drawn = []
    for round_ in sizes:
        moved = [np.empty(size, np.uint8) for size in round_]
        drawn.append(distance_transform(region.copy()).tobytes())
        del moved
    assert len(set(drawn)) == 1
    np.testing.assert_allclose(distance_transform(region), aside, atol=1e-5)
