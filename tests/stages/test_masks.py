import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from skimage import data

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.schemas import InputPhoto
from realfill.album.settings import AlbumSettings
from realfill.album.store import canvas_path, mask_path, read_window, write_rows
from realfill.core.errors import MaskError, StageError
from realfill.core.params import load_params
from realfill.imaging.ops import Pixels
from realfill.masking.model_window import window_around
from realfill.masking.outpainting import read_extension
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
    assert set(runs[0]) == {"canvas.png", "mask.png", "window.json"}


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
    assert (window.source, window.canvas_width, window.canvas_height, window.photo_left) == ("file", 240, 120, 40)
    mask = read_png(mask_path(album))
    assert mask[:, :40].all() and mask[:, 200:].all()
    assert np.array_equal(mask[:, 40:200], drawn())


def test_growing_adds_a_rim(make: Make) -> None:
    album = make(drawn())
    masks.run(album, load_params(assignments=["masks.grow=5"]))
    mask = read_png(mask_path(album))
    assert cv2.boundingRect(mask) == (35, 25, 70, 50)
    assert mask[25, 35] == 0  # a disc, not a square


def test_a_soft_rim_and_noise_are_understood(make: Make) -> None:
    soft = cv2.GaussianBlur(drawn(), (0, 0), 0.5).astype(int)
    noisy = (soft + np.random.default_rng(0).integers(-6, 7, soft.shape)).clip(0, 255).astype(np.uint8)
    album = make(noisy)
    masks.run(album, load_params())
    assert np.array_equal(read_png(mask_path(album)), drawn())


@pytest.mark.parametrize("channels", [3, 4])
def test_colour_masks_in_black_and_white_are_understood(make: Make, channels: int) -> None:
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


def alpha_only() -> Pixels:
    return np.dstack([np.full((HEIGHT, WIDTH, 3), 255, np.uint8), drawn()])


def red() -> Pixels:
    return np.dstack([drawn(), np.zeros((HEIGHT, WIDTH, 2), np.uint8)])


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (drawn()[:, :100], "100 x 120 pixels, the photo 160 x 120"),
        (drawn(1), "brightest value is 1, which is black"),
        (drawn(255, np.uint16), "brightest value is 255, which is black: white is 65535"),
        (drawn(100), "grey, neither black nor white"),
        (drawn(200), "grey, neither black nor white"),
        (drawn(0), "marks nothing"),
        (np.full((HEIGHT, WIDTH), 255, np.uint8), "100.0% of the picture"),
        (alpha_only(), "transparency"),
        (red(), "coloured"),
    ],
)
def test_a_mask_that_cannot_be_meant_is_explained(make: Make, mask: Pixels, said: str) -> None:
    album = make(mask)
    with pytest.raises(MaskError, match=said) as caught:
        masks.run(album, load_params())
    assert caught.value.path == album.mask
    assert not album.work("masks").exists()


def test_an_inverted_mask_is_noticed(make: Make, picture: Pixels) -> None:
    painted = np.where(drawn()[..., None] > 0, np.uint8(255), picture)
    masks.run(make(drawn(), target=painted), load_params())
    with pytest.raises(MaskError, match="inverted"):
        masks.run(make(255 - drawn(), target=painted), load_params())


def test_a_mask_over_the_stored_photo_is_told_from_a_wrong_size(make: Make) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    album = make(drawn(), exif=exif.tobytes())
    with pytest.raises(MaskError, match="EXIF orientation 6"):
        masks.run(album, load_params())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("", "Nothing describes"),
        ("boxes: [{left: 0, top: 0, right: 161, bottom: 20}]", "outside the photo of 160 x 120"),
        ("polygons: [[[0, 0], [.nan, 5], [9, 9]]]", "outside the photo"),
        ("outpaint: {left: 0px}", "not extended"),
        ("outpaint: {left: 99999999999px}", "megapixels"),
        ("aspect: '4:3'", "not extended"),
        ("aspect: '0:3'", "No photo has the aspect"),
        ("{aspect: '2:1', outpaint: {left: 10%}}", "both outpaint and aspect"),
        ("outpaint: {left: 3000%}", "of the picture is to be filled"),
    ],
)
def test_a_description_that_cannot_be_meant_is_explained(make: Make, settings: str, said: str) -> None:
    album = make(settings=settings)
    with pytest.raises(MaskError, match=said) as caught:
        masks.run(album, load_params())
    assert caught.value.path == (album.root / "album.yaml" if settings else album.target)


