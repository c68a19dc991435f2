"""FIXME DOCSTRING."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

from rich.markup import escape
from rich.table import Table

from realfill.evaluation.metrics import PROTOCOL, SIDE, Score
from realfill.evaluation.scores import Evaluation


def scores_table(evaluations: Sequence[Evaluation]) -> Table:
    """The scores of albums as a table, a line a fill; measures that no album has are left out."""
    measures = [f.name for f in fields(Score) if any(f.name in e.result.measured() for e in evaluations)]
    rendered = Table(title=f"Scores over the hole, at {SIDE} px (protocol {PROTOCOL})")
    for heading in ("album", "fill"):
        rendered.add_column(heading)
    for measure in measures:
        rendered.add_column("PSNR dB" if measure == "psnr" else measure, justify="right")
    for evaluation in evaluations:
        for number, (name, score) in enumerate(evaluation.summary().items()):
            cells = (format_measure(measure, getattr(score, measure)) for measure in measures)
            rendered.add_row("" if number else escape(evaluation.album), name, *cells)
        rendered.add_section()
    return rendered


def remarks(evaluations: Sequence[Evaluation]) -> list[str]:
    """What is to be said of the rankings, the authenticity maps, and the measures that are absent, as sentences."""
    said = [f"{evaluation.album}: {remark}" for evaluation in evaluations for remark in _remarks(evaluation)]
    why = {name: reason for evaluation in evaluations for name, reason in evaluation.unavailable_metrics.items()}
    return said + [f"{name} is absent: {reason}" for name, reason in why.items()]


def _remarks(evaluation: Evaluation) -> Iterator[str]:
    ranking = evaluation.ranking
    if ranking.position is not None:
        spearman = "" if ranking.spearman is None else f"; Spearman {ranking.spearman:.2f}"
        place = f"{ranking.position:.2f} of the way from the candidates' mean PSNR to their best"
        yield f"the best-ranked candidate lies {place}{spearman}."
    for name, part in evaluation.authenticity.items():
        yield f"{name.replace('_', ' ')} on {part['share']:.1%} of the hole, mean squared error {part['mse']:.0f}."


def format_measure(measure: str, value: float | None) -> str:
    """A measure's value as it is printed."""
    return "–" if value is None else f"{value:.{2 if measure in ('psnr', 'recall') else 3}f}"
