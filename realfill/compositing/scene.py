"""What is known of an album's scene before the hole is filled: photos, matches, cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from realfill.geometry.camera import IntrinsicsPrior
from realfill.geometry.depth_consistency import ReferenceDepth
from realfill.geometry.reconstruction import Reconstruction
from realfill.imaging.ops import UNKNOWN_LEVEL, Pixels, resize, resize_mask
from realfill.imaging.region import Region
from realfill.matching.correspondences import Matches
from realfill.photo_io.color_management import read_rgb
from realfill.photo_io.photo_cache import ReadRgb


@dataclass(frozen=True)
class Scene:
    """What is known of an album's scene.

    Attributes:
        region: The part of the target around the hole.
        references: Their files.
        priors: What is known of the intrinsics of the target, then of each reference.
        photos: Target and references as `shrink_for_matching` returns them.
        matches: Between photos i < j by (i, j), pixels at full size; photo 0 is the target.
        reconstruction: Cameras and sparse points; None where there are none.
        reference_depths: Depth maps of the references; empty where there are none, or they are not asked for.
        read: How the references are read.
    """

    region: Region
    references: Sequence[Path]
    priors: Sequence[IntrinsicsPrior]
    photos: Sequence[Pixels]
    matches: dict[tuple[int, int], Matches]
    reconstruction: Reconstruction | None
    reference_depths: Sequence[ReferenceDepth] = ()
    read: ReadRgb = read_rgb

    @property
    def sides(self) -> list[int]:
        """Longer side of each photo, pixels."""
        return [max(prior.width, prior.height) for prior in self.priors]

    def shrink_target(self, side: int) -> Scene:
        """Return the scene with a target whose longer side has at most `side` pixels; the references stay."""
        height, width = self.region.mask.shape
        scale = min(1.0, side / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        mask = resize_mask(self.region.mask > 0, *size).astype(np.uint8) * 255
        reconstruction = self.reconstruction
        if reconstruction is not None:
            cameras = {n: camera if n else camera.rescale(scale) for n, camera in reconstruction.cameras.items()}
            reconstruction = replace(reconstruction, cameras=cameras)
        canvas = resize(self.region.canvas, *size)
        return replace(
            self,
            region=Region.around(canvas, mask, profile=self.region.profile),
            photos=[canvas, *self.photos[1:]],
            priors=[self.priors[0].rescale(scale), *self.priors[1:]],
            matches={
                pair: matches if pair[0] else replace(matches, points0=(matches.points0 + 0.5) * scale - 0.5)
                for pair, matches in self.matches.items()
            },
            reconstruction=reconstruction,
        )

    def enlarge_hole(self, extra: np.ndarray, margin: int) -> Scene:
        """Return the scene with more of the target unknown.

        Args:
            extra: bool [H, W], over the canvas.
            margin: Matches this near to it are dropped too, pixels.
        """
        canvas, mask = self.region.canvas.copy(), self.region.mask.copy()
        canvas[extra], mask[extra] = UNKNOWN_LEVEL, 255
        near = cv2.dilate(extra.astype(np.uint8), np.ones((2 * margin + 1, 2 * margin + 1))) > 0
        matches = {pair: m if pair[0] else m[~m.start_in(near)] for pair, m in self.matches.items()}
        target = resize(canvas, *self.photos[0].shape[1::-1])
        region = Region.around(canvas, mask, profile=self.region.profile)
        return replace(self, region=region, photos=[target, *self.photos[1:]], matches=matches)
