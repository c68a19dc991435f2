"""The table of albums and their outcomes."""

from rich.console import Console

from realfill.library.run_history import HistoryRow
from realfill.library.status_table import sort_by_outcome, status_reasons, status_table


def test_albums_that_need_a_person_come_first() -> None:
    rows = [HistoryRow("b", "completed"), HistoryRow("a", "completed"), HistoryRow("c", "quarantined")]
    assert [row.album for row in sort_by_outcome(rows)] == ["c", "a", "b"]


def test_photos_that_are_to_be_looked_at_come_before_the_other_finished_ones() -> None:
    doubtful = "mostly generated: look closely"
    rows = [
        HistoryRow("a", "completed", verdict="photographed"),
        HistoryRow("b", "unchanged", verdict=doubtful),
        HistoryRow("c", "completed", verdict=doubtful),
        HistoryRow("d", "failed", verdict=doubtful),
        HistoryRow("e", "unchanged"),
    ]
    assert [row.album for row in sort_by_outcome(rows)] == ["d", "c", "b", "a", "e"]
    console = Console(record=True, width=160)
    console.print(status_table(rows))
    lines = console.export_text().splitlines()
    marked = [line for line in lines if "to be looked at" in line]
    assert len(marked) == 2
    assert all(doubtful in line for line in marked)
    assert any("photographed" in line for line in lines)


def test_the_table_shows_scores_time_and_reasons_as_they_are() -> None:
    scores = {"rank.score": 2.5, "evaluate.psnr": 21.25, "rank.inliers": 40.0}
    rows = [
        HistoryRow("roof", "completed", scores=scores, seconds={"finetune": 30.0, "sample": 4.6}, night="2026-05-01"),
        HistoryRow("torn", "quarantined", "PhotoError", "[bold]Broken.", night="2026-05-01"),
    ]
    console = Console(record=True, width=160)
    console.print(status_table(rows))
    text = console.export_text()
    assert "rank.score 2.5, evaluate.psnr 21.25" in text
    assert "inliers" not in text
    assert "35 s" in text
    assert status_reasons(rows) == ["torn: [bold]Broken."]


def test_what_is_warned_of_is_told_below_the_failures() -> None:
    rows = [HistoryRow("roof", "completed", warnings=["a", "b"]), HistoryRow("torn", "failed", reason="Broken.")]
    assert status_reasons(rows) == ["torn: Broken.", "roof: a", "roof: b"]
