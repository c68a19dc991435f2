"""Place the references' own pixels in the hole, by the geometry of the scene, at the photo's own resolution.

Cameras of target and references come from structure from motion, the depth of the target's view from how the
references agree; where the camera only turned, or the scene is flat, a homography for each reference does. Where none
of this makes anything certain, as when what is shown moved, references are laid about right, and nothing is called
certain. Every reference is warped into the target's view and brought into its light; the best one at each place makes
the proposal, and its confidence says how far that is to be believed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from realfill.album import Album
from realfill.artifacts import Placed, Window, accepted_references, canvas_path, mask_path, read_window
from realfill.cameras import Camera, Lens, Reconstruction, reconstruct
from realfill.deformation import deformations
from realfill.depth import Target, View, inverse_depth, project, visible
from realfill.files import publishing, write_json
from realfill.fusion import Fusion, Lit, Part, Warp, believed, fused, lit
from realfill.images import Pixels, gray, lens_of, read_png, read_srgb, resize, write_png
from realfill.matching import AlikedMatcher, Matcher, Matches, SiftMatcher, fit
from realfill.params import AlignParams, Params
from realfill.proposal import CERTAIN

_LEARNED_SIDE, _SIFT_SIDE = 1024, 2048  # pixels along the longer side that is matched
_SIFT_KEYPOINTS = 8000
_MARGIN = 0.2  # of the hole's longer side: what is worked on around it
_WORKING_SIDE = 800  # pixels along the longer side of that part, for depth and fusion
_FEWEST_POINTS = 30  # sparse points around the hole, below which depth is not asked for
_FEWEST_ON_PLANE = 40  # matches that one homography has to explain
_LEAST_CERTAIN = 0.03  # of the hole: with less, the geometry may be wrong altogether
_ERROR = 1.5  # pixels of the matched photos, beyond which a point is not used
_FILM_DIAGONAL = 43.27  # millimetres of a 24 x 36 mm frame


@dataclass(frozen=True)
class AlignResult:
    """What was placed; the pictures lie in `work/align`.

    Attributes:
        placed: Model, box, references and how much of the hole they cover.
        folder: Where the files lie.
    """

    placed: Placed
    folder: Path


def run(album: Album, params: Params) -> AlignResult:
    """Write what could be placed: placed.json, and where anything was, proposal.png and confidence.png.

    Raises:
        StageError: `validate` or `masks` has not run.
        ModelError: The matcher's weights are not installed.
    """
    window = read_window(album)
    part = Part.around(read_png(canvas_path(album)), read_png(mask_path(album)), _MARGIN, _WORKING_SIDE)
    references = accepted_references(album)
    model, fusion = "none", None
    if params.align.enabled:
        lenses = [_target_lens(album, window), *map(_lens, references)]
        model, fusion = _fusion(part, references, lenses, params.align)
    placed = Placed(
        model=model,
        box=part.box,
        references=tuple(fusion.references) if fusion else (),
        covered=fusion.share(1) if fusion else 0.0,
        certain=fusion.share(CERTAIN) if fusion else 0.0,
    )
    folder = album.work("align")
    with publishing(folder) as beside:
        write_json(beside / "placed.json", asdict(placed))
        if fusion:
            write_png(beside / "proposal.png", fusion.proposal)
            write_png(beside / "confidence.png", fusion.confidence)
    return AlignResult(placed, folder)


def _target_lens(album: Album, window: Window) -> Lens:
    focal, camera = lens_of(album.target)
    centre = (window.photo_left + window.photo_width / 2, window.photo_top + window.photo_height / 2)
    diagonal = math.hypot(window.photo_width, window.photo_height)
    return Lens(window.canvas_width, window.canvas_height, centre, _in_pixels(focal, diagonal), camera)


def _lens(path: Path) -> Lens:
    focal, camera = lens_of(path)
    height, width = read_srgb(path).shape[:2]
    return Lens(width, height, (width / 2, height / 2), _in_pixels(focal, math.hypot(width, height)), camera)


def _in_pixels(focal: float | None, diagonal: float) -> float | None:
    return None if focal is None else focal / _FILM_DIAGONAL * diagonal


def _fusion(
    part: Part, references: Sequence[Path], lenses: Sequence[Lens], params: AlignParams
) -> tuple[str, Fusion | None]:
    """The model that says how the references lie over the part, and what they say; "none" and None if none does."""
    photos = [_small(part.canvas), *(_small(read_srgb(path)) for path in references)]
    matches = _matches(photos, lenses, part.mask, params.references)
    warps, model = _warps(part, matches, photos, lenses)
    candidates = _lit(part, references, warps)
    fusion = fused(part, candidates) if candidates else None
    if fusion and fusion.share(CERTAIN) >= _LEAST_CERTAIN:
        return model, fusion
    near, far = deformations(matches, [max(lens.width, lens.height) for lens in lenses])
    fusion = _loosely(part, references, near, far)
    return ("loose", fusion) if fusion else ("none", None)


def _lit(part: Part, references: Sequence[Path], warps: dict[int, Warp]) -> list[Lit]:
    return believed([lit(part, references[number - 1], warp) for number, warp in sorted(warps.items())])


def _loosely(part: Part, references: Sequence[Path], near: dict[int, Warp], far: dict[int, Warp]) -> Fusion | None:
    """The references that share something with the part, and in what they leave open those that do with them."""
    candidates = _lit(part, references, near)
    if not candidates:
        return None
    fusion = fused(part, candidates)
    beyond = part.filled(fusion)
    if not far or not beyond.mask.any():
        return fusion
    others = [replace(one, seen=one.seen & beyond.hole) for one in _lit(beyond, references, far)]
    return fused(part, [*candidates, *others])


def _warps(
    part: Part,
    matches: dict[tuple[int, int], Matches],
    photos: Sequence[Pixels],
    lenses: Sequence[Lens],
) -> tuple[dict[int, Warp], str]:
    """How the part's pixels lie in the references, by their numbers from 1, and the model that says so.

    With guessed focal lengths a camera that only turned seems to have moved: what planes explain is left to them.
    """
    scales = [min(1.0, _LEARNED_SIDE / max(lens.width, lens.height)) for lens in lenses]
    planes = _through_planes(matches, scales)
    found = reconstruct(lenses, matches, scales)
    if found is not None and not (found.guessed and found.cameras.keys() - {0} <= planes.keys()):
        points = _points(part, found)
        if len(points) >= _FEWEST_POINTS:
            return _through_depth(part, found, points, photos, lenses), "depth"
    return planes, "plane"


def _matches(
    photos: Sequence[Pixels], lenses: Sequence[Lens], mask: Pixels, most: int
) -> dict[tuple[int, int], Matches]:
    """Matches of the target with each reference, and among the `most` references that share most with it.

    In pixels of the full-size photos. Learned matches find what changed its light or size, SIFT's are more exact.
    """
    hole = cv2.dilate(mask, np.ones((17, 17), np.uint8))
    matchers: list[tuple[Matcher[Any], int]] = [
        (AlikedMatcher(), _LEARNED_SIDE),
        (SiftMatcher(_SIFT_KEYPOINTS, contrast=0.01), _SIFT_SIDE),
    ]
    features = [
        [matcher.detect(_at_most(photo, side)) for photo in photos]  # one list a matcher
        for matcher, side in matchers
    ]

    def match(i: int, j: int) -> Matches:
        parts = []
        for (matcher, side), found in zip(matchers, features, strict=True):
            pairs = matcher.pair(found[i], found[j])
            ends = [
                (points + 0.5) * _enlargement(lenses[n], side) - 0.5
                for n, points in ((i, pairs.points0), (j, pairs.points1))
            ]
            parts.append(Matches(ends[0], ends[1], pairs.confidence))
        together = Matches(
            *(np.concatenate([getattr(p, name) for p in parts]) for name in ("points0", "points1", "confidence"))
        )
        return together[_outside(hole, together.points0)] if i == 0 else together

    numbers = range(1, len(photos))
    matches = {(0, number): match(0, number) for number in numbers}
    near = sorted(sorted(numbers, key=lambda number: -len(matches[0, number]))[:most])
    matches |= {(i, j): match(i, j) for i, j in itertools.combinations(near, 2)}
    return {pair: found for pair, found in matches.items() if pair[1] in near}


def _outside(hole: Pixels, points: np.ndarray) -> np.ndarray:
    columns, rows = np.rint(points).astype(int).T
    inside: np.ndarray = hole[rows.clip(0, hole.shape[0] - 1), columns.clip(0, hole.shape[1] - 1)] == 0
    return inside


def _enlargement(lens: Lens, side: int) -> float:
    return max(1.0, max(lens.width, lens.height) / side)


def _at_most(photo: Pixels, side: int) -> Pixels:
    shrink = min(1.0, side / max(photo.shape[:2]))
    return resize(photo, max(1, round(photo.shape[1] * shrink)), max(1, round(photo.shape[0] * shrink)))


def _small(photo: Pixels) -> Pixels:
    return _at_most(photo, _SIFT_SIDE)


def _points(part: Part, found: Reconstruction) -> np.ndarray:
    """Sparse points in the part's view: columns and rows at the working scale, and inverse depth, [N, 3]."""
    camera = found.cameras[0]
    columns, rows, depth = camera.project(found.points @ camera.rotation.T + camera.translation)
    x, y = part.to_working(columns, rows)
    width, height = part.size
    inside = (x > -40) & (x < width + 40) & (y > -40) & (y < height + 40)
    kept = (depth > 0) & (found.errors < _ERROR) & inside
    return np.stack([x[kept], y[kept], 1 / depth[kept]], axis=1)


