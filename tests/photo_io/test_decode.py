import itertools
import random
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from realfill.core.errors import PhotoError
from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import profile_name, read_srgb, to_srgb
from realfill.photo_io.decode import is_lossless_webp, read_photo
from support.camera_photos import ADOBE_RGB, save_image


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
        ("a.avif", "AVIF", {"quality": 95}),
    ],
)
def test_reads_every_format(tmp_path: Path, picture: Pixels, name: str, kind: str, options: dict[str, Any]) -> None:
    photo = read_photo(save_image(tmp_path / name, picture, **options))
    assert (photo.format, photo.mode, photo.bits) == (kind, "rgb", 8)
    assert np.abs(to_srgb(photo).astype(int) - picture).mean() < 4


def test_the_content_decides_not_the_name(tmp_path: Path, picture: Pixels) -> None:
    path = save_image(tmp_path / "a.png", picture).rename(tmp_path / "a.jpg")
    assert read_photo(path).format == "PNG"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tif", "b.tif", "a.webp"])
def test_turns_photos_upright(tmp_path: Path, picture: Pixels, name: str, orientation: int) -> None:
    bilevel = name == "b.tif"  # decoded by another library than the other TIFFs are
    options = {"lossless": True} if name == "a.webp" else {"compression": "group4"} if bilevel else {}
    path = save_image(tmp_path / name, picture, "1" if bilevel else None, exif=turned(orientation), **options)
    photo = read_photo(path)
    expected = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    assert photo.orientation == orientation
    assert np.array_equal(to_srgb(photo), np.asarray(expected))


