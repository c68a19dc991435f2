"""Warped references that tests compose by hand."""

from pathlib import Path

import numpy as np

from realfill.compositing.color_transfer import ColorTransform
from realfill.compositing.sharpness_matching import BandGains
from realfill.compositing.warped_reference import WarpedReference
from realfill.geometry.warp import Warp
from realfill.imaging.ops import to_uint8

IDENTITY = np.vstack([np.zeros((1, 3)), np.eye(3), np.zeros((6, 3))])


def identity_maps(columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return columns, rows, np.ones(rows.shape, bool)


def warped_reference(
    colors: np.ndarray,
    visible: np.ndarray | None = None,
    valid: np.ndarray | None = None,
    breaks: np.ndarray | None = None,
    *,
    approximate: bool = False,
    parallax: float = 0.1,
    similarity: float = 0.9,
    rim_difference: float = 0.0,
    path: Path = Path("reference.png"),
) -> WarpedReference:
    """A reference [h, w, 3] float32 that lies where the target does and needs no change of color."""
    everywhere = np.ones(colors.shape[:2], bool)
    valid = everywhere if valid is None else valid
    return WarpedReference(
        path=path,
        warp=Warp(identity_maps, parallax, approximate=approximate),
        color_transform=ColorTransform(IDENTITY, 0.02),
        colors=colors,
        valid=valid,
        visible=valid if visible is None else visible,
        breaks=np.zeros_like(everywhere) if breaks is None else breaks,
        stretch=np.zeros(colors.shape[:2], np.float32),
        similarity=similarity,
        rim_difference=np.full(colors.shape[:2], rim_difference, np.float32),
        band_gains=BandGains((1.0, 2.0, 4.0), (1.0, 1.0, 1.0)),
        full_colors=to_uint8(colors),
        full_valid=valid,
    )
