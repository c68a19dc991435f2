"""Evaluations that are made up, without albums."""

from dataclasses import replace

from realfill.evaluation.metrics import PROTOCOL, Score
from realfill.evaluation.scores import Evaluation, Ranking, ScoredFill


def make_fill(group: str, psnr: float, number: int | None = None, **values: object) -> ScoredFill:
    """A fill with that PSNR; a candidate's rank is its number + 1, and its ranker's score falls with the rank."""
    rank, score = (number + 1, -float(number)) if number is not None else (None, None)
    name = group if number is None else f"{group} {number}"
    fill = ScoredFill(
        name, group, number, "noise" if group == "candidate" else "", False, rank, score, Score(psnr, 0.5, 0.25)
    )
    return replace(fill, **values)  # type: ignore[arg-type]


def make_evaluation(*psnrs: float, **values: object) -> Evaluation:
    """An evaluation whose candidates have these PSNRs, in the order of their ranks; the best-ranked was delivered."""
    fills = (
        make_fill("result", psnrs[0]),
        *(make_fill("candidate", psnr, number) for number, psnr in enumerate(psnrs)),
        make_fill("baseline", 10.0, name="mean color"),
    )
    evaluation = Evaluation("motorcycle", PROTOCOL, 0.25, fills, Ranking(None, None), {}, 0, {})
    return replace(evaluation, **values)  # type: ignore[arg-type]
