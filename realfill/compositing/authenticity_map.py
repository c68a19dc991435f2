"""How far every filled pixel is backed by the references."""

from __future__ import annotations

import cv2
import numpy as np

from realfill.album.placement import CERTAIN, Proposal
from realfill.album.schemas import Window
from realfill.imaging.ops import Pixels

REFERENCE, CONFIRMED, GENERATED = 255, 170, 85
NAMES = {REFERENCE: "reference_pixel", CONFIRMED: "confirmed", GENERATED: "generated_only"}
_REACH = 0.02  # of the window's side: what a verified match confirms around it


def authenticity_map(
    mask: Pixels, proposal: Proposal | None, kind: str, matches: np.ndarray, window: Window
) -> Pixels:
    """Map the filled pixels.

    A pixel is a reference pixel where the candidate shows what was placed and that is certain; confirmed where a
    verified match with a reference lies near; else it is generated only.

    Args:
        mask: [H, W] uint8, 255 = fill.
        proposal: What was placed.
        kind: Kind of the candidate.
        matches: Verified matches of the candidate, columns and rows of the canvas, [N, 2].
        window: Its side says what is near.

    Returns:
        [H, W] uint8: 0 outside the hole, else REFERENCE, CONFIRMED or GENERATED.
    """
    kinds = np.where(mask > 0, np.uint8(GENERATED), np.uint8(0))
    near = np.zeros_like(kinds)
    for x, y in np.rint(matches).astype(int).tolist():
        cv2.circle(near, (x, y), max(1, round(_REACH * window.side)), 255, -1)
    kinds[(near > 0) & (mask > 0)] = CONFIRMED
    if proposal is not None:
        height, width = mask.shape
        here = proposal.over(0, 0, width, height)
        sure = (here.weight(kind) > 0.5) & (here.confidence >= CERTAIN)
        kinds[sure & (mask > 0)] = REFERENCE
    return kinds


def authenticity_shares(kinds: Pixels) -> dict[str, float]:
    """Share of each kind in the hole, 0 to 1, and the photo's score: reference pixels and half of the confirmed."""
    hole = max(1, int((kinds > 0).sum()))
    found = {name: round(float((kinds == value).sum() / hole), 4) for value, name in NAMES.items()}
    return found | {"score": round(found["reference_pixel"] + found["confirmed"] / 2, 4)}
