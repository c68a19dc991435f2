"""Placed references as the starting point of sampling: the pixels that "guided" candidates are generated around."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from realfill.album.canvas import read_model_window
from realfill.album.layout import Album
from realfill.album.placement import read_proposal
from realfill.album.store import read_window
from realfill.imaging.ncc import ncc
from realfill.imaging.ops import to_gray


@dataclass(frozen=True)
class GuideSettings:
    """How gaps between placed pixels are closed, and how detail is restored.

    Attributes:
        inpaint_radius: Radius of OpenCV's inpainting after Telea, pixels of the model's window. Set by hand.
        detail_sigma: Sigma of the Gaussian that smooths the weight of restored detail, pixels of the model's window.
            Set by hand.
    """

    inpaint_radius: float = 3
    detail_sigma: float = 1.0


@dataclass(frozen=True)
class Guide:
    """What sampling starts from and what it keeps, in the window at the base model's resolution R.

    Attributes:
        init_image: [R, R, 3] uint8 sRGB: the window with placed reference pixels; the rest of its hole is inpainted.
        placed_mask: [R, R] bool, True = a reference pixel is placed there.
        keep_weight: [R, R] float32, 0 to 1: how far sampling is held to `init_image`.
        strength: Share of the noise that sampling starts with, 0 to 1, as in diffusers.
    """

    init_image: np.ndarray
    placed_mask: np.ndarray
    keep_weight: np.ndarray
    strength: float


def read_guide(
    album: Album, resolution: int, strength: float, settings: GuideSettings = GuideSettings()
) -> Guide | None:
    """Make the guide from what `align` placed.

    Placed pixels are shown around the hole as well, so that blending can compare their colors with the photo's there.

    Args:
        album: The album, after `masks` and `align`.
        resolution: Side of the base model's window, pixels.
        strength: Share of the noise that sampling starts with, 0 to 1.
        settings: How gaps are closed.

    Returns:
        The guide; None where `align` placed nothing.

    Raises:
        StageError: `masks` or `align` has not run.
    """
    proposal = read_proposal(album)
    if proposal is None:
        return None
    window = read_window(album)
    image, mask = read_model_window(album, resolution)
    proposal = proposal.crop(window.left, window.top, window.side, window.side).resize(resolution, resolution)
    placed_mask = proposal.confidence > 0
    composite = np.where(placed_mask[..., None], proposal.colors, image)
    gaps = (mask & ~placed_mask).astype(np.uint8)
    if gaps.any():
        composite = cv2.inpaint(composite, gaps, settings.inpaint_radius, cv2.INPAINT_TELEA)
    return Guide(composite, placed_mask, proposal.weight("guided") * mask, strength)


def restore_detail(
    candidate: np.ndarray,
    guide: Guide,
    decoded_init: np.ndarray,
    mask: np.ndarray,
    settings: GuideSettings = GuideSettings(),
) -> np.ndarray:
    """Add the detail of placed pixels that the autoencoder loses, where the candidate still shows the same content.

    The detail is weighted by the normalized cross-correlation of the candidate with the decoded initial image.

    Args:
        candidate: [R, R, 3] uint8 sRGB.
        guide: The placed pixels.
        decoded_init: [R, R, 3] uint8 sRGB: the guide's initial image, encoded and decoded.
        mask: [R, R] bool, True = fill.
        settings: How the weight is smoothed.

    Returns:
        [R, R, 3] uint8 sRGB.
    """
    lost = guide.init_image.astype(np.float32) - decoded_init  # [R, R, 3]
    similarity = ncc(to_gray(candidate), to_gray(decoded_init))  # [R, R] float32, 0 to 1
    weight = cv2.GaussianBlur(similarity * (mask & guide.placed_mask), (0, 0), settings.detail_sigma)[..., None]
    return np.rint((candidate + weight * lost).clip(0, 255)).astype(np.uint8)
