import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image
from skimage import data

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.schemas import InputPhoto
from realfill.album.store import canvas_path, mask_path, read_window, write_rows
from realfill.core.atomic_io import MARK
from realfill.core.errors import MaskError, StageError
from realfill.core.params import load_params
from realfill.imaging.ops import Pixels
from realfill.photo_io.working_files import read_png
from realfill.stages import masks

HEIGHT, WIDTH = 120, 160
Make = Callable[..., Album]


@pytest.fixture(scope="module")
def picture() -> Pixels:
    return np.ascontiguousarray(data.astronaut()[:HEIGHT, 180 : 180 + WIDTH])


@pytest.fixture
def make(tmp_path: Path, picture: Pixels) -> Make:
    """Write an album that counts as validated, with this mask, target, album.yaml."""

    def write(mask: Pixels | None = None, target: Pixels = picture, settings: str = "", **options: Any) -> Album:
        for folder in ("target", "ref"):
            (tmp_path / folder).mkdir(exist_ok=True)
        Image.fromarray(target).save(tmp_path / "target" / "target.png", **options)
        Image.fromarray(data.coffee()).save(tmp_path / "ref" / "0.jpg")
        if mask is not None:
            Image.fromarray(mask).save(tmp_path / "target" / "mask.png")
        (tmp_path / "album.yaml").write_text(settings)
        album = open_album(tmp_path)
        album.work("validate").mkdir(parents=True, exist_ok=True)
        write_rows(album.work("validate") / "inputs.parquet", InputPhoto, [])
        return album

    return write


def drawn(value: int = 255, dtype: Any = np.uint8) -> Pixels:
    mask = np.zeros((HEIGHT, WIDTH), dtype)
    mask[30:70, 40:100] = value
    return mask


def test_a_mask_file_becomes_canvas_mask_and_window(make: Make, picture: Pixels) -> None:
    album = make(drawn())
    result = masks.run(album, load_params())
    canvas = read_png(canvas_path(album))
    mask = read_png(mask_path(album))
    assert np.array_equal(mask, drawn())
    assert (canvas[mask > 0] == 128).all()
    assert np.array_equal(canvas[mask == 0], picture[mask == 0])
    assert result.window == read_window(album)
    assert (result.source, result.hole) == ("file", 40 * 60 / (HEIGHT * WIDTH))


def test_the_same_album_gives_the_same_bytes(make: Make) -> None:
    album = make(drawn())
    runs = []
    for _ in range(2):
        masks.run(album, load_params())
        runs.append({path.name: path.read_bytes() for path in album.work("masks").iterdir()})
    assert runs[0] == runs[1]
    assert set(runs[0]) == {MARK, "canvas.png", "mask.png", "window.json"}


def test_needs_validate(make: Make, tmp_path: Path) -> None:
    make(drawn())
    with pytest.raises(StageError, match="validate"):
        masks.run(open_album(tmp_path, tmp_path / "elsewhere"), load_params())


def test_transparency_is_a_hole(make: Make, picture: Pixels) -> None:
    album = make(target=np.dstack([picture, 255 - drawn()]))
    assert masks.run(album, load_params()).source == "alpha"
    assert np.array_equal(read_png(mask_path(album)), drawn())


def test_boxes_and_polygons_are_a_hole(make: Make) -> None:
    settings = """
    boxes: [{left: 40, top: 30, right: 100, bottom: 70}]
    polygons: [[[10, 80], [30, 80], [30, 100], [10, 100]]]
    """
    album = make(settings=settings)
    assert masks.run(album, load_params()).source == "shapes"
    mask = read_png(mask_path(album))
    assert np.array_equal(mask[:75], drawn()[:75])
    assert mask[81:99, 11:29].all() and not mask[:, 32:40].any() and not mask[102:].any()


def test_outpainting_extends_the_canvas(make: Make, picture: Pixels) -> None:
    album = make(settings="outpaint: {left: 25%, bottom: 30px}")
    window = masks.run(album, load_params()).window
    assert (window.source, window.canvas_width, window.canvas_height) == ("outpaint", 200, 150)
    assert (window.photo_left, window.photo_top, window.photo_width, window.photo_height) == (40, 0, WIDTH, HEIGHT)
    canvas = read_png(canvas_path(album))
    assert np.array_equal(canvas[:HEIGHT, 40:], picture)
    assert (canvas[HEIGHT:] == 128).all() and (canvas[:, :40] == 128).all()
    assert read_png(mask_path(album)).sum() // 255 == 200 * 150 - HEIGHT * WIDTH


