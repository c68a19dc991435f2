"""Registration of a warped reference with what the target shows around the hole.

Cameras and depth leave a reference some pixels off. Around the hole optical flow (DIS, Kroeger et al., ECCV 2016)
measures by how much; inside, the displacement goes on and fades out, so that outlines meet at the rim.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from realfill.geometry.warp import Warp, WarpSettings, remap_prefiltered
from realfill.imaging.ncc import ncc
from realfill.imaging.ops import Pixels, local_variance, to_gray, to_uint8
from realfill.imaging.region import Region


@dataclass(frozen=True)
class RimRegistrationSettings:
    """Which displacements are believed, and how far they reach.

    Lengths are shares of the hole's longer side.

    Attributes:
        reach: Standard deviation of the Gaussian that spreads the displacement. Measured on eight albums: .06 changed
            what is placed by +.3 dB (tree-mouth), +.2 (pauls-front), +.1 (cathedral-portal), -.1 (kermit, room) and
            +.4 (basilica-front, for reporting only), .15 by +.2, -.2, -.1 and +.9 where it was tried.
        damping: Share of reliable pixels under the Gaussian below which the displacement fades out; set by hand.
        max_displacement: A larger displacement is a wrong one; set by hand.
        min_texture: Local variance of the target's luma, in 0..1, below which a displacement says nothing; set by
            hand.
        min_correlation: Normalized cross-correlation of target and displaced reference, below which they show
            something else. .8 was .02 to .04 dB better than .6 on castle-front, cathedral-portal and the demo.
        min_side: Shortest side of a region that is registered, pixels: optical flow works on patches of 8.
        warp: How the reference is sampled.
    """

    reach: float = 0.06
    damping: float = 0.02
    max_displacement: float = 0.05
    min_texture: float = 1e-3
    min_correlation: float = 0.8
    min_side: int = 48
    warp: WarpSettings = WarpSettings()


def register_around_hole(
    region: Region, image: Pixels, warp: Warp, settings: RimRegistrationSettings = RimRegistrationSettings()
) -> Warp:
    """Displace a warp so that the reference meets the target around the hole.

    Args:
        region: The part of the target.
        image: The reference, [H, W, 3] uint8 sRGB.
        warp: From the canvas to the reference.
        settings: Which displacements are believed.

    Returns:
        The displaced warp; the same one where the region is too small.
    """
    if min(region.size) < settings.min_side:
        return warp
    colors, valid = remap_prefiltered(image, *warp.maps(*region.grid()), settings.warp)
    displacement = _estimate_displacement(region, to_gray(colors), valid, settings)  # [h, w, 2], working scale
    width, height = region.size
    full_width, full_height = region.full_size
    scale = np.array([full_width / width, full_height / height], np.float32)

    def maps(columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x, y = (values.astype(np.float32) for values in region.to_working(columns, rows))
        shift = cv2.remap(displacement, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) * scale
        return warp.maps(columns + shift[..., 0], rows + shift[..., 1])

    return replace(warp, maps=maps)


def _estimate_displacement(
    region: Region, reference: np.ndarray, valid: np.ndarray, settings: RimRegistrationSettings
) -> np.ndarray:
    """Estimate where the target's pixels lie in the warped reference, relative to their own place.

    Args:
        region: The part of the target.
        reference: Its luma, [h, w] float32.
        valid: Where the reference shows anything, bool [h, w].
        settings: Which displacements are believed.

    Returns:
        [h, w, 2] float32, pixels of the working scale; 0 far from every reliable place.
    """
    hole = region.hole
    known = ~hole & valid
    if not known.any():
        return np.zeros((*hole.shape, 2), np.float32)
    target = to_gray(region.crop_rescaled(region.canvas))
    gain = float(target[known].std()) / max(float(reference[known].std()), 1e-3)
    reference = (reference - reference[known].mean()) * np.float32(gain) + target[known].mean()
    shown = np.where(known, target, reference)  # what the target shows in the hole is not used
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = estimator.calc(to_uint8(shown), to_uint8(reference), None)  # [h, w, 2]
    height, width = hole.shape
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    displaced = cv2.remap(
        reference, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    side = max(cv2.boundingRect(hole.astype(np.uint8))[2:])
    reliable = (
        known
        & (local_variance(shown) > settings.min_texture)
        & (ncc(shown, displaced) > settings.min_correlation)
        & (np.linalg.norm(flow, axis=-1) < settings.max_displacement * side)
    )
    weight = reliable.astype(np.float32)
    sigma = max(2.0, settings.reach * side)
    share = cv2.GaussianBlur(weight, (0, 0), sigma) + np.float32(settings.damping)
    return np.asarray(cv2.GaussianBlur(flow * weight[..., None], (0, 0), sigma) / share[..., None])
