"""A reference warped into the target's view and brought to its colors, with what tells how well it fits there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from realfill.compositing.color_transfer import (
    ColorTransferSettings,
    ColorTransform,
    distance_to_hole,
    fit_color_transform,
    match_color_statistics,
)
from realfill.compositing.rim_registration import RimRegistrationSettings, register_around_hole
from realfill.compositing.sharpness_matching import BandGains, SharpnessSettings, estimate_band_gains
from realfill.compositing.surface_breaks import detect_breaks
from realfill.core.failures import require_finite, skip_failing
from realfill.geometry.warp import Warp, WarpSettings, relative_stretch, remap_prefiltered, sample_prefiltered
from realfill.imaging.ncc import ncc
from realfill.imaging.ops import (
    Pixels,
    distance_transform,
    fill_from_nearest,
    local_variance,
    masked_blur,
    to_float,
    to_gray,
)
from realfill.imaging.region import Region
from realfill.photo_io.color_management import read_rgb
from realfill.photo_io.photo_cache import ReadRgb


@dataclass(frozen=True)
class WarpedReferenceSettings:
    """When a warped reference is similar enough to the target to be used.

    Distances are in pixels of the working scale, correlations are -1 to 1.

    Attributes:
        min_similarity: Similarity around the hole below which a reference is not used; set by hand.
        min_relative_similarity: The same, as a share of the most similar reference's; set by hand.
        ring: Distances from the hole between which the similarity is measured; set by hand.
        min_texture: Local variance of the target's luma, in 0..1, below which a pixel says nothing about similarity;
            set by hand.
        min_textured_pixels: With fewer such pixels the similarity counts as 0; set by hand.
        min_color_correlation: Correlation of the coarse colors below which an approximately aligned reference shows
            something else; set by hand.
        color_blur: Standard deviation of the Gaussian that makes colors coarse; set by hand.
        min_local_correlation: Least normalized cross-correlation of places that show the same in reference and
            target, so that their sharpness is compared; set by hand.
        rim_blur: Standard deviation of the Gaussian that smooths the difference from the target, before and after it
            is carried into the hole. Measured on 59 views: with 4, 16 and 32 the map is less often in order.
        rim_reach: Distance from the rim at which the difference there counts 1/e. 70 and 150 did alike; without a
            limit a person at the rim lowers the confidence up to the middle of the hole.
        warp: How references are sampled, and how their stretch is measured.
        color: How colors are transferred.
        sharpness: How sharpness is matched.
        registration: How a reference is registered with the target around the hole.
    """

    min_similarity: float = 0.15
    min_relative_similarity: float = 0.5
    ring: tuple[float, float] = (5.0, 100.0)
    min_texture: float = 1e-3
    min_textured_pixels: int = 200
    min_color_correlation: float = 0.2
    color_blur: float = 12.0
    min_local_correlation: float = 0.6
    rim_blur: float = 8.0
    rim_reach: float = 100.0
    warp: WarpSettings = WarpSettings()
    color: ColorTransferSettings = ColorTransferSettings()
    sharpness: SharpnessSettings = SharpnessSettings()
    registration: RimRegistrationSettings = RimRegistrationSettings()


@dataclass(frozen=True)
class WarpedReference:
    """One reference in the target's view and colors, at the region's working scale.

    Attributes:
        path: The reference's file.
        warp: The map from the canvas to the reference.
        color_transform: From the reference's colors to the target's.
        colors: [h, w, 3] float32 RGB in 0..1.
        valid: Where the reference shows anything, bool [h, w].
        visible: Where it shows the scene rather than something that hides it, bool [h, w].
        breaks: Where it has breaks, bool [h, w]; see `surface_breaks`.
        stretch: How much coarser than usual it shows a place, octaves, float32 [h, w]; see `relative_stretch`.
        similarity: Mean normalized cross-correlation with the target around the hole, -1 to 1.
        rim_difference: Distance of its colors from the target's, in 0..1; in the hole, that at the nearest places
            around it; float32 [h, w].
        band_gains: From the sharpness of the reference at full size to the target's.
        full_colors: Its own colors in the target's view at full size, [H, W, 3] in the working space, uint8, or
            uint16 where that is wider than sRGB.
        full_valid: Where it shows anything at full size, bool [H, W].
    """

    path: Path
    warp: Warp
    color_transform: ColorTransform
    colors: np.ndarray
    valid: np.ndarray
    visible: np.ndarray
    breaks: np.ndarray
    stretch: np.ndarray
    similarity: float
    rim_difference: np.ndarray
    band_gains: BandGains
    full_colors: Pixels
    full_valid: np.ndarray


def warp_and_match_color(
    region: Region,
    path: Path,
    warp: Warp,
    settings: WarpedReferenceSettings = WarpedReferenceSettings(),
    read: ReadRgb = read_rgb,
) -> WarpedReference | None:
    """Warp a reference into a region and transfer the target's colors to it.

    Args:
        region: The part of the target.
        path: The reference's file.
        warp: From the canvas to the reference.
        settings: When it is similar enough.
        read: How it is read.

    Returns:
        The warped reference, or None where it shares too little with the target around the hole, or is aligned
        approximately and shows something else there.

    Raises:
        NumericalError: Its colors, or their correlation with the target, are not finite.
    """
    image = read(path, region.profile)
    with skip_failing(f"The registration of {path.name} around the hole"):
        warp = register_around_hole(region, image, warp, settings.registration)
    columns, rows, defined = warp.maps(*region.grid())
    colors, valid = remap_prefiltered(image, columns, rows, defined, settings.warp)
    visible = valid if warp.visible is None else valid & warp.visible
    target = to_float(region.crop_rescaled(region.canvas))  # [h, w, 3] float32
    transform = _match_color(colors, target, visible & ~region.hole, region.hole, warp, settings)
    if transform is None:
        return None
    colors = transform.apply(colors)
    correlation = ncc(to_gray(target), to_gray(colors))  # [h, w]
    require_finite(colors=colors, correlation=correlation)
    deep = read(path, region.profile, np.uint16) if region.profile else image
    full_colors, full_valid = sample_prefiltered(deep, *warp.maps(*region.grid(full=True)), settings.warp)
    return WarpedReference(
        path=path,
        warp=warp,
        color_transform=transform,
        colors=colors,
        valid=valid,
        visible=visible,
        breaks=detect_breaks(image, columns, rows),
        stretch=relative_stretch(columns, rows, valid, settings.warp),
        similarity=similarity_around_hole(correlation, target, visible, region.hole, settings),
        rim_difference=carry_rim_difference(colors, target, visible & ~region.hole, settings),
        band_gains=_match_sharpness(region, to_float(full_colors), full_valid, transform, correlation, settings),
        full_colors=full_colors,
        full_valid=full_valid,
    )


def filter_by_similarity(
    references: Sequence[WarpedReference | None], settings: WarpedReferenceSettings = WarpedReferenceSettings()
) -> list[WarpedReference]:
    """Keep the references that resemble the target around the hole, and not far less than the most similar one."""
    warped = [reference for reference in references if reference is not None]
    best = max((reference.similarity for reference in warped), default=0.0)
    least = max(settings.min_similarity, settings.min_relative_similarity * best)
    return [reference for reference in warped if reference.similarity >= least]


def similarity_around_hole(
    correlation: np.ndarray,
    target: np.ndarray,
    visible: np.ndarray,
    hole: np.ndarray,
    settings: WarpedReferenceSettings = WarpedReferenceSettings(),
) -> float:
    """Average the correlation with the target over the textured pixels around the hole.

    Args:
        correlation: Normalized cross-correlation at every pixel, [H, W] float32.
        target: [H, W, 3] float32 RGB in 0..1.
        visible: Where the reference shows the scene, bool [H, W].
        hole: bool [H, W].
        settings: Ring and texture.

    Returns:
        -1 to 1; 0 where there are too few textured pixels.
    """
    distance = distance_to_hole(hole)
    nearest, farthest = settings.ring
    textured = local_variance(to_gray(target)) > settings.min_texture
    compared = visible & (distance > nearest) & (distance < farthest) & textured
    if compared.sum() < settings.min_textured_pixels:
        return 0.0
    return float(correlation[compared].mean())


def carry_rim_difference(
    reference: np.ndarray,
    target: np.ndarray,
    shared: np.ndarray,
    settings: WarpedReferenceSettings = WarpedReferenceSettings(),
) -> np.ndarray:
    """Carry how far two pictures differ where they share the scene to all other places.

    The difference at the nearest shared place counts less the farther that is; what is carried to all of them on
    average takes its place.

    Args:
        reference: [H, W, 3] float32 RGB in 0..1.
        target: [H, W, 3] float32 RGB in 0..1.
        shared: Where both show the scene, bool [H, W].
        settings: How smoothly and how far it is carried.

    Returns:
        Distance of the colors, [H, W] float32; 0 if nothing is shared.
    """
    blurred = masked_blur(np.abs(reference - target), shared, settings.rim_blur)  # [H, W, 3]
    nearest = fill_from_nearest(np.linalg.norm(blurred, axis=-1), shared)  # [H, W]
    difference = cv2.GaussianBlur(nearest, (0, 0), settings.rim_blur)
    if not shared.any() or shared.all():
        return np.asarray(difference, np.float32)
    near = np.exp(-distance_transform(shared) / settings.rim_reach)
    return np.asarray(near * difference + (1 - near) * difference[~shared].mean(), np.float32)


def coarse_color_correlation(reference: np.ndarray, target: np.ndarray, shared: np.ndarray, sigma: float) -> float:
    """Correlate the blurred colors of two pictures, all channels together, -1 to 1.

    Args:
        reference: [H, W, 3] float32 RGB.
        target: [H, W, 3] float32 RGB.
        shared: Which pixels are compared, bool [H, W]; the others do not enter the blur.
        sigma: Standard deviation of the blur, pixels.
    """
    weight = shared.astype(np.float32)[..., None]
    total = np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma)[shared], 1e-3)[:, None]  # [N, 1]
    deviations = []
    for image in (reference, target):
        coarse = cv2.GaussianBlur(image * weight, (0, 0), sigma)[shared]  # [N, 3]
        coarse /= total
        deviations.append(coarse - coarse.mean(axis=0))
    a, b = deviations
    return float((a * b).sum() / max(np.sqrt((a**2).sum() * (b**2).sum()), 1e-9))


def _match_color(
    colors: np.ndarray,
    target: np.ndarray,
    shared: np.ndarray,
    hole: np.ndarray,
    warp: Warp,
    settings: WarpedReferenceSettings,
) -> ColorTransform | None:
    """Estimate the color transform, from pixels where they are aligned, else from color statistics.

    None where too little is shared, or an approximately aligned reference shows something else.
    """
    if not warp.approximate:
        return fit_color_transform(colors, target, shared, hole, settings.color)
    transform = match_color_statistics(colors, target, shared, hole, settings.color)
    if transform is None:
        return None
    correlation = coarse_color_correlation(transform.apply(colors), target, shared, settings.color_blur)
    return None if correlation < settings.min_color_correlation else transform


def _match_sharpness(
    region: Region,
    colors: np.ndarray,
    valid: np.ndarray,
    transform: ColorTransform,
    correlation: np.ndarray,
    settings: WarpedReferenceSettings,
) -> BandGains:
    """Estimate the band gains of a reference [H, W, 3] float32, full size, where it shows the same as the target."""
    same = (correlation > settings.min_local_correlation).astype(np.float32)
    same = cv2.resize(same, colors.shape[1::-1]) > 0.5
    shared = valid & same & (region.crop(region.mask) == 0)
    return estimate_band_gains(
        transform.apply(colors), to_float(region.crop(region.canvas)), shared, settings.sharpness
    )
