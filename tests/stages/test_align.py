"""Placing references by geometry, on scenes whose geometry is known."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.placement import Proposal, read_proposal
from realfill.album.schemas import Placed
from realfill.album.store import mask_path
from realfill.compositing.color_transfer import fit_color_transform
from realfill.compositing.mosaic import fuse_references
from realfill.compositing.region import Region
from realfill.compositing.seam_leveling import seam_offsets
from realfill.compositing.warped_reference import warp_and_match_color
from realfill.core.hashing import digest
from realfill.core.params import load_params
from realfill.demo_album import render, write_demo_album
from realfill.evaluation.metrics import psnr
from realfill.geometry.camera import Camera, IntrinsicsPrior
from realfill.geometry.plane_sweep import Target, inverse_depth
from realfill.geometry.projection import View, project, visible
from realfill.geometry.sfm import reconstruct
from realfill.geometry.warp import Warp
from realfill.matching.correspondences import Matches
from realfill.photo_io.working_files import read_png, write_png
from realfill.stages import align, masks, validate

PARAMS = load_params(assignments=["align.references=2"])


def placed(root: Path) -> tuple[Album, Placed]:
    album = open_album(root)
    validate.run(album, PARAMS)
    masks.run(album, PARAMS)
    return album, align.run(album, PARAMS).placed


def in_hole(album: Album, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The proposal's and the truth's pixels in the hole, where anything is proposed."""
    proposal = read_proposal(album)
    assert proposal is not None
    height, width = truth.shape[:2]
    here = proposal.over(0, 0, width, height)
    shown = (read_png(mask_path(album)) > 0) & (here.confidence > 0)
    return here.colours[shown], truth[shown]


