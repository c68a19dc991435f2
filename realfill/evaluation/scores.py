"""FIXME DOCSTRING."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from realfill.evaluation.metrics import Score


@dataclass(frozen=True)
class Fill:
    """One way to fill the hole, and how close it comes.

    Attributes:
        name: Unique within the album.
        group: "result", "candidate", "untuned" or "baseline".
        number: The candidate's; None for the others.
        kind: The candidate's kind, as `Candidate` says; empty for the others.
        tuned: Whether a tuned model drew it.
        rank: The candidate's place, 1 is the best; None for the others.
        rank_score: The ranker's score of the candidate; None for the others.
        score: How close it is to the truth.
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
        """The same without nesting."""
        row = asdict(self)
        return row | row.pop("score")


@dataclass(frozen=True)
class Ranking:
    """How well the ranker chose, by PSNR.

    Attributes:
        position: Where the best-ranked candidate lies between the candidates' mean (0) and their best (1); None
            where they are all alike.
        spearman: Rank correlation of the ranker's scores with PSNR, -1 to 1; None for fewer than three candidates.
    """

    position: float | None
    spearman: float | None


@dataclass(frozen=True)
class Evaluation:
    """An album's scores.

    Attributes:
        album: The album's name.
        protocol: Version of how they are measured; scores of different versions do not compare.
        hole: Share of the picture that is scored, 0 to 1.
        fills: Every fill that was scored, the delivered photo first.
        ranking: How well the ranker chose.
        authenticity: For each label of the authenticity map its share of the hole, 0 to 1, and the mean squared error
            of the delivered photo there, squared 8-bit levels; empty where there is no map.
        outside_max_difference: Largest difference between the delivered photo and the target outside of the hole and
            its blend band, at native size, 8-bit levels; 0 for lossless formats.
        unavailable_metrics: Measures that could not be taken, with the reason.
    """

    album: str
    protocol: int
    hole: float
    fills: tuple[Fill, ...]
    ranking: Ranking
    authenticity: dict[str, dict[str, float]]
    outside_max_difference: int
    unavailable_metrics: dict[str, str]

    @property
    def result(self) -> Score:
        """The delivered photo's score."""
        return self.fills[0].score

    @property
    def candidates(self) -> tuple[Fill, ...]:
        """The candidates by number."""
        return tuple(fill for fill in self.fills if fill.group == "candidate")

    @property
    def oracle(self) -> Fill:
        """The candidate with the highest PSNR."""
        return max(self.candidates, key=lambda fill: fill.score.psnr)

    @property
    def without_geometry(self) -> Fill | None:
        """What would have been delivered without geometry; None where nothing was drawn from pure noise and tuned."""
        drawn = [fill for fill in self.candidates if fill.kind == "noise" and fill.tuned]
        return min(drawn, key=lambda fill: fill.rank or 0) if drawn else None

    def summary(self) -> dict[str, Score]:
        """The scores that tell the story, by a caption."""
        groups = {group: [f.score for f in self.fills if f.group == group] for group in ("candidate", "untuned")}
        told = {
            "result": self.result,
            f"best candidate (#{self.oracle.number})": self.oracle.score,
            "candidates, mean": average(groups["candidate"]),
        }
        if self.without_geometry:
            told[f"without geometry (#{self.without_geometry.number})"] = self.without_geometry.score
        if groups["untuned"]:
            told["untuned base model, mean"] = average(groups["untuned"])
        return told | {fill.name: fill.score for fill in self.fills if fill.group == "baseline"}

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON types."""
        return asdict(self) | {"fills": [fill.to_row() for fill in self.fills]}

    def to_metrics(self) -> dict[str, Any]:
        """The numbers, nested by what they tell; those that there are not are left out."""
        untuned = [fill.score for fill in self.fills if fill.group == "untuned"]
        scores = {
            "result": self.result,
            "oracle": self.oracle.score,
            "candidates_mean": average([fill.score for fill in self.candidates]),
            "without_geometry": self.without_geometry.score if self.without_geometry else None,
            "untuned_mean": average(untuned) if untuned else None,
        }
        scores |= {fill.name.replace(" ", "_").lower(): fill.score for fill in self.fills if fill.group == "baseline"}
        return {
            "protocol": self.protocol,
            "ranking": {name: value for name, value in asdict(self.ranking).items() if value is not None},
            "authenticity": self.authenticity,
            "outside_max_difference": self.outside_max_difference,
            **{name: score.measured() for name, score in scores.items() if score},
        }


def average(scores: Sequence[Score]) -> Score:
    """Mean of one or more scores, measure by measure."""
    means = {}
    for field in fields(Score):
        values = [value for score in scores if (value := getattr(score, field.name)) is not None]
        means[field.name] = round(float(np.mean(values)), 3) if values else None
    return Score(**means)  # type: ignore[arg-type]