@pytest.mark.parametrize(("orientation", "width", "height"), [(1, 65, 47), (6, 64, 48), (6, 65, 47)])
def test_jpegs_are_read_reduced_and_lie_in_their_place(
    tmp_path: Path, picture: Pixels, orientation: int, width: int, height: int
) -> None:
    cut = np.ascontiguousarray(picture[:height, :width])
    path = save_image(tmp_path / "a.jpg", cut, quality=95, subsampling=0, exif=turned(orientation))
    whole, reduced = read_photo(path).pixels, read_photo(path, reduction=4).pixels
    if (orientation, width) == (6, 65):
        assert reduced.shape == whole.shape
        return
    assert reduced.shape[:2] == tuple(-(-side // 4) for side in whole.shape[:2])
    inner = whole[: whole.shape[0] // 4 * 4, : whole.shape[1] // 4 * 4].astype(float)
    means = inner.reshape(inner.shape[0] // 4, 4, inner.shape[1] // 4, 4, 3).mean(axis=(1, 3))
    assert np.abs(reduced[: means.shape[0], : means.shape[1]] - means).mean() < 2
    lossless = save_image(tmp_path / "a.png", cut)
    assert np.array_equal(read_photo(lossless, reduction=4).pixels, cut)


def test_turns_heic_once(tmp_path: Path, picture: Pixels) -> None:
    path = save_image(tmp_path / "a.heic", picture, exif=turned(6), quality=95)
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
    photo = read_photo(save_image(tmp_path / name, picture, mode))
    shown = np.asarray(Image.fromarray(picture).convert(mode).convert("RGB")).astype(int)
    assert photo.mode == expected
    assert np.abs(to_srgb(photo) - shown).mean() < 8


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
    whole = save_image(folder / "whole.jpg", picture).read_bytes()
    png = bytearray(save_image(folder / "whole.png", picture).read_bytes())
    png[16:24] = (100_000).to_bytes(4, "big") * 2  # declared size
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "gigantic.png").write_bytes(png)
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("This is no photo.")
    save_image(folder / "animation.gif", picture)
    save_image(folder / "bitmap.bmp", picture)
    tifffile.imwrite(folder / "signed.tif", np.zeros((20, 20), np.int16))
    tifffile.imwrite(folder / "complex.tif", np.zeros((20, 20), np.complex64))
    tifffile.imwrite(folder / "lab.tif", picture, photometric="cielab")
    (folder / "folder.jpg").mkdir()
    names = "truncated.jpg gigantic.png empty.jpg text.jpg animation.gif bitmap.bmp signed.tif complex.tif lab.tif"
    return [folder / name for name in [*names.split(), "folder.jpg", "missing.jpg"]]


def test_explains_what_cannot_be_used(tmp_path: Path, picture: Pixels) -> None:
    for path in unusable(tmp_path, picture):
        with pytest.raises(PhotoError) as caught:
            read_photo(path)
        assert caught.value.path == path
        assert caught.value.problem.endswith(".") and caught.value.remedy.endswith(".")


def test_refuses_more_megapixels_than_allowed(tmp_path: Path, picture: Pixels) -> None:
    path = save_image(tmp_path / "a.jpg", picture)
    with pytest.raises(PhotoError, match="160 x 120 pixels, more than"):
        read_photo(path, max_megapixels=0.01)


def test_a_webp_tells_whether_it_is_lossless(tmp_path: Path, picture: Pixels) -> None:
    clear = np.dstack([picture, np.full((120, 160), 90, np.uint8)])
    profiles: list[dict[str, Any]] = [{}, {"icc_profile": ADOBE_RGB, "exif": turned(6)}]
    for pixels, options, lossless in itertools.product((picture, clear), profiles, (True, False)):
        path = save_image(tmp_path / "a.webp", pixels, lossless=lossless, **options)
        assert is_lossless_webp(path) is lossless


def test_what_is_no_webp_is_not_lossless_webp(tmp_path: Path, picture: Pixels) -> None:
    path = save_image(tmp_path / "a.webp", picture, lossless=True)
    path.write_bytes(path.read_bytes()[:15])
    assert not is_lossless_webp(path)


def test_large_profiles_and_texts_of_pngs_are_read_and_bombs_refused(tmp_path: Path, picture: Pixels) -> None:
    profile = ADOBE_RGB + random.Random(0).randbytes(3 << 20)
    deep = bytes(imagecodecs.png_encode(picture.astype(np.uint16) * 257))
    (tmp_path / "deep.png").write_bytes(insert_chunk(deep, b"iCCP", b"a\0\0" + zlib.compress(profile)))
    for name, options in {
        "icc.png": {"icc_profile": profile},
        "text.png": {"pnginfo": png_text("x" * (3 << 20))},
    }.items():
        Image.fromarray(picture).save(tmp_path / name, **options)  # type: ignore[arg-type]
    for name in ("icc.png", "text.png", "deep.png"):
        photo = read_photo(tmp_path / name)
        assert np.array_equal(photo.pixels >> (photo.bits - 8), picture)
        assert photo.icc == (None if name == "text.png" else profile)
    Image.fromarray(picture).save(tmp_path / "bomb.png", pnginfo=png_text("x" * (40 << 20)))
    with pytest.raises(PhotoError, match="larger than 32 MiB. Save it again without metadata"):
        read_photo(tmp_path / "bomb.png")


def png_text(text: str) -> PngInfo:
    info = PngInfo()
    info.add_text("Comment", text, zip=True)
    return info


def insert_chunk(png: bytes, name: bytes, payload: bytes) -> bytes:
    """Insert a chunk behind the header of a PNG."""
    checksum = zlib.crc32(name + payload).to_bytes(4)
    return png[:33] + len(payload).to_bytes(4) + name + payload + checksum + png[33:]


@pytest.mark.parametrize("primaries", [1, 12])
def test_a_png_tells_its_colors_by_code_points(tmp_path: Path, picture: Pixels, primaries: int) -> None:
    png = save_image(tmp_path / "a.png", picture, icc_profile=ADOBE_RGB).read_bytes()
    (tmp_path / "a.png").write_bytes(insert_chunk(png, b"cICP", bytes([primaries, 13, 0, 1])))
    assert profile_name(read_photo(tmp_path / "a.png")) == {1: "", 12: "Display P3"}[primaries]


def test_a_kind_of_jpeg_that_is_not_supported_is_not_called_no_jpeg(tmp_path: Path, picture: Pixels) -> None:
    deep = imagecodecs.jpeg_encode(picture.astype(np.uint16) << 4, bitspersample=12)
    (tmp_path / "a.jpg").write_bytes(deep)
    with pytest.raises(PhotoError, match="This kind of JPEG is not supported"):
        read_photo(tmp_path / "a.jpg")
