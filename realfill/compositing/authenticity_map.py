"""Classify every filled pixel by how far the references back it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from realfill.album.placement import CERTAIN, LIKELY, Proposal
from realfill.album.schemas import GENERATED_KINDS, AuthenticityClass, Window
from realfill.imaging.ops import Pixels


@dataclass(frozen=True)
class AuthenticitySettings:
    """What counts as backed by a reference.

    Attributes:
        match_radius: Distance around a verified match within which pixels are confirmed, as a share of the window's
            side; set by hand.
        min_weight: Weight of the proposal above which a pixel shows it; set by hand.
        confirmed_score: How much a confirmed pixel counts in the photo's score, where a reference pixel counts 1; set
            by hand.
    """

    match_radius: float = 0.02
    min_weight: float = 0.5
    confirmed_score: float = 0.5


def build_authenticity_map(
    mask: Pixels,
    proposal: Proposal | None,
    kind: str,
    matches: np.ndarray,
    window: Window,
    settings: AuthenticitySettings = AuthenticitySettings(),
) -> Pixels:
    """Classify the filled pixels.

    A reference pixel shows the proposal where that is certain, a confirmed one where it is likely. What the model
    generated is confirmed near a verified match with a reference; matches of pasted pixels with the photo that they
    were pasted from confirm nothing. All others are generated only.

    Args:
        mask: [H, W] uint8, 255 = fill.
        proposal: The placed references, if there are any.
        kind: Kind of the candidate that fills the hole.
        matches: Verified matches of the candidate, columns and rows of the canvas, [N, 2].
        window: Its side scales `match_radius`.
        settings: What counts as backed by a reference.

    Returns:
        [H, W] uint8: 0 outside the hole, else an `AuthenticityClass`.
    """
    classes = np.where(mask > 0, np.uint8(AuthenticityClass.GENERATED_ONLY), np.uint8(0))
    if kind in GENERATED_KINDS:
        near = np.zeros_like(classes)
        for x, y in np.rint(matches).astype(int).tolist():
            cv2.circle(near, (x, y), max(1, round(settings.match_radius * window.side)), 255, -1)
        classes[(near > 0) & (mask > 0)] = AuthenticityClass.CONFIRMED
    if proposal is not None:
        classes[_find_shown(mask, proposal, kind, LIKELY, settings)] = AuthenticityClass.CONFIRMED
        classes[find_reference_pixels(mask, proposal, kind, settings)] = AuthenticityClass.REFERENCE_PIXEL
    return classes


def find_reference_pixels(
    mask: Pixels, proposal: Proposal, kind: str, settings: AuthenticitySettings = AuthenticitySettings()
) -> np.ndarray:
    """Find the pixels of the hole, [H, W] bool, in which a candidate of a kind shows what was placed for certain."""
    return _find_shown(mask, proposal, kind, CERTAIN, settings)


def _find_shown(
    mask: Pixels, proposal: Proposal, kind: str, min_confidence: int, settings: AuthenticitySettings
) -> np.ndarray:
    """Find the pixels of the hole in which a candidate shows what was placed with some confidence, [H, W] bool."""
    height, width = mask.shape
    whole = proposal.crop(0, 0, width, height)
    shown = (whole.weight(kind) > settings.min_weight) & (whole.confidence >= min_confidence)
    return np.asarray(shown & (mask > 0))


def compute_authenticity_shares(
    classes: Pixels, settings: AuthenticitySettings = AuthenticitySettings()
) -> dict[str, float]:
    """Compute the share of each class in the hole, and the photo's score, the weighted sum of the shares.

    Args:
        classes: See `build_authenticity_map`.
        settings: The weight of confirmed pixels in the score.

    Returns:
        The shares by the keys of the classes, and "score"; 0 to 1, rounded to 4 decimals.
    """
    hole = max(1, int((classes > 0).sum()))
    shares = {entry: round(float((classes == entry).sum() / hole), 4) for entry in AuthenticityClass}
    confirmed = settings.confirmed_score * shares[AuthenticityClass.CONFIRMED]
    score = shares[AuthenticityClass.REFERENCE_PIXEL] + confirmed
    return {entry.key: share for entry, share in shares.items()} | {"score": round(score, 4)}
