import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.schemas import Candidate, InputPhoto, PlacementSummary, RankedCandidate, VerifiedMatch
from realfill.album.store import find_preview, read_rows, write_rows
from realfill.core.atomic_io import write_json
from realfill.core.errors import AlbumError, ParamsError, StageError
from realfill.core.hashing import digest
from realfill.core.params import load_params
from realfill.photo_io.color_management import to_srgb
from realfill.photo_io.decode import read_photo
from realfill.photo_io.photo import Photo
from realfill.photo_io.working_files import read_png, write_png
from realfill.stages import blend
from support.finished_album import place_nothing
from support.holes import beyond_feather, perfect_candidate, window_at
from support.scenes import rectangle_mask

R = 128
MASK = rectangle_mask((400, 600), slice(120, 200), slice(200, 300))
WINDOW = window_at(MASK, 122, 32, 256)


def photo_like(kind: str) -> Photo:
    colors = data.coffee()
    deep = (colors.astype(np.uint16) * 257) ^ 37
    alpha = np.full(colors.shape[:2], 255, np.uint8)
    alpha[120:200, 200:300] = 0
    gray = cv2.COLOR_RGB2GRAY
    icc = imagecodecs.cms_profile("adobergb") if kind.startswith("adobe") else None
    pixels: dict[str, Any] = {
        "gray 8": lambda: cv2.cvtColor(colors, gray)[..., None],
        "gray 16": lambda: cv2.cvtColor(deep, gray)[..., None],
        "rgb 16": lambda: deep,
        "adobe rgb 16": lambda: deep,
        "cmyk 8": lambda: np.array(Image.fromarray(colors).convert("CMYK")),
    }
    return Photo(pixels.get(kind, lambda: colors)(), alpha if kind == "rgba 8" else None, icc, "TIFF", 1)


KINDS = ["rgb 8", "rgba 8", "gray 8", "gray 16", "rgb 16", "adobe rgb 16", "cmyk 8"]


def prepare(root: Path, photo: Photo) -> Album:
    """An album that counts as ranked: candidate 0 shows the truth, candidate 1 is black; 1 is ranked best."""
    for folder in ("target", "ref"):
        (root / folder).mkdir(parents=True)
    write_png(root / "ref" / "0.png", data.coffee())
    tifffile.imwrite(
        root / "target" / "target.tif",
        photo.samples.squeeze(),
        photometric={1: "minisblack", 3: "rgb", 4: "separated"}[photo.pixels.shape[2]],
        extrasamples=None if photo.alpha is None else ["unassalpha"],
        iccprofile=photo.icc,
    )
    album = open_album(root)
    for stage in ("validate", "masks", "sample", "rank"):
        album.work(stage).mkdir(parents=True)
    reference = InputPhoto(role="reference", file="ref/0.png", verdict="accepted")
    write_rows(album.work("validate") / "inputs.parquet", InputPhoto, [reference])
    shown = to_srgb(photo)
    write_png(album.work("masks") / "canvas.png", np.where(MASK[..., None] > 0, np.uint8(128), shown))
    write_png(album.work("masks") / "mask.png", MASK)
    write_json(album.work("masks") / "window.json", asdict(WINDOW))
    fills = [perfect_candidate(shown, WINDOW, R), np.zeros((R, R, 3), np.uint8)]
    common: dict[str, Any] = dict.fromkeys(("model", "model_digest", "adapter_digest"), "") | {"versions": "{}"}
    common |= {"seed": 0, "steps": 1, "guidance": 1.0, "batch_size": 2, "count": 2, "resolution": R}
    rows = [Candidate(n, f"{n:03d}.png", kind="noise", draw=n, scheduler="ddpm", **common) for n in range(2)]
    for row, fill in zip(rows, fills, strict=True):
        write_png(album.work("sample") / row.file, fill)
    write_rows(album.work("sample") / "candidates.parquet", Candidate, rows)
    ranked = [RankedCandidate(rank, number, 1.0, 0, 0, 0.0, 0.0, "", "sift") for rank, number in ((1, 1), (2, 0))]
    write_rows(album.work("rank") / "ranking.parquet", RankedCandidate, ranked)
    write_rows(album.work("rank") / "verified.parquet", VerifiedMatch, [VerifiedMatch(0, "0.png", 250.0, 160.0)])
    place_nothing(album)
    return album


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_is_completed_in_its_own_colors_and_depth(tmp_path: Path, kind: str) -> None:
    photo = photo_like(kind)
    album = prepare(tmp_path / "album", photo)
    result = blend.run(album, load_params(assignments=["blend.candidate=0"]))
    composite, target = read_photo(result.composite), read_photo(album.target)
    assert composite.pixels.dtype == photo.pixels.dtype
    assert composite.pixels.shape == photo.pixels.shape
    assert composite.icc == photo.icc
    far = beyond_feather(MASK, result.feather)
    assert np.array_equal(composite.pixels[far], target.pixels[far])
    hole = MASK > 0
    error = to_srgb(composite)[hole].astype(float) - to_srgb(photo)[hole]
    assert np.sqrt((error**2).mean()) < 14
    if photo.alpha is not None:
        assert composite.alpha is not None
        assert (composite.alpha[hole] == 255).all()
        assert np.array_equal(composite.alpha[far], photo.alpha[far])


