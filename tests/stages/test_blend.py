import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from realfill.album.canvas import crop_window
from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.schemas import Candidate, InputPhoto, RankedCandidate, VerifiedMatch, Window
from realfill.album.store import write_rows
from realfill.compositing.multiband_blend import blend_patch, compose, feather_width
from realfill.core.atomic_io import write_json
from realfill.core.errors import AlbumError, ParamsError, StageError
from realfill.core.hashing import digest
from realfill.core.params import BlendParams, load_params
from realfill.imaging.ops import resize
from realfill.masking.model_window import window_around
from realfill.photo_io.color_management import from_srgb, to_srgb
from realfill.photo_io.decode import read_photo
from realfill.photo_io.photo import Photo
from realfill.photo_io.working_files import write_png
from realfill.stages import blend
from support.finished_album import place_nothing

R = 128
PASTE = BlendParams(feather=0, match_color=False)
CAST = np.array([1.06, 0.97, 0.9]) * 255, np.array([8, -3, -10])
PHOTOS = {"coffee": data.coffee, "astronaut": data.astronaut, "chelsea": data.chelsea}


def box(shape: tuple[int, ...], left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros(shape[:2], np.uint8)
    mask[top:bottom, left:right] = 255
    return mask


def around(mask: np.ndarray, left: int, top: int, side: int) -> Window:
    height, width = mask.shape
    return Window("file", width, height, 0, 0, width, height, left, top, side, float((mask > 0).mean()))


def seen(photo: np.ndarray, window: Window, cast: bool = True) -> np.ndarray:
    """A candidate that shows the truth at the model's resolution, in other colours."""
    small = resize(crop_window(photo, window), R, R).astype(np.float32) / 255
    gain, bias = CAST if cast else (255, 0)
    return np.rint((small * gain + bias).clip(0, 255)).astype(np.uint8)


def emptied(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where(mask[..., None] > 0, np.uint8(128), photo).astype(np.float32) / 255


def beyond(mask: np.ndarray, feather: int) -> np.ndarray:
    distance = cv2.distanceTransform((mask == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance > feather)


def psnr(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    return float(-10 * np.log10(((image - truth / 255)[mask > 0] ** 2).mean()))


def rim_step(image: np.ndarray, mask: np.ndarray) -> float:
    """Mean step of the colours from outside the hole to inside, in 8-bit levels."""
    steps = []
    for axis in (0, 1):
        into = np.diff((mask > 0).astype(int), axis=axis)[..., None]
        steps.append((np.diff(image, axis=axis) * into)[into[..., 0] != 0])
    return float(np.abs(np.concatenate(steps).mean(axis=0)).mean() * 255)


@pytest.mark.parametrize("name", PHOTOS)
def test_a_cast_is_taken_out_and_the_rim_does_not_show(name: str) -> None:
    photo = PHOTOS[name]()
    mask = box(photo.shape, 120, 100, 260, 210)
    window = around(mask, 80, 40, 240)
    canvas, candidate = emptied(photo, mask), seen(photo, window)
    pasted = compose(canvas, mask, window, candidate, PASTE)
    blended = compose(canvas, mask, window, candidate, BlendParams())
    assert psnr(blended, photo, mask) > psnr(pasted, photo, mask) + 3
    assert rim_step(blended, mask) < rim_step(pasted, mask) / 4


def test_colours_that_are_right_stay() -> None:
    photo = data.astronaut()
    mask = box(photo.shape, 150, 80, 300, 260)
    window = around(mask, 90, 40, 260)
    canvas, candidate = emptied(photo, mask), seen(photo, window, cast=False)
    plain = compose(canvas, mask, window, candidate, BlendParams(match_color=False))
    matched = compose(canvas, mask, window, candidate, BlendParams())
    assert np.abs(matched - plain).max() < 3 / 255


def test_a_wrong_object_at_the_rim_hardly_stains_the_fill() -> None:
    photo = np.full((400, 400, 3), 150, np.uint8)
    mask = box(photo.shape, 120, 120, 280, 280)
    window = around(mask, 50, 50, 300)
    candidate = np.full((R, R, 3), 150, np.uint8)
    candidate[10:40, 50:70] = [250, 20, 20]  # reaches over the upper rim of the hole, which lies at 30
    blended = compose(emptied(photo, mask), mask, window, candidate, BlendParams())
    assert np.abs(blended[180:280, 120:280] * 255 - 150).max() < 6


@pytest.mark.parametrize("feather", [0, 0.5, 1, 3])
@pytest.mark.parametrize("match_color", [True, False])
def test_what_lies_beyond_the_feather_is_identical(feather: float, match_color: bool) -> None:
    photo = data.coffee()
    mask = cv2.circle(np.zeros(photo.shape[:2], np.uint8), (300, 200), 90, 255, -1)
    window, params = around(mask, 165, 65, 270), BlendParams(feather=feather, match_color=match_color)
    canvas = emptied(photo, mask)
    before = canvas.copy()
    blended = compose(canvas, mask, window, seen(photo, window), params)
    changed = (blended != canvas).any(axis=2)
    assert not changed[beyond(mask, feather_width(window, params))].any()
    assert changed[mask > 0].mean() > 0.99
    assert np.array_equal(canvas, before)


@pytest.mark.parametrize("paint", [0, 1])
def test_nothing_bleeds_from_inside_the_hole(paint: float) -> None:
    photo = data.coffee()
    mask = box(photo.shape, 200, 120, 340, 260)
    window = around(mask, 160, 80, 220)
    canvas, candidate = emptied(photo, mask), seen(photo, window)
    painted = np.where(mask[..., None] > 0, np.float32(paint), canvas)
    params = BlendParams(feather=2)
    grey, other = (compose(c, mask, window, candidate, params) for c in (canvas, painted))
    assert np.array_equal(grey, other)


def test_eight_bit_and_float_canvases_give_the_same_patch() -> None:
    photo = data.coffee()
    mask = box(photo.shape, 200, 120, 340, 260)
    window, params = around(mask, 160, 80, 220), BlendParams()
    canvas = emptied(photo, mask)
    whole = np.rint(canvas * 255).astype(np.uint8)
    first, second = (blend_patch(c, mask, window, seen(photo, window), params) for c in (canvas, whole))
    assert np.allclose(first.colours, second.colours, atol=1e-6)


@pytest.mark.parametrize(
    ("edges", "place"),
    [
        ((0, 0, 150, 600), (-225, 0, 600)),  # outpainted at the left, the window reaches beyond
        ((0, 250, 600, 400), (0, -100, 600)),  # at the bottom, over the whole width
        ((560, 360, 600, 400), (344, 144, 256)),  # in a corner
        ((100, 100, 200, 200), (100, 100, 100)),  # no context at all
        ((300, 200, 301, 201), (172, 72, 256)),  # a pixel
    ],
)
def test_holes_at_borders_and_of_any_size(edges: tuple[int, int, int, int], place: tuple[int, int, int]) -> None:
    photo = data.coffee()
    mask = box(photo.shape, *edges)
    window = around(mask, *place)
    canvas, candidate = emptied(photo, mask), seen(photo, window)
    blended = compose(canvas, mask, window, candidate, BlendParams())
    far = beyond(mask, feather_width(window, BlendParams()))
    assert blended.shape == canvas.shape
    assert np.array_equal(blended[far], canvas[far])
    assert psnr(blended, photo, mask) > 17
    assert ((blended >= 0) & (blended <= 1)).all()


def test_a_window_that_is_all_hole_keeps_the_candidate() -> None:
    photo = np.ascontiguousarray(data.coffee()[:200, :200])
    mask = np.full(photo.shape[:2], 255, np.uint8)
    window = around(mask, 0, 0, 200)
    blended = compose(emptied(photo, mask), mask, window, seen(photo, window, cast=False), BlendParams())
    assert psnr(blended, photo, mask) > 25


@settings(max_examples=20, deadline=None)
@given(
    left=st.integers(0, 119),
    top=st.integers(0, 79),
    width=st.integers(1, 120),
    height=st.integers(1, 80),
    context=st.floats(1, 3),
    feather=st.floats(0, 20),
)
def test_any_hole_is_filled_and_the_rest_kept(
    left: int, top: int, width: int, height: int, context: float, feather: float
) -> None:
    photo = np.ascontiguousarray(data.chelsea()[:80, 100:220])
    mask = box(photo.shape, left, top, left + width, top + height)
    window = around(mask, *window_around(mask, context, 16))
    params = BlendParams(feather=feather)
    canvas = emptied(photo, mask)
    blended = compose(canvas, mask, window, seen(photo, window), params)
    far = beyond(mask, feather_width(window, params))
    assert np.isfinite(blended).all()
    assert np.array_equal(blended[far], canvas[far])


def photo_of(kind: str) -> Photo:
    colours = data.coffee()
    deep = (colours.astype(np.uint16) * 257) ^ 37
    alpha = np.full(colours.shape[:2], 255, np.uint8)
    alpha[120:200, 200:300] = 0
    gray = cv2.COLOR_RGB2GRAY
    icc = imagecodecs.cms_profile("adobergb") if kind.startswith("adobe") else None
    pixels: dict[str, Any] = {
        "grey 8": lambda: cv2.cvtColor(colours, gray)[..., None],
        "grey 16": lambda: cv2.cvtColor(deep, gray)[..., None],
        "rgb 16": lambda: deep,
        "adobe rgb 16": lambda: deep,
        "cmyk 8": lambda: np.array(Image.fromarray(colours).convert("CMYK")),
    }
    return Photo(pixels.get(kind, lambda: colours)(), alpha if kind == "rgba 8" else None, icc, "TIFF", 1)


KINDS = ["rgb 8", "rgba 8", "grey 8", "grey 16", "rgb 16", "adobe rgb 16", "cmyk 8"]
MASK = box((400, 600), 200, 120, 300, 200)
WINDOW = around(MASK, 122, 32, 256)


def prepare(root: Path, photo: Photo, mask: np.ndarray = MASK, window: Window = WINDOW) -> Album:
    """An album that counts as ranked: 0 shows the truth, 1 is black; 1 is ranked best."""
    for folder in ("target", "ref"):
        (root / folder).mkdir(parents=True)
    write_png(root / "ref" / "0.png", data.coffee())
    samples = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    tifffile.imwrite(
        root / "target" / "target.tif",
        samples.squeeze(),
        photometric={1: "minisblack", 3: "rgb", 4: "separated"}[photo.pixels.shape[2]],
        extrasamples=None if photo.alpha is None else ["unassalpha"],
        iccprofile=photo.icc,
    )
    album = open_album(root)
    for stage in ("validate", "masks", "sample", "rank"):
        album.work(stage).mkdir(parents=True)
    reference = InputPhoto("reference", "ref/0.png", "", "PNG", 600, 400, "rgb", 8, 1, "", False, 1.0, "", "accepted", "")
    write_rows(album.work("validate") / "inputs.parquet", InputPhoto, [reference])
    right = window.canvas_width - window.photo_left - window.photo_width
    pads = (0, 0), (window.photo_left, right)
    shown = to_srgb(photo)
    canvas = np.where(mask[..., None] > 0, np.uint8(128), np.pad(shown, (*pads, (0, 0))))
    write_png(album.work("masks") / "canvas.png", canvas)
    write_png(album.work("masks") / "mask.png", mask)
    write_json(album.work("masks") / "window.json", asdict(window))
    fills = [
        resize(crop_window(np.pad(shown, (*pads, (0, 0)), mode="edge"), window), R, R),
        np.zeros((R, R, 3), np.uint8),
    ]
    common: dict[str, Any] = dict.fromkeys(("model", "model_digest", "adapter_digest"), "") | {"versions": "{}"}
    common |= {"seed": 0, "steps": 1, "guidance": 1.0, "batch_size": 2, "count": 2, "resolution": R}
    rows = [Candidate(n, f"{n:03d}.png", kind="noise", draw=n, scheduler="ddpm", **common) for n in range(2)]
    for row, fill in zip(rows, fills, strict=True):
        write_png(album.work("sample") / row.file, fill)
    write_rows(album.work("sample") / "candidates.parquet", Candidate, rows)
    ranked = [RankedCandidate(rank, number, 1.0, 0, 0, 0.0, 0.0, "", "sift") for rank, number in ((1, 1), (2, 0))]
    write_rows(album.work("rank") / "ranking.parquet", RankedCandidate, ranked)
    write_rows(album.work("rank") / "verified.parquet", VerifiedMatch, [])
    place_nothing(album)
    return album


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_is_completed_in_its_own_colours_and_depth(tmp_path: Path, kind: str) -> None:
    photo = photo_of(kind)
    album = prepare(tmp_path / "album", photo)
    result = blend.run(album, load_params(assignments=["blend.candidate=0"]))
    composite, target = read_photo(result.composite), read_photo(album.target)
    assert composite.pixels.dtype == photo.pixels.dtype
    assert composite.pixels.shape == photo.pixels.shape
    assert composite.icc == photo.icc
    far = beyond(MASK, result.feather)
    assert np.array_equal(composite.pixels[far], target.pixels[far])
    hole = MASK > 0
    error = to_srgb(composite)[hole].astype(float) - to_srgb(photo)[hole]
    assert np.sqrt((error**2).mean()) < 14
    if photo.alpha is not None:
        assert composite.alpha is not None
        assert (composite.alpha[hole] == 255).all()
        assert np.array_equal(composite.alpha[far], photo.alpha[far])


def test_sixteen_bits_are_used_in_the_fill(tmp_path: Path) -> None:
    album = prepare(tmp_path / "album", photo_of("rgb 16"))
    result = blend.run(album, load_params(assignments=["blend.candidate=0"]))
    assert len(np.unique(read_photo(result.composite).pixels[MASK > 0])) > 1000


def test_an_extended_photo_lies_where_the_window_says(tmp_path: Path) -> None:
    photo = photo_of("rgb 16")
    mask = box((400, 700), 600, 0, 700, 400)
    window = replace(around(mask, 300, 0, 400), photo_width=600)
    result = blend.run(prepare(tmp_path / "album", photo, mask, window), load_params())
    composite = read_photo(result.composite)
    far = ~beyond(255 - mask, 0) & beyond(mask, result.feather)
    assert (composite.width, composite.height) == (700, 400)
    assert np.array_equal(composite.pixels[:, :600][far[:, :600]], photo.pixels[far[:, :600]])
    assert result.box == (600 - result.feather, 0, 700, 400)


def test_the_best_ranked_candidate_is_taken_unless_a_number_is_given(tmp_path: Path) -> None:
    album = prepare(tmp_path / "album", photo_of("rgb 8"))
    best = blend.run(album, load_params())
    assert best.candidate == 1
    assert json.loads((album.work("blend") / "blend.json").read_text()) == {
        "candidate": 1,
        "feather": best.feather,
        "authenticity": {"reference_pixel": 0.0, "confirmed": 0.0, "generated_only": 1.0, "score": 0.0},
        "box": list(best.box),
    }
    assert blend.run(album, load_params(assignments=["blend.candidate=0"])).candidate == 0


def test_a_number_that_was_not_drawn_is_refused(tmp_path: Path) -> None:
    album = prepare(tmp_path / "album", photo_of("rgb 8"))
    with pytest.raises(ParamsError, match=r"no candidate 7.*best or one of 0, 1"):
        blend.run(album, load_params(assignments=["blend.candidate=7"]))
    assert not album.work("blend").exists()


def test_ranking_has_to_come_first(tmp_path: Path) -> None:
    album = prepare(tmp_path / "album", photo_of("rgb 8"))
    (album.work("rank") / "ranking.parquet").unlink()
    with pytest.raises(StageError, match="realfill rank"):
        blend.run(album, load_params())


def test_a_target_that_was_replaced_is_noticed(tmp_path: Path) -> None:
    album = prepare(tmp_path / "album", photo_of("rgb 8"))
    tifffile.imwrite(album.target, data.astronaut(), photometric="rgb")
    with pytest.raises(AlbumError, match="changed"):
        blend.run(album, load_params())


def test_same_inputs_same_bytes(tmp_path: Path) -> None:
    album = prepare(tmp_path / "album", photo_of("rgb 16"))
    first = digest(blend.run(album, load_params()).composite)
    assert digest(blend.run(album, load_params()).composite) == first


def test_a_fill_is_brought_into_the_colour_space_of_the_photo(tmp_path: Path) -> None:
    photo = photo_of("adobe rgb 16")
    album = prepare(tmp_path / "album", photo)
    as_it_is = ["blend.match_color=false", "blend.feather=0", "blend.detail=false"]
    black = blend.run(album, load_params(assignments=as_it_is))
    wanted = from_srgb(np.zeros((1, 1, 3), np.float32), photo)
    assert (read_photo(black.composite).pixels[MASK > 0] == wanted[0, 0]).all()
