"""Search the photos for patches like those of the fill that also lie beside each other as those do.

Candidates are the most similar patches, and continuations of the neighbors' matches (Ashikhmin, "Synthesizing Natural
Textures", I3D 2001); among them coordinate descent on a checkerboard minimizes the distance of the features plus a
cost for every incoherent pair of neighbors.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from realfill.compositing.detail_sources import DetailSources, to_smooth_ycrcb
from realfill.compositing.patch_features import PatchFeatureSettings, compute_patch_features
from realfill.compositing.patch_lattice import NEIGHBOR_STEPS, PatchLattice
from realfill.core.seeding import numpy_generator
from realfill.imaging.ops import Pixels, resize


@dataclass(frozen=True)
class PatchSearchSettings:
    """Extent of the search, and its cost.

    Attributes:
        stride: From one patch to the next, cells. Set by hand.
        max_examples: Most patches that are searched, drawn at random over all photos. Set by hand.
        components: Principal components that the nearest patches are searched by. Set by hand.
        nearest: Most similar patches that are candidates of each patch. Set by hand.
        tolerance: The k-d tree's `eps`: its nearest patches are at most 1 + this times as far as the true ones. Set
            by hand.
        sweeps: How often every patch's match is chosen anew. Set by hand.
        incoherence_cost: Cost of every neighbor whose match is not coherent, in squared distances of the features.
            Set by hand.
        min_known: Share of a cell that the canvas must show; less than 1 for rounding only.
        features: Size of the patches, and weights of their features.
    """

    stride: int = 2
    max_examples: int = 60_000
    components: int = 12
    nearest: int = 4
    tolerance: float = 0.5
    sweeps: int = 8
    incoherence_cost: float = 0.03
    min_known: float = 0.999
    features: PatchFeatureSettings = PatchFeatureSettings()

    @property
    def margin(self) -> int:
        """Cells around the center of a patch that a photo must show: its features and its detail lie within them."""
        return self.features.radius + self.stride + 1


@dataclass(frozen=True)
class PatchAtlas:
    """All photos at one pixel per cell, one below the other.

    Attributes:
        cells: [h, w, 3] uint8: smoothed Y, Cr, Cb.
        usable: Where a patch may be centered, [h, w] bool.
        first_rows: First row of each photo, and the row after the last photo.
        features: Size of the patches, and weights of their features.
    """

    cells: Pixels
    usable: Pixels
    first_rows: list[int]
    features: PatchFeatureSettings = PatchFeatureSettings()

    def photo_numbers(self, centers: np.ndarray) -> np.ndarray:
        """Numbers of the photos in which patches centered at [N, 2] lie, [N]."""
        return np.searchsorted(self.first_rows, centers[:, 0], side="right") - 1

    def describe(self, centers: np.ndarray) -> np.ndarray:
        """Features [N, F] of patches centered at [N, 2]."""
        return compute_patch_features(self.cells, centers, self.features)

    def draw_examples(self, most: int) -> np.ndarray:
        """Draw the centers of up to `most` usable patches, [M, 2]; always the same."""
        centers = np.flatnonzero(self.usable)
        drawn = np.unique(centers[numpy_generator("examples").integers(0, len(centers), most)])
        return np.stack(np.divmod(drawn, self.usable.shape[1]), axis=1)

    def squared_distances(self, features: np.ndarray, centers: np.ndarray) -> np.ndarray:
        """Squared distances of features [N, F] from those of patches centered at [N, 2]; infinite if unusable."""
        radius, limit = self.features.radius, np.array(self.usable.shape) - 1
        inside = centers.clip(radius, limit - radius)
        usable = self.usable[tuple(inside.T)] & (inside == centers).all(axis=1)
        distances = ((features - self.describe(inside)) ** 2).sum(axis=1)
        return np.where(usable, distances, np.inf)


def build_patch_atlas(sources: DetailSources, settings: PatchSearchSettings = PatchSearchSettings()) -> PatchAtlas:
    """Read all photos into an atlas.

    Raises:
        PhotoError: A reference cannot be read.
    """
    margin, cells, usable = settings.margin, list[Pixels](), list[Pixels]()
    for number in range(sources.count):
        photo = sources.downsample(sources.read(number))
        inside = np.zeros(photo.shape[:2], bool)
        inside[margin:-margin, margin:-margin] = True
        if number == 0:
            known = resize((~sources.unknown).astype(np.float32), photo.shape[1], photo.shape[0]) > settings.min_known
            inside &= cv2.erode(known.astype(np.uint8), np.ones((2 * margin + 1, 2 * margin + 1))) > 0
        cells.append(to_smooth_ycrcb(photo, sources.settings) if photo.size else photo)
        usable.append(inside)
    width = max(photo.shape[1] for photo in cells)
    return PatchAtlas(
        np.concatenate([np.pad(c, ((0, 0), (0, width - c.shape[1]), (0, 0))) for c in cells]),
        np.concatenate([np.pad(u, ((0, 0), (0, width - u.shape[1]))) for u in usable]),
        np.cumsum([0] + [len(photo) for photo in cells]).tolist(),
        settings.features,
    )


def search_coherent_matches(
    features: np.ndarray,
    lattice: PatchLattice,
    atlas: PatchAtlas,
    settings: PatchSearchSettings = PatchSearchSettings(),
) -> np.ndarray:
    """Search a match for every patch of the lattice.

    Args:
        features: Features of the patches, [N, F].
        lattice: The patches.
        atlas: The photos; at least one patch of them is usable.
        settings: Extent of the search, and its cost.

    Returns:
        Centers of the matches in the atlas, [N, 2].
    """
    examples = atlas.draw_examples(settings.max_examples)
    nearest = [examples[index] for index in _search_nearest(features, atlas.describe(examples), settings)]
    matches = nearest[0].copy()
    for parity in settings.sweeps * [0, 1]:
        patches = np.flatnonzero(lattice.positions.sum(axis=1) % 2 == parity)
        has_neighbor = lattice.neighbors[patches] >= 0  # [n, 4]
        continued = lattice.extrapolate_matches(matches, patches)  # [n, 4, 2]
        choices = [matches[patches], *(option[patches] for option in nearest)]
        choices += [
            np.where(has_neighbor[:, k, None], continued[:, k], matches[patches]) for k in range(len(NEIGHBOR_STEPS))
        ]
        costs = []
        for choice in choices:
            incoherent = ((continued != choice[:, None]).any(axis=2) & has_neighbor).sum(axis=1)
            costs.append(atlas.squared_distances(features[patches], choice) + settings.incoherence_cost * incoherent)
        matches[patches] = np.stack(choices)[np.argmin(costs, axis=0), np.arange(len(patches))]
    return matches


def _search_nearest(features: np.ndarray, examples: np.ndarray, settings: PatchSearchSettings) -> np.ndarray:
    """Search the approximately nearest examples [M, F] of features [N, F] by principal components; indices [K, N]."""
    center = examples.mean(axis=0)
    axes = np.linalg.eigh((examples - center).T @ (examples - center))[1][:, -settings.components :]
    tree = cKDTree((examples - center) @ axes)
    ranks = [*range(1, min(settings.nearest, len(examples)) + 1)]
    nearest: np.ndarray = tree.query((features - center) @ axes, k=ranks, eps=settings.tolerance)[1]
    return nearest.T