def test_the_best_ranked_candidate_is_taken_unless_a_number_is_given(tmp_path: Path) -> None:
    album = prepare(tmp_path / "album", photo_like("rgb 8"))
    best = blend.run(album, load_params())
    assert best.candidate == 1
    assert json.loads((album.work("blend") / "blend.json").read_text()) == {
        "candidate": 1,
        "kinds": ["noise"],
        "feather": best.feather,
        "authenticity": {"reference_pixel": 0.0, "confirmed": 0.0, "generated_only": 1.0, "score": 0.0},
        "box": list(best.box),
        "previews": {"0": list(best.box[:2])},
    }
    assert blend.run(album, load_params(assignments=["blend.candidate=0"])).candidate == 0


@pytest.mark.parametrize("kind", ["rgba 8", "adobe rgb 16"])
def test_previews_show_other_candidates_as_they_would_be_delivered(tmp_path: Path, kind: str) -> None:
    album = prepare(tmp_path / "album", photo_like(kind))
    blend.run(album, load_params(assignments=["blend.previews=1"]))
    written = find_preview(album, 0)
    assert written is not None
    path, left, top = written
    seen = read_png(path)
    other = read_photo(blend.run(album, load_params(assignments=["blend.candidate=0", "blend.previews=0"])).composite)
    height, width = seen.shape[:2]
    assert np.array_equal(seen, to_srgb(other)[top : top + height, left : left + width])
    assert find_preview(album, 1) is None


def test_previews_do_not_depend_on_the_number_of_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    album = prepare(tmp_path / "album", photo_like("rgb 8"))
    regions = "blend.regions=[{candidate: 0, polygon: [[200, 120], [300, 120], [250, 200]]}]"  # all are shown then
    pictures = []
    for threads in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        blend.run(album, load_params(assignments=["blend.previews=2", regions]))
        pictures.append([path.read_bytes() for path in sorted(album.work("blend").glob("preview_*.png"))])
    assert len(pictures[0]) == 2
    assert pictures[0] == pictures[1]


def test_the_authenticity_map_counts_the_matches_of_the_candidate_alone(tmp_path: Path) -> None:
    album = prepare(tmp_path / "album", photo_like("rgb 8"))
    maps = []
    for candidate in (0, 1):
        blend.run(album, load_params(assignments=[f"blend.candidate={candidate}"]))
        maps.append(read_png(album.work("blend") / "authenticity.png"))
    assert maps[0].shape == MASK.shape
    assert (maps[0][160, 250], maps[1][160, 250]) == (170, 85)
    assert not maps[0][MASK == 0].any()


def test_a_number_that_was_not_sampled_is_refused(tmp_path: Path) -> None:
    album = prepare(tmp_path / "album", photo_like("rgb 8"))
    with pytest.raises(ParamsError, match=r"no candidate 7.*best or to one of 0, 1"):
        blend.run(album, load_params(assignments=["blend.candidate=7"]))
    assert not album.work("blend").exists()


def test_ranking_has_to_come_first(tmp_path: Path) -> None:
    album = prepare(tmp_path / "album", photo_like("rgb 8"))
    (album.work("rank") / "ranking.parquet").unlink()
    with pytest.raises(StageError, match="realfill rank"):
        blend.run(album, load_params())


