"""Scores of candidates: how authentic each is, by correspondences with the references (RealFill, section 4.3).

Beyond the paper, matches are verified by the geometry of the known part, and errors of the colors count as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from realfill.album.placement import CERTAIN, Proposal
from realfill.core.failures import skip_failing
from realfill.core.parallel import map_parallel
from realfill.matching.base_matcher import Matcher
from realfill.matching.correspondences import Matches
from realfill.matching.two_view import (
    TwoViewGeometry,
    TwoViewSettings,
    estimate_two_view_geometry,
    verify_matches,
)
from realfill.selection.fill_errors import (
    ReferenceErrorSettings,
    measure_placement_error,
    measure_reference_error,
    measure_rim_error,
    warp_reference,
)
from realfill.selection.hole_view import HoleView


@dataclass(frozen=True)
class ScoreSettings:
    """What counts in a candidate's score, and how much.

    Attributes:
        rim_width: Keypoints this near to the hole's rim belong to neither side, since their descriptors see both,
            pixels of the view. Set by hand.
        match_scale: Number of matches that weigh like none: n matches are worth log(1 + n / match_scale), so that the
            few that occur by chance weigh little. Set by hand.
        error_scale: Error that is worth one unit of the score, 8-bit levels. Set by hand: twice as many matches are
            worth .7 at most, 14 levels of error.
        reference_error: Settings of the comparison with warped references.
        two_view: Settings of the geometry by which matches are verified.
    """

    rim_width: int = 8
    match_scale: float = 16
    error_scale: float = 20
    reference_error: ReferenceErrorSettings = ReferenceErrorSettings()
    two_view: TwoViewSettings = TwoViewSettings()

    @property
    def rim_kernel(self) -> np.ndarray:
        """Square that moves the rim by its width."""
        return np.ones((2 * self.rim_width + 1,) * 2)


@dataclass(frozen=True)
class PreparedReference:
    """A reference at about the scale of the view.

    Attributes:
        name: File name.
        image: [h, w, 3] uint8 sRGB.
        features: What the matcher extracted from it; None where that failed.
        geometry: From the view to the reference, estimated from the known part; None where that does not suffice.
        warped: The reference in the view, as `warp_reference` returns it; None where there is no geometry.
    """

    name: str
    image: np.ndarray
    features: Any
    geometry: TwoViewGeometry | None
    warped: np.ndarray | None


@dataclass(frozen=True)
class Evidence:
    """Correspondences of one candidate with one reference.

    Attributes:
        matches: Those whose point in the view lies in the hole.
        verified: Which of them agree with the geometry of the two views, [N] bool.
    """

    matches: Matches
    verified: np.ndarray


@dataclass(frozen=True)
class Judgment:
    """How authentic one candidate is.

    Attributes:
        evidence: One per reference.
        rim_error: Error at the rim of the hole, 8-bit levels.
        reference_error: Error against what was placed if any of that is certain, else against the warped references,
            8-bit levels.
        approximate: Whether the references were placed by approximate alignment, none of it certain: the scene may
            have moved, so that correct matches contradict the geometry of the known part.
        settings: Weights of the score.
    """

    evidence: tuple[Evidence, ...]
    rim_error: float
    reference_error: float
    approximate: bool = False
    settings: ScoreSettings = ScoreSettings()

    @property
    def inliers(self) -> int:
        """Number of verified matches in the hole, over all references."""
        return sum(int(evidence.verified.sum()) for evidence in self.evidence)

    @property
    def matches(self) -> int:
        """Number of matches in the hole, verified or not, over all references."""
        return sum(len(evidence.matches) for evidence in self.evidence)

    @property
    def best_reference(self) -> int:
        """Index of the reference with most verified matches."""
        return int(np.argmax([evidence.verified.sum() for evidence in self.evidence]))

    @property
    def score(self) -> float:
        """log(1 + n / match_scale) - (rim_error + reference_error) / error_scale; the higher, the more authentic.

        n is the number of verified matches, or, as in the paper, of all matches if the alignment is approximate.
        Matches decide between fills that have any; the errors decide between fills that have none.
        """
        counted = self.matches if self.approximate else self.inliers
        error = (self.rim_error + self.reference_error) / self.settings.error_scale
        return math.log1p(counted / self.settings.match_scale) - error


def prepare_references(
    view: HoleView,
    images: Mapping[str, np.ndarray],
    matcher: Matcher[Any],
    settings: ScoreSettings = ScoreSettings(),
) -> list[PreparedReference]:
    """Prepare references for judging candidates by them.

    The geometry is estimated from the known part alone. With a candidate's own matches it would follow a fill that is
    consistent in itself but in the wrong place.

    Args:
        view: The view of the hole.
        images: References by file name, [h, w, 3] uint8 sRGB, scaled by `scale_reference`.
        matcher: The matcher.
        settings: Width of the rim, and thresholds of geometry and warp.
    """
    view_features = _extract_features(view.known, "the known part", matcher)
    unknown = cv2.dilate(view.hole.astype(np.uint8), settings.rim_kernel) > 0

    def prepare(name: str) -> PreparedReference:
        image = images[name]
        features, geometry, warped = _extract_features(image, name, matcher), None, None
        with skip_failing(f"The geometry of {name} in the ranking"):
            matches = _match(matcher, view_features, features)
            geometry = estimate_two_view_geometry(matches[~matches.start_in(unknown)], settings.two_view)
            if geometry is not None:
                warped = warp_reference(image, geometry.homography, view.known, unknown, settings.reference_error)
        return PreparedReference(name, image, features, geometry, warped)

    return map_parallel(prepare, images)


def judge_candidate(
    image: np.ndarray,
    view: HoleView,
    references: Sequence[PreparedReference],
    matcher: Matcher[Any],
    proposal: Proposal | None = None,
    settings: ScoreSettings = ScoreSettings(),
) -> Judgment:
    """Compare a completed view with the references, and with what was placed if any of that is certain.

    Args:
        image: Completed view, [h, w, 3] uint8 sRGB.
        view: The view of the hole.
        references: As `prepare_references` returned them.
        matcher: The matcher.
        proposal: What was placed, as `HoleView.crop_proposal` returns it.
        settings: Width of the rim, thresholds, and weights of the score.
    """
    features = _extract_features(image, "a candidate", matcher)
    inside = cv2.erode(view.hole.astype(np.uint8), settings.rim_kernel) > 0
    evidence = tuple(_collect_evidence(features, reference, matcher, inside, settings) for reference in references)
    rim_error = measure_rim_error(image, view.hole)
    placed = None if proposal is None else (proposal.colors[view.slices], proposal.confidence[view.slices])
    if placed is not None and placed[1].max() >= CERTAIN:
        placement_error = measure_placement_error(image, view.hole, *placed)
        return Judgment(evidence, rim_error, placement_error, approximate=False, settings=settings)
    warped = [reference.warped for reference in references if reference.warped is not None]
    reference_error = measure_reference_error(image, view.hole, warped, settings.reference_error)
    return Judgment(evidence, rim_error, reference_error, approximate=placed is not None, settings=settings)


def _extract_features(image: np.ndarray, name: str, matcher: Matcher[Any]) -> Any:
    """Extract what the matcher needs to know of an image [h, w, 3] uint8; None where that fails."""
    with skip_failing(f"{matcher.name} on {name} in the ranking"):
        return matcher.extract_features(image)
    return None


def _match(matcher: Matcher[Any], features0: Any, features1: Any) -> Matches:
    """Match two photos by their features; no matches where one of them has none."""
    if features0 is None or features1 is None:
        return Matches.empty()
    return matcher.match(features0, features1)


def _collect_evidence(
    features: Any, reference: PreparedReference, matcher: Matcher[Any], inside: np.ndarray, settings: ScoreSettings
) -> Evidence:
    """Match a candidate with a reference, and keep the matches whose point in the view is in a region [h, w] bool."""
    with skip_failing(f"The matching of a candidate with {reference.name}"):
        matches, geometry = _match(matcher, features, reference.features), reference.geometry
        verified = verify_matches(matches, settings.two_view) if geometry is None else geometry.inlier_mask(matches)
        kept = matches.start_in(inside)
        return Evidence(matches[kept], verified[kept])
    return Evidence(Matches.empty(), np.zeros(0, bool))
