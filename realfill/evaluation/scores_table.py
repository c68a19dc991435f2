"""The scores of evaluations as text: a table, and remarks below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

from rich.markup import escape
from rich.table import Table

from realfill.evaluation.metrics import PROTOCOL, Score, ScorerSettings
from realfill.evaluation.scores import Evaluation


def scores_table(evaluations: Sequence[Evaluation]) -> Table:
    """The scores of albums as a table, one row per fill, without the metrics that no album has."""
    metrics = [f.name for f in fields(Score) if any(f.name in e.result.measured() for e in evaluations)]
    table = Table(title=f"Scores over the hole, at {ScorerSettings().side} px (protocol {PROTOCOL})")
    for heading in ("album", "fill"):
        table.add_column(heading)
    for metric in metrics:
        table.add_column("PSNR dB" if metric == "psnr" else metric, justify="right")
    for evaluation in evaluations:
        for number, (name, score) in enumerate(evaluation.summary().items()):
            cells = (format_metric(metric, getattr(score, metric)) for metric in metrics)
            table.add_row("" if number else escape(evaluation.album), name, *cells)
        table.add_section()
    return table


def remarks(evaluations: Sequence[Evaluation]) -> list[str]:
    """Sentences about the rankings, the authenticity maps, and the metrics that are unavailable."""
    sentences = [f"{evaluation.album}: {remark}" for evaluation in evaluations for remark in _remarks(evaluation)]
    reasons = {name: reason for evaluation in evaluations for name, reason in evaluation.unavailable_metrics.items()}
    return sentences + [f"{name} is unavailable: {reason}" for name, reason in reasons.items()]


def _remarks(evaluation: Evaluation) -> Iterator[str]:
    ranking = evaluation.ranking
    if ranking.position is not None:
        spearman = "" if ranking.spearman is None else f"; Spearman {ranking.spearman:.2f}"
        place = f"{ranking.position:.2f} of the way from the candidates' mean PSNR to their best"
        yield f"the best-ranked candidate lies {place}{spearman}."
    for name, label in evaluation.authenticity.items():
        yield f"{name.replace('_', ' ')} on {label['share']:.1%} of the hole, mean squared error {label['mse']:.0f}."


def format_metric(metric: str, value: float | None) -> str:
    """A metric's value as text."""
    return "–" if value is None else f"{value:.{2 if metric in ('psnr', 'recall') else 3}f}"