def _through_depth(
    part: Part, found: Reconstruction, points: np.ndarray, photos: Sequence[Pixels], lenses: Sequence[Lens]
) -> dict[int, Warp]:
    target = found.cameras[0]
    cameras = {number: camera.seen_from(target) for number, camera in found.cameras.items() if number}
    side = max(part.canvas.shape[:2]) * part.scale
    views = []
    for number, camera in cameras.items():
        shrunk = _at_most(photos[number], round(side))
        views.append(View(gray(shrunk), camera.scaled(shrunk.shape[1] / lenses[number].width)))
    rays = target.rays(*part.grid())
    depth = inverse_depth(Target(gray(part.working(part.canvas)), part.hole, rays, points), views)

    def warp_of(camera: Camera) -> Warp:
        def maps(columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            height, width = columns.shape
            inverse = cv2.resize(depth, (width, height), interpolation=cv2.INTER_LINEAR)
            return project(camera, target.rays(columns, rows), inverse)

        parallax = math.atan(float(np.linalg.norm(camera.translation) * np.median(points[:, 2])))
        return Warp(maps, parallax, visible(camera, rays, depth))

    return {number: warp_of(camera) for number, camera in cameras.items()}


def _through_planes(matches: dict[tuple[int, int], Matches], scales: Sequence[float]) -> dict[int, Warp]:
    """Homographies for the references that see nothing but a plane, or from where the target was taken."""
    warps = {}
    for (i, number), found in matches.items():
        if i:
            continue
        shrunk = Matches(found.points0 * scales[0], found.points1 * scales[number], found.confidence)
        geometry = fit(shrunk)
        if geometry is None or geometry.fundamental is not None or geometry.agree(shrunk).sum() < _FEWEST_ON_PLANE:
            continue
        down, up = np.diag([scales[0], scales[0], 1]), np.diag([1 / scales[number], 1 / scales[number], 1])
        warps[number] = _homography_warp(up @ geometry.homography @ down)
    return warps


def _homography_warp(homography: np.ndarray) -> Warp:
    def maps(columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x, y, z = np.tensordot(homography.astype(np.float32), np.stack([columns, rows, np.ones_like(rows)]), axes=1)
        before = z > 1e-6
        safe = np.where(before, z, 1)
        return x / safe, y / safe, before

    return Warp(maps, 0.0)