def make(root: Path, truth: np.ndarray, references: list[np.ndarray]) -> Path:
    """An album whose hole is the middle ninth of the truth."""
    for name in ("target", "ref"):
        (root / name).mkdir(parents=True)
    height, width = truth.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    mask[height // 3 : height * 2 // 3, width // 3 : width * 2 // 3] = 255
    write_png(root / "target" / "target.png", np.where(mask[..., None] > 0, np.uint8(128), truth))
    write_png(root / "target" / "mask.png", mask)
    for number, reference in enumerate(references):
        write_png(root / "ref" / f"{number}.png", reference)
    return root


def turned(image: np.ndarray, yaw: float, tilt: float) -> np.ndarray:
    """The middle of a photo as a camera turned by these angles (degrees) sees it, 480 x 320."""
    height, width = image.shape[:2]
    inner = np.array([[600.0, 0, 239.5], [0, 600.0, 159.5], [0, 0, 1]])
    outer = np.array([[600.0, 0, (width - 1) / 2], [0, 600.0, (height - 1) / 2], [0, 0, 1]])
    rotation, _ = cv2.Rodrigues(np.radians([tilt, yaw, 0.5]))
    homography = outer @ rotation @ np.linalg.inv(inner)
    view: np.ndarray = cv2.warpPerspective(image, homography, (480, 320), flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP)
    return view


def test_with_depth_the_references_pixels_lie_where_they_belong(tmp_path: Path) -> None:
    root = write_demo_album(tmp_path / "motorcycle")
    album, found = placed(root)
    assert found.model == "depth"
    assert found.covered > 0.95
    assert found.certain > 0.4
    ours, truth = in_hole(album, read_png(root / "target" / "gt.png"))
    assert psnr(ours, truth) > 20.5
    first = digest(album.work("align"))
    align.run(album, PARAMS)
    assert digest(album.work("align")) == first


def test_a_camera_that_only_turned_is_placed_by_a_homography(tmp_path: Path) -> None:
    scene = cv2.resize(skimage.data.coffee(), (900, 600))
    truth = turned(scene, 0, 0)
    root = make(tmp_path / "turned", truth, [turned(scene, 6, 1), turned(scene, -5, -2)])
    album, found = placed(root)
    assert found.model == "plane"
    assert found.covered > 0.95
    ours, theirs = in_hole(album, truth)
    assert psnr(ours, theirs) > 26


def test_a_camera_that_walked_towards_the_scene_is_posed() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform((-4, -3, 6), (4, 3, 14), (300, 3))
    lens = IntrinsicsPrior(640, 480, (320, 240), focal=500.0)
    photos = [
        Camera(500.0, (319.5, 239.5), 0.0, np.eye(3), np.array([0.02 * ahead, 0, -ahead])) for ahead in (0, 1.5, 2.8)
    ]
    seen = [np.column_stack(camera.project(points + camera.translation)[:2]) for camera in photos]
    matches = {
        (i, j): Matches(seen[i].astype(np.float32), seen[j].astype(np.float32), np.ones(len(points), np.float32))
        for i, j in ((0, 1), (0, 2), (1, 2))
    }
    found = reconstruct([lens] * 3, matches, [1.0] * 3)
    assert found is not None
    ahead = [found.cameras[n].seen_from(found.cameras[0]).translation for n in (1, 2)]
    assert ahead[1][2] / ahead[0][2] == pytest.approx(2.8 / 1.5, rel=0.02)
    assert np.abs(ahead[1][:2] / ahead[1][2]).max() < 0.05


def test_a_single_reference_of_a_deep_scene_is_placed_no_worse_than_inpainting(tmp_path: Path) -> None:
    root = write_demo_album(tmp_path / "motorcycle")
    for name in ("1.png", "2.png"):
        (root / "ref" / name).unlink()
    album, found = placed(root)
    truth = read_png(root / "target" / "gt.png")
    if found.model != "none":
        ours, theirs = in_hole(album, truth)
        hole = read_png(mask_path(album))
        telea = cv2.inpaint(truth, hole, 5, cv2.INPAINT_TELEA)
        assert psnr(ours, theirs) > psnr(telea[hole > 0], truth[hole > 0])


def test_photos_of_something_else_are_not_placed(tmp_path: Path) -> None:
    root = make(tmp_path / "strange", skimage.data.coffee(), [skimage.data.astronaut(), skimage.data.rocket()])
    album, found = placed(root)
    assert found.model == "none"
    assert read_proposal(album) is None


def test_nothing_is_placed_where_that_is_switched_off(tmp_path: Path) -> None:
    album = open_album(make(tmp_path / "off", skimage.data.coffee(), [skimage.data.coffee()]))
    validate.run(album, PARAMS)
    masks.run(album, PARAMS)
    assert align.run(album, load_params(assignments=["align.enabled=false"])).placed.model == "none"


@given(st.floats(-0.2, 0.2), st.floats(0, 400), st.floats(0, 300))
def test_a_ray_is_projected_back_to_its_pixel(bend: float, column: float, row: float) -> None:
    camera = Camera(500.0, (199.5, 149.5), bend, np.eye(3), np.zeros(3))
    columns, rows, depth = camera.project(camera.rays(np.array([column]), np.array([row])).astype(np.float64) * 7)
    assert columns[0] == pytest.approx(column, abs=0.02)
    assert rows[0] == pytest.approx(row, abs=0.02)
    assert depth[0] == pytest.approx(7, rel=1e-5)


def test_the_depth_of_a_slanted_plane_is_found_inside_the_hole() -> None:
    texture = cv2.cvtColor(cv2.resize(skimage.data.gravel(), (700, 700)), cv2.COLOR_GRAY2RGB)
    gray = cv2.cvtColor(texture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    focal, size = 300.0, (240, 180)
    centre = ((size[0] - 1) / 2, (size[1] - 1) / 2)
    target = Camera(focal, centre, 0.0, np.eye(3), np.zeros(3))
    columns, rows = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    rays = target.rays(columns, rows)
    slant = np.array([0.15, -0.1, 0.25])  # inverse depth of a ray is its product with this
    truth = (rays @ slant).astype(np.float32)

    def seen(camera: Camera) -> np.ndarray:
        """The plane, painted with the texture along x and y, from a camera; by the depth along its own rays."""
        own = camera.rays(columns, rows).astype(np.float64) @ camera.rotation
        origin = -camera.rotation.T @ camera.translation
        reach = (1 - origin @ slant) / (own @ slant)
        points = origin + own * reach[..., None]
        x, y = (points[..., 0] * 100 + 350).astype(np.float32), (points[..., 1] * 100 + 350).astype(np.float32)
        view: np.ndarray = cv2.remap(gray, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return view

    cameras = [Camera(focal, centre, 0.0, np.eye(3), np.array(shift)) for shift in ([0.4, 0, 0], [-0.3, 0.2, 0])]
    hole = np.zeros(size[::-1], bool)
    hole[50:130, 70:170] = True
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, size[0] - 1, 60), rng.uniform(0, size[1] - 1, 60)
    points = np.column_stack([x, y, target.rays(x, y) @ slant])
    found = inverse_depth(
        Target(np.where(hole, 0, seen(target)).astype(np.float32), hole, rays, points),
        [View(seen(camera), camera) for camera in cameras],
    )
    for camera in cameras:
        (x, y, _), (true_x, true_y, _) = (project(camera, rays, depth) for depth in (found, truth))
        assert np.median(np.hypot(x - true_x, y - true_y)[hole]) < 0.25  # pixels


def test_a_near_thing_with_few_points_is_found_too() -> None:
    columns, rows = np.meshgrid(np.arange(240, dtype=np.float32), np.arange(180, dtype=np.float32))
    target = Camera(100.0, (119.5, 89.5), 0.0, np.eye(3), np.zeros(3))
    paint = cv2.resize(skimage.data.gravel(), (480, 360)).astype(np.float32) / 255
    box = (slice(70, 110), slice(100, 150))

    def seen(shift: float) -> np.ndarray:
        """A wall at inverse depth 0.1 and the box before it at 0.6, from a camera moved along the columns."""
        view = cv2.remap(paint, columns + 100 - 10 * shift, rows + 100, cv2.INTER_LINEAR)
        aside = round(60 * shift)
        view[box[0], box[1].start + aside : box[1].stop + aside] = paint[:40, :50]
        return np.asarray(view)

    rng = np.random.default_rng(0)
    wall = np.column_stack([rng.uniform(0, 239, 6000), rng.uniform(0, 179, 6000), np.full(6000, 0.1)])
    before = (wall[:, 0] > 95) & (wall[:, 0] < 155) & (wall[:, 1] > 65) & (wall[:, 1] < 115)
    on_box = np.column_stack([rng.uniform(100, 149, 20), rng.uniform(70, 109, 20), np.full(20, 0.6)])
    hole = np.zeros((180, 240), bool)
    hole[50:130, 80:170] = True
    found = inverse_depth(
        Target(
            np.where(hole, 0, seen(0)).astype(np.float32),
            hole,
            target.rays(columns, rows),
            np.concatenate([wall[~before], on_box]),
        ),
        [View(seen(x), Camera(100.0, (119.5, 89.5), 0.0, np.eye(3), np.array([x, 0, 0]))) for x in (0.4, -0.4, 0.7)],
    )
    assert np.median(found[75:105, 105:145]) == pytest.approx(0.6, abs=0.01)
    assert np.median(found[52:60, 85:165]) == pytest.approx(0.1, abs=0.01)


def test_what_a_near_box_hides_from_a_reference_is_known() -> None:
    columns, rows = np.meshgrid(np.arange(120, dtype=np.float32), np.arange(80, dtype=np.float32))
    target = Camera(100.0, (59.5, 39.5), 0.0, np.eye(3), np.zeros(3))
    inverse = np.full((80, 120), 0.1, np.float32)
    inverse[20:60, 40:70] = 0.5  # the box; a camera 1 to the left sees it 40 pixels farther right than the wall
    seen = visible(
        Camera(100.0, (59.5, 39.5), 0.0, np.eye(3), np.array([1.0, 0, 0])), target.rays(columns, rows), inverse
    )
    assert seen[20:60, 40:70].all()  # the box itself
    hidden = np.zeros((80, 120), bool)
    hidden[20:60, 80:110] = True  # 40 pixels right of the box, where the wall was before
    inner = cv2.erode(hidden.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    outer = cv2.dilate(hidden.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert not seen[inner].any()
    assert seen[~outer].all()


def test_a_step_of_light_between_two_pictures_is_levelled_and_one_of_content_is_not() -> None:
    photo = cv2.resize(skimage.data.coffee(), (300, 200)).astype(np.float32) / 510 + 0.2
    labels = np.zeros((200, 300), int)
    labels[:, 150:] = 1
    everywhere = np.ones((200, 300), bool)

    def mosaic(other: np.ndarray) -> np.ndarray:
        pictures = [photo, other]
        offsets = seam_offsets(pictures, [everywhere, everywhere], labels)
        lit = [picture + cv2.resize(offset, (300, 200)) for picture, offset in zip(pictures, offsets, strict=True)]
        return np.where(labels[..., None] == 0, *lit)

    brighter = mosaic(photo + np.float32(0.1)) - photo
    assert np.abs(brighter[:, 149] - brighter[:, 150]).max() < 0.01  # was 0.1
    assert np.abs(np.diff(brighter, axis=1)).max() < 0.02
    other = photo + np.float32(0.4)
    np.testing.assert_allclose(mosaic(other), np.where(labels[..., None] == 0, photo, other), atol=1e-6)


def test_a_rendered_view_moves_near_things_more_and_leaves_no_gap() -> None:
    left = np.full((40, 100, 3), 50, np.uint8)
    left[10:30, 40:60] = (200, 30, 30)
    disparity = np.full((40, 100), 4.0, np.float32)
    disparity[10:30, 40:60] = 20
    disparity[10:30, 60:64] = np.inf  # not measured beside the box
    view = render(left, disparity, 0.5)
    assert (view[12:28, 31:49] == (200, 30, 30)).all()
    assert np.abs(view[12:28, 52:].astype(int) - 50).max() <= 1
    assert np.abs(view[:8].astype(int) - 50).max() <= 1


def test_light_is_learned_in_spite_of_what_moved() -> None:
    photo = cv2.resize(skimage.data.coffee(), (300, 200)).astype(np.float32) / 255
    target = (0.1 + np.array([0.9, 0.8, 0.6]) * photo**1.5).clip(0, 1).astype(np.float32)
    moved = target.copy()
    moved[:60, :90] = 0.9  # a fifth of the ring shows something else
    hole = np.zeros((200, 300), bool)
    hole[70:130, 110:190] = True
    light = fit_color_transform(photo, moved, ~hole, hole)
    assert light is not None
    assert np.abs(light(photo) - target)[hole].mean() < 0.02


def test_the_reference_that_faces_a_wall_is_taken_not_the_one_that_sees_it_edge_on(tmp_path: Path) -> None:
    photo = cv2.resize(skimage.data.coffee(), (300, 200))
    mask = np.zeros((200, 300), np.uint8)
    mask[60:140, 100:200] = 255
    part = Region.around(photo, mask, 0.4, 300)
    for name in ("edge-on.png", "facing.png"):
        write_png(tmp_path / name, photo)

    def edge_on(columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        off = columns - 150  # the middle 40 columns are seen as 4, those beside them wider
        narrow = np.interp(off, [-45, -20, 20, 45], [-45, -2, 2, 45]).astype(np.float32)
        inside = (np.abs(off) < 45) & (np.abs(rows - 100) < 35)
        return np.where(inside, 150 + narrow, columns), rows, np.ones(rows.shape, bool)

    def facing(columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return columns, rows, np.ones(rows.shape, bool)

    near = warp_and_match_color(part, tmp_path / "edge-on.png", Warp(edge_on, parallax=0.10))
    far = warp_and_match_color(part, tmp_path / "facing.png", Warp(facing, parallax=0.12))
    assert near
    assert far
    assert near.stretch.max() > 2
    assert far.stretch.max() < 0.1
    colours = fuse_references(part, [near, far]).proposal.astype(int)
    wall = np.s_[75:125, 135:165]
    left, top, _, _ = part.box
    assert np.abs(colours[75 - top : 125 - top, 135 - left : 165 - left] - photo[wall]).mean() < 3


def test_nothing_is_learned_from_nothing() -> None:
    photo, hole = np.zeros((50, 50, 3), np.float32), np.ones((50, 50), bool)
    assert fit_color_transform(photo, photo, ~hole, hole) is None


@given(st.integers(-30, 60), st.integers(-30, 60), st.integers(1, 50), st.integers(1, 50))
def test_a_proposal_is_cut_anywhere(left: int, top: int, width: int, height: int) -> None:
    colours = np.arange(20 * 30 * 3, dtype=np.uint32).reshape(20, 30, 3).astype(np.uint8)
    proposal = Proposal(10, 5, colours, np.full((20, 30), 200, np.uint8))
    whole = proposal.over(-40, -40, 160, 160)
    cut = proposal.over(left, top, width, height)
    rows, columns = slice(top + 40, top + 40 + height), slice(left + 40, left + 40 + width)
    np.testing.assert_array_equal(cut.colours, whole.colours[rows, columns])
    np.testing.assert_array_equal(cut.confidence, whole.confidence[rows, columns])


def test_what_a_candidate_shows_of_the_proposal_follows_from_its_kind() -> None:
    confidence = np.zeros((60, 60), np.uint8)
    confidence[:, 20:] = 60
    confidence[:, 40:] = 220
    proposal = Proposal(0, 0, np.zeros((60, 60, 3), np.uint8), confidence)
    assert not proposal.weight("noise").any()
    placed_weight, guided_weight = proposal.weight("placed"), proposal.weight("guided")
    assert placed_weight[30, 30] == pytest.approx(1)
    assert placed_weight[30, 5] == 0
    assert guided_weight[30, 30] == 0
    assert guided_weight[30, 55] == pytest.approx(1)