def test_outpainting_adds_to_a_mask(make: Make) -> None:
    album = make(drawn(), settings="aspect: '2:1'")
    window = masks.run(album, load_params()).window
    size = window.canvas_width, window.canvas_height
    assert (window.source, size, window.photo_left) == ("file+outpaint", (240, 120), 40)
    mask = read_png(mask_path(album))
    assert mask[:, :40].all() and mask[:, 200:].all()
    assert np.array_equal(mask[:, 40:200], drawn())


def test_the_parameters_are_heeded(make: Make) -> None:
    album = make(drawn())
    window = masks.run(album, load_params(assignments=["masks.grow=5", "masks.context=1.0"])).window
    assert read_png(mask_path(album))[50, 35] == 255
    assert window.side == HEIGHT  # the least side of a window, 256, does not fit the photo


@pytest.mark.parametrize("channels", [3, 4])
def test_color_files_in_black_and_white_are_understood(make: Make, channels: int) -> None:
    mask = np.repeat(drawn()[..., None], channels, axis=2)
    mask[..., 3:] = 255
    album = make(mask)
    masks.run(album, load_params())
    assert np.array_equal(read_png(mask_path(album)), drawn())


def test_a_mask_of_sixteen_bits_is_understood(make: Make, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    tifffile.imwrite(tmp_path / "target" / "mask.tif", drawn(65535, np.uint16))
    album = make()
    masks.run(album, load_params())
    assert np.array_equal(read_png(mask_path(album)), drawn())


@pytest.mark.parametrize(
    ("mask", "problem"),
    [
        (drawn()[:, :100], "100 x 120 pixels, the photo 160 x 120"),
        (drawn(0), "marks nothing"),
        (np.full((HEIGHT, WIDTH), 255, np.uint8), "100.0% of the picture"),
    ],
)
def test_a_mistaken_mask_is_explained_with_its_path(make: Make, mask: Pixels, problem: str) -> None:
    album = make(mask)
    with pytest.raises(MaskError, match=problem) as error:
        masks.run(album, load_params())
    assert error.value.path == album.mask
    assert not album.work("masks").exists()


def test_a_mask_over_the_stored_photo_is_told_from_a_wrong_size(make: Make) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    album = make(drawn(), exif=exif.tobytes())
    with pytest.raises(MaskError, match="EXIF orientation 6"):
        masks.run(album, load_params())


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("", "No hole is described"),
        ("boxes: [{left: 0, top: 0, right: 161, bottom: 20}]", "outside the photo of 160 x 120"),
        ("polygons: [[[0, 0], [.nan, 5], [9, 9]]]", "outside the photo"),
        ("outpaint: {left: 0px}", "not extended"),
        ("outpaint: {left: 99999999999px}", "megapixels"),
        ("aspect: '4:3'", "not extended"),
        ("aspect: '0:3'", "aspect ratio '0:3' is not plausible"),
        ("{aspect: '2:1', outpaint: {left: 10%}}", "Both outpaint and aspect"),
        ("outpaint: {left: 3000%}", "of the picture is to be filled"),
    ],
)
def test_a_mistaken_description_is_explained_with_its_path(make: Make, settings: str, problem: str) -> None:
    album = make(settings=settings)
    with pytest.raises(MaskError, match=problem) as error:
        masks.run(album, load_params())
    assert error.value.path == (album.root / "album.yaml" if settings else album.target)


@pytest.mark.parametrize("settings", ["", "outpaint: {left: 40px}"])
def test_all_that_describes_the_hole_adds_up(make: Make, picture: Pixels, settings: str) -> None:
    box = "boxes: [{left: 0, top: 0, right: 9, bottom: 9}]\n"
    transparent = np.zeros((HEIGHT, WIDTH), np.uint8)
    transparent[100:] = 255
    album = make(drawn(), np.dstack([picture, 255 - transparent]), box + settings)
    assert masks.run(album, load_params()).source == "file+shapes+alpha" + "+outpaint" * bool(settings)
    whole = drawn() | transparent
    whole[:9, :9] = 255
    assert np.array_equal(read_png(mask_path(album))[:, -WIDTH:], whole)


def test_the_window_document_is_plain_json(make: Make) -> None:
    album = make(drawn())
    masks.run(album, load_params())
    assert json.loads((album.work("masks") / "window.json").read_text())["hole"] == pytest.approx(0.125)
