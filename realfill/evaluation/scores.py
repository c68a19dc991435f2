"""The scores of an evaluation: one per fill, and what follows from them about the ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from realfill.evaluation.metrics import Score


@dataclass(frozen=True)
class RankingSettings:
    """When a ranking can be judged.

    Attributes:
        min_gain: PSNR by which the best candidate has to exceed the candidates' mean, dB; else they count as equal.
            Set by hand: half of the last digit of a score.
        min_candidates: Fewest candidates with a rank correlation: that of two is always 1 or -1.
    """

    min_gain: float = 0.005
    min_candidates: int = 3


@dataclass(frozen=True)
class ScoredFill:
    """One way to fill the hole, and how close it is to the ground truth.

    Attributes:
        name: Unique within the album.
        group: "result", "candidate", "untuned" or "baseline".
        number: The candidate's number; None for the others.
        kind: The candidate's kind, see `Candidate`; empty for the others.
        tuned: Whether a tuned model generated it.
        rank: The candidate's rank, 1 is the best; None for the others.
        rank_score: The ranker's score of the candidate; None for the others.
        score: How close it is to the ground truth.
    """

    name: str
    group: str
    number: int | None
    kind: str
    tuned: bool
    rank: int | None
    rank_score: float | None
    score: Score

    def to_row(self) -> dict[str, Any]:
        """All values in one flat dictionary."""
        row = asdict(self)
        return row | row.pop("score")


@dataclass(frozen=True)
class Ranking:
    """How well the ranker chose, by PSNR.

    Attributes:
        position: Where the best-ranked candidate lies between the candidates' mean (0) and their best (1); None where
            all candidates have the same PSNR.
        spearman: Rank correlation of the ranker's scores with PSNR, -1 to 1; None for fewer than three candidates.
    """

    position: float | None
    spearman: float | None


@dataclass(frozen=True)
class Evaluation:
    """An album's scores.

    Attributes:
        album: The album's name.
        protocol: Version of the protocol; scores of different versions cannot be compared.
        hole: Share of the picture that is scored, 0 to 1.
        fills: Every fill that was scored, the delivered photo first.
        ranking: How well the ranker chose.
        authenticity: For each label of the authenticity map its share of the hole, 0 to 1, and the mean squared error
            of the delivered photo there, squared 8-bit levels; empty where there is no map.
        outside_max_difference: Largest difference between the delivered photo and the target outside the hole and its
            blend band, at native size, 8-bit levels; 0 for lossless formats.
        unavailable_metrics: Metrics that could not be computed, with the reason.
    """

    album: str
    protocol: int
    hole: float
    fills: tuple[ScoredFill, ...]
    ranking: Ranking
    authenticity: dict[str, dict[str, float]]
    outside_max_difference: int
    unavailable_metrics: dict[str, str]

    @property
    def result(self) -> Score:
        """The delivered photo's score."""
        return self.fills[0].score

    @property
    def candidates(self) -> tuple[ScoredFill, ...]:
        """The candidates by number."""
        return self._group("candidate")

    @property
    def oracle(self) -> ScoredFill:
        """The candidate with the highest PSNR."""
        return max(self.candidates, key=lambda fill: fill.score.psnr)

    @property
    def without_geometry(self) -> ScoredFill | None:
        """What would have been delivered without geometry; None where no candidate is from pure noise and tuned."""
        generated = [fill for fill in self.candidates if fill.kind == "noise" and fill.tuned]
        return min(generated, key=lambda fill: fill.rank or 0) if generated else None

    def _group(self, group: str) -> tuple[ScoredFill, ...]:
        return tuple(fill for fill in self.fills if fill.group == group)

    def summary(self) -> dict[str, Score]:
        """The most important scores, by a caption."""
        scores = {
            "result": self.result,
            f"best candidate (#{self.oracle.number})": self.oracle.score,
            "candidates, mean": mean_score(self.candidates),
        }
        if self.without_geometry:
            scores[f"without geometry (#{self.without_geometry.number})"] = self.without_geometry.score
        if untuned := self._group("untuned"):
            scores["untuned base model, mean"] = mean_score(untuned)
        return scores | {fill.name: fill.score for fill in self._group("baseline")}

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON types."""
        return asdict(self) | {"fills": [fill.to_row() for fill in self.fills]}

    def to_metrics(self) -> dict[str, Any]:
        """The numbers for `dvc metrics`, nested by subject; those that are None are left out."""
        untuned = self._group("untuned")
        scores = {
            "result": self.result,
            "oracle": self.oracle.score,
            "candidates_mean": mean_score(self.candidates),
            "without_geometry": self.without_geometry.score if self.without_geometry else None,
            "untuned_mean": mean_score(untuned) if untuned else None,
        }
        scores |= {fill.name.replace(" ", "_").lower(): fill.score for fill in self._group("baseline")}
        return {
            "protocol": self.protocol,
            "ranking": {name: value for name, value in asdict(self.ranking).items() if value is not None},
            "authenticity": self.authenticity,
            "outside_max_difference": self.outside_max_difference,
            **{name: score.measured() for name, score in scores.items() if score},
        }


def mean_score(fills: Sequence[ScoredFill]) -> Score:
    """Mean of the scores of one or more fills, metric by metric."""
    means = {}
    for field in fields(Score):
        values = [value for fill in fills if (value := getattr(fill.score, field.name)) is not None]
        means[field.name] = round(float(np.mean(values)), 3) if values else None
    return Score(**means)  # type: ignore[arg-type]


def judge_ranking(candidates: Sequence[ScoredFill], settings: RankingSettings = RankingSettings()) -> Ranking:
    """Judge the ranker's order of the candidates by their PSNR."""
    scores, psnrs = np.array([(fill.rank_score, fill.score.psnr) for fill in candidates], np.float64).T
    chosen = min(candidates, key=lambda fill: fill.rank or 0).score.psnr
    gain = psnrs.max() - psnrs.mean()  # dB, of the best over the mean
    position = round(float((chosen - psnrs.mean()) / gain), 3) if gain > settings.min_gain else None
    if len(candidates) < settings.min_candidates or min(np.ptp(scores), np.ptp(psnrs)) == 0:
        return Ranking(position, None)
    return Ranking(position, round(float(spearmanr(scores, psnrs).statistic), 3))