def test_a_hole_described_twice_is_refused(make: Make) -> None:
    album = make(drawn(), settings="boxes: [{left: 0, top: 0, right: 9, bottom: 9}]")
    with pytest.raises(MaskError, match="twice"):
        masks.run(album, load_params())


@settings(deadline=None)
@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.floats(1, 4),
    st.integers(1, 320),
    st.data(),
)
def test_the_window_holds_the_hole(
    height: int, width: int, context: float, minimum: int, draw: st.DataObject
) -> None:
    left, right = sorted(draw.draw(st.tuples(st.integers(0, width), st.integers(0, width)), label="x"))
    top, bottom = sorted(draw.draw(st.tuples(st.integers(0, height), st.integers(0, height)), label="y"))
    mask = np.zeros((height, width), np.uint8)
    mask[top : bottom + 1, left : right + 1] = 255
    if not mask.any():
        mask[-1, -1] = 255
    x, y, side = window_around(mask, context, minimum)
    rows, columns = np.nonzero(mask)
    assert x <= columns.min() and columns.max() < x + side
    assert y <= rows.min() and rows.max() < y + side
    assert side <= max(height, width)
    assert side >= min(minimum, height, width)
    for start, limit in ((x, width), (y, height)):
        inside = start >= 0 and start + side <= limit
        reaches = -start - (start + side - limit)  # how unequally far it reaches beyond
        assert inside if side <= limit else start <= 0 and abs(reaches) <= 1


def test_a_hole_that_fills_the_shorter_side_is_seen_with_what_lies_beside_it() -> None:
    mask = np.zeros((200, 300), np.uint8)
    mask[:, 50:250] = 255
    assert window_around(mask, 1.5, 64) == (0, -50, 300)
    mask[:, 100:] = 0
    assert window_around(mask, 1.5, 64) == (0, 0, 200)


lengths = st.one_of(
    st.integers(0, 500).map(lambda n: f"{n}px"), st.floats(0, 200).map(lambda share: f"{share:.3f} %")
)


@given(st.integers(16, 4000), st.integers(16, 4000), lengths, lengths)
def test_outpainting_adds_what_is_asked_for(width: int, height: int, left: str, bottom: str) -> None:
    settings = AlbumSettings.model_validate({"outpaint": {"left": left, "bottom": bottom, "right": "1px"}})
    extension = read_extension(settings, width, height, 1000.0)
    for added, length, whole in ((extension.left, left, width), (extension.bottom, bottom, height)):
        number = float(length.split("%")[0].removesuffix("px"))
        assert added == pytest.approx(number * whole / 100 if "%" in length else number, abs=0.51)
    assert (extension.right, extension.top) == (1, 0)


@given(st.integers(100, 4000), st.integers(100, 4000), st.integers(1, 20), st.integers(1, 20))
def test_outpainting_reaches_the_aspect(width: int, height: int, across: int, down: int) -> None:
    settings = AlbumSettings.model_validate({"aspect": f"{across}:{down}"})
    try:
        added = read_extension(settings, width, height, 1000.0)
    except MaskError:
        assert width / height == pytest.approx(across / down, rel=0.02)
        return
    wide, tall = width + added.left + added.right, height + added.top + added.bottom
    assert abs(wide - tall * across / down) <= max(1, across / down)
    assert min(wide - width, tall - height) == 0
    assert abs(added.left - added.right) <= 1 and abs(added.top - added.bottom) <= 1


def test_the_window_document_is_plain_json(make: Make) -> None:
    album = make(drawn())
    masks.run(album, load_params())
    assert json.loads((album.work("masks") / "window.json").read_text())["hole"] == pytest.approx(0.125)
