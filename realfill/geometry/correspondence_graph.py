"""The input of structure from motion: what is known of the cameras, keypoints, and matched pairs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from realfill.geometry.camera import IntrinsicsPrior
from realfill.matching.correspondences import Matches

_PRIORS, _KEYPOINTS, _PAIRS = "priors.json", "keypoints.npz", "pairs.npz"


@dataclass(frozen=True)
class CorrespondenceGraph:
    """Photos, their keypoints, and which keypoints correspond.

    Attributes:
        priors: One a photo.
        keypoints: By the number of the photo, float32 [N, 2]; the center of the first pixel is at (0.5, 0.5), as in
            COLMAP. Photos without matches are absent.
        pairs: By the numbers (i, j) of two photos, indices of corresponding keypoints, uint32 [M, 2].
    """

    priors: Sequence[IntrinsicsPrior]
    keypoints: Mapping[int, np.ndarray]
    pairs: Mapping[tuple[int, int], np.ndarray]

    @classmethod
    def build(
        cls,
        priors: Sequence[IntrinsicsPrior],
        matches: Mapping[tuple[int, int], Matches],
        scales: Sequence[float],
    ) -> CorrespondenceGraph:
        """Number the points of all matches; points of equal coordinates are one keypoint.

        Args:
            priors: One a photo, at full size.
            matches: Between photos i < j by (i, j), pixels of the full-size photos.
            scales: Size of each photo in the graph / its full size.
        """
        points: dict[int, list[np.ndarray]] = {}
        for (i, j), pairs in matches.items():
            points.setdefault(i, []).append(pairs.points0)
            points.setdefault(j, []).append(pairs.points1)
        keypoints, indices = {}, {}
        for photo, parts in points.items():
            unique, inverse = np.unique(np.concatenate(parts), axis=0, return_inverse=True)
            keypoints[photo] = ((unique + 0.5) * scales[photo]).astype(np.float32)
            ends = np.cumsum([len(part) for part in parts])[:-1]
            indices[photo] = iter(np.split(inverse.reshape(-1), ends))  # one array a pair, in the order of `matches`
        return cls(
            [prior.rescale(scale) for prior, scale in zip(priors, scales, strict=True)],
            keypoints,
            {(i, j): np.stack([next(indices[i]), next(indices[j])], axis=1).astype(np.uint32) for i, j in matches},
        )

    def write(self, folder: Path) -> None:
        """Write the graph's files into a folder."""
        (folder / _PRIORS).write_text(json.dumps([asdict(prior) for prior in self.priors]))
        arrays: dict[str, Any] = {str(photo): points for photo, points in self.keypoints.items()}
        np.savez(folder / _KEYPOINTS, **arrays)
        arrays = {f"{i} {j}": indices for (i, j), indices in self.pairs.items()}
        np.savez(folder / _PAIRS, **arrays)

    @classmethod
    def read(cls, folder: Path) -> CorrespondenceGraph:
        """Read what `write` wrote."""
        priors = [
            IntrinsicsPrior(**{**prior, "center": tuple(prior["center"])})
            for prior in json.loads((folder / _PRIORS).read_text())
        ]
        with np.load(folder / _KEYPOINTS, allow_pickle=False) as arrays:
            keypoints = {int(name): arrays[name] for name in arrays.files}
        with np.load(folder / _PAIRS, allow_pickle=False) as arrays:
            pairs = {(int(name.split()[0]), int(name.split()[1])): arrays[name] for name in arrays.files}
        return cls(priors, keypoints, pairs)