def test_a_target_that_was_replaced_is_noticed(tmp_path: Path) -> None:
    album = prepare(tmp_path / "album", photo_like("rgb 8"))
    tifffile.imwrite(album.target, data.astronaut(), photometric="rgb")
    with pytest.raises(AlbumError, match="changed"):
        blend.run(album, load_params())


def place(album: Album, certain: np.ndarray, kind: str = "placed") -> None:
    """Place the truth all over the canvas, certain only where told: the only candidate, and without a model."""
    confidence = np.where(certain, np.uint8(255), np.uint8(100))
    height, width = MASK.shape
    summary = PlacementSummary("depth", (0, 0, width, height), ("0.png",), 1.0, 0.5)
    write_json(album.work("align") / "placed.json", asdict(summary))
    write_png(album.work("align") / "proposal.png", data.coffee())
    write_png(album.work("align") / "confidence.png", confidence)
    row = read_rows(album.work("sample") / "candidates.parquet", Candidate)[0]
    write_rows(album.work("sample") / "candidates.parquet", Candidate, [replace(row, kind=kind)])


@pytest.mark.parametrize("kind", KINDS)
def test_where_nothing_is_generated_only_certain_pixels_change(tmp_path: Path, kind: str) -> None:
    album = prepare(tmp_path / "album", photo_like(kind))
    certain = rectangle_mask(MASK.shape, slice(0, 400), slice(0, 250)) > 0
    place(album, certain)
    result = blend.run(
        album, load_params(assignments=["blend.generate=never", "blend.candidate=1", "blend.feather=5"])
    )
    composite, target = read_photo(result.composite), read_photo(album.target)
    filled = certain & (MASK > 0)
    assert composite.pixels.dtype == target.pixels.dtype
    assert np.array_equal(composite.pixels[~filled], target.pixels[~filled])
    error = to_srgb(composite)[filled].astype(float) - to_srgb(photo_like(kind))[filled]
    assert np.sqrt((error**2).mean()) < 14
    if target.alpha is not None:
        assert composite.alpha is not None
        assert (composite.alpha[filled] == 255).all()
        assert np.array_equal(composite.alpha[~filled], target.alpha[~filled])
    assert np.array_equal(read_png(album.work("blend") / "authenticity.png"), np.where(filled, 255, 0))
    shares = json.loads((album.work("blend") / "blend.json").read_text())["authenticity"]
    assert (shares["reference_pixel"], shares["left"], shares["generated_only"]) == (0.5, 0.5, 0)
    assert result.feather == 0


@pytest.mark.parametrize(("generate", "kind"), [("never", "noise"), ("auto", "placed")])
def test_candidates_that_were_made_for_the_other_value_are_refused(tmp_path: Path, generate: str, kind: str) -> None:
    album = prepare(tmp_path / "album", photo_like("rgb 8"))
    place(album, MASK > 0, kind)
    with pytest.raises(StageError, match=f"blend.generate: {generate}.*realfill finetune"):
        blend.run(album, load_params(assignments=[f"blend.generate={generate}"]))


def test_same_inputs_same_bytes(tmp_path: Path) -> None:
    album = prepare(tmp_path / "album", photo_like("rgb 16"))
    first = digest(blend.run(album, load_params()).composite)
    assert digest(blend.run(album, load_params()).composite) == first


def test_a_region_shows_another_candidate_than_the_rest(tmp_path: Path) -> None:
    album = prepare(tmp_path, photo_like("rgb 8"))
    polygon = [[200, 110], [245, 110], [245, 210], [200, 210]]
    settings = [f"blend.regions=[{{candidate: 1, polygon: {polygon}}}]", "blend.match_color=false"]
    plain = ["blend.candidate=0", "blend.detail=false"]
    blend.run(album, load_params(assignments=[*plain, *settings]))
    mixed = to_srgb(read_photo(album.work("blend") / "composite.tif")).astype(int)
    blend.run(album, load_params(assignments=[*plain, "blend.match_color=false"]))
    whole = to_srgb(read_photo(album.work("blend") / "composite.tif")).astype(int)
    assert (mixed[125:195, 260:300] == whole[125:195, 260:300]).all()
    assert mixed[140:180, 210:235].mean() < whole[140:180, 210:235].mean() / 2
    with pytest.raises(ParamsError, match="There is no candidate 7"):
        blend.run(album, load_params(assignments=["blend.regions=[{candidate: 7, polygon: [[0,0],[1,0],[1,1]]}]"]))
