"""Photos of made-up scenes whose geometry is known, and albums of them."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from realfill.compositing.scene import Scene
from realfill.geometry.camera import IntrinsicsPrior
from realfill.geometry.reconstruction import Reconstruction
from realfill.imaging.region import Region
from realfill.matching.correspondences import Matches
from realfill.photo_io.working_files import write_png

SIZE = (480, 320)


def turned_view(scene: np.ndarray, yaw: float, tilt: float) -> np.ndarray:
    """The middle of a photo as a camera turned by these angles (degrees) sees it, 480 x 320."""
    height, width = scene.shape[:2]
    inner = np.array([[600.0, 0, 239.5], [0, 600.0, 159.5], [0, 0, 1]])
    outer = np.array([[600.0, 0, (width - 1) / 2], [0, 600.0, (height - 1) / 2], [0, 0, 1]])
    rotation, _ = cv2.Rodrigues(np.radians([tilt, yaw, 0.5]))
    homography = outer @ rotation @ np.linalg.inv(inner)
    view: np.ndarray = cv2.warpPerspective(scene, homography, SIZE, flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP)
    return view


def swayed_view(photo: np.ndarray, amplitude: float, phase: float) -> np.ndarray:
    """A photo, 480 x 320, whose parts moved by up to `amplitude` pixels, as those of a scene that moved."""
    columns, rows = np.meshgrid(np.arange(SIZE[0], dtype=np.float32), np.arange(SIZE[1], dtype=np.float32))
    x = columns + amplitude * np.sin(rows / 45 + phase)
    y = rows + amplitude * np.sin(columns / 55 + 2 * phase)
    return np.asarray(
        cv2.remap(photo, x.astype(np.float32), y.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    )


def rectangle_mask(shape: tuple[int, ...], rows: slice, columns: slice) -> np.ndarray:
    """A mask [H, W] uint8 with a rectangular hole."""
    mask = np.zeros(shape[:2], np.uint8)
    mask[rows, columns] = 255
    return mask


def middle_mask(shape: tuple[int, ...]) -> np.ndarray:
    """A mask [H, W] uint8 whose hole is the middle ninth."""
    height, width = shape[:2]
    return rectangle_mask(shape, slice(height // 3, height * 2 // 3), slice(width // 3, width * 2 // 3))


def write_scene(root: Path, truth: np.ndarray, mask: np.ndarray, references: list[np.ndarray]) -> Path:
    """Write an album whose target is the truth with a gray hole."""
    for name in ("target", "ref"):
        (root / name).mkdir(parents=True)
    write_png(root / "target" / "target.png", np.where(mask[..., None] > 0, np.uint8(128), truth))
    write_png(root / "target" / "mask.png", mask)
    for number, reference in enumerate(references):
        write_png(root / "ref" / f"{number}.png", reference)
    return root


def make_scene(
    photos: Sequence[np.ndarray],
    mask: np.ndarray,
    matches: dict[tuple[int, int], Matches] | None = None,
    reconstruction: Reconstruction | None = None,
) -> Scene:
    """The scene of a target and references that are in no files; nothing is known of their cameras."""
    return Scene(
        Region.around(photos[0], mask),
        [Path(f"{number}.png") for number in range(1, len(photos))],
        [unknown_camera(photo) for photo in photos],
        photos,
        matches or {},
        reconstruction,
    )


def unknown_camera(photo: np.ndarray) -> IntrinsicsPrior:
    """What is known of the camera of a photo without metadata."""
    height, width = photo.shape[:2]
    return IntrinsicsPrior(width, height, (width / 2, height / 2))
