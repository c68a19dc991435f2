"""Register matches to a fraction of a cell (Lucas and Kanade, IJCAI 1981)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from realfill.compositing.patch_features import PatchFeatureSettings, get_structure
from realfill.compositing.patch_lattice import PatchLattice


@dataclass(frozen=True)
class PatchRegistrationSettings:
    """Regularization of `register_patches`.

    Attributes:
        rounds: How often each patch adds the equations of its coherent neighbors to its own, so that patches up to
            this many steps away move alike. Set by hand.
        damping: Added to the diagonal of the normal equations, so that patches with little structure stay. Set by
            hand.
        max_shift: Largest shift along an axis, cells. Set by hand.
    """

    rounds: int = 2
    damping: float = 0.02
    max_shift: float = 0.75


def register_patches(
    features: np.ndarray,
    match_features: np.ndarray,
    coherent: np.ndarray,
    lattice: PatchLattice,
    feature_settings: PatchFeatureSettings = PatchFeatureSettings(),
    settings: PatchRegistrationSettings = PatchRegistrationSettings(),
) -> np.ndarray:
    """Estimate how far from its match each patch lies, by one Gauss-Newton step.

    Args:
        features: Of the patches of the fill, [N, F].
        match_features: Of their matches, [N, F].
        coherent: Whether the matches of a patch and of each neighbor lie as the patches do, [N, 4] bool.
        lattice: The patches.
        feature_settings: Size of the patches.
        settings: Regularization.

    Returns:
        Shifts along rows and columns, [N, 2], cells.
    """
    pixels = feature_settings.width**2
    patches, matches = (get_structure(values, feature_settings) for values in (features, match_features))
    gradients = np.stack(np.gradient(matches, axis=(1, 2)), axis=-1).reshape(-1, pixels, 2)
    residuals = (patches - matches).reshape(-1, pixels, 1)
    equations = gradients.transpose(0, 2, 1) @ np.dstack([gradients, residuals])  # [N, 2, 3]
    for _ in range(settings.rounds):
        equations = equations + (equations[lattice.neighbors] * coherent[..., None, None]).sum(axis=1)
    normal, right = equations[..., :2], equations[..., 2:]
    shifts = np.linalg.solve(normal + settings.damping * np.eye(2), right)[..., 0]
    return np.asarray(shifts.clip(-settings.max_shift, settings.max_shift))
