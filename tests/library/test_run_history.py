"""The history of runs as a Parquet dataset."""

from dataclasses import replace

import pyarrow.dataset as ds
import pyarrow.parquet as pq

from realfill.core.hashing import digest
from realfill.library import run_history
from realfill.library.repository import Library
from realfill.library.run_history import HistoryRow


def test_the_latest_row_of_every_album_and_its_changes_are_told(library: Library) -> None:
    scores = {"rank.score": 1.0}
    row = HistoryRow("first", "completed", digest="aa", scores=scores, seconds={"finetune": 3.5}, worker="w")
    bad = HistoryRow("second", "quarantined", "PhotoError", "Broken.")
    run_history.write_rows(library, "2026-05-01", "010000-a", [row, bad, HistoryRow("gone", "completed")])
    run_history.write_rows(library, "2026-05-02", "010000-b", [row.as_unchanged(), bad])
    better = replace(row, digest="bb", scores={"rank.score": 2.0})
    run_history.write_rows(library, "2026-05-03", "010000-c", [better])
    latest = run_history.latest_rows(library)
    assert latest == {"first": replace(better, night="2026-05-03"), "second": replace(bad, night="2026-05-02")}
    history = run_history.album_history(library, "first")
    assert [(row.night, changes) for row, changes in history] == [
        ("2026-05-01", []),
        ("2026-05-03", ["photo: aa -> bb", "rank.score: 1 -> 2"]),
    ]


def test_a_file_of_an_earlier_version_lacks_columns(library: Library) -> None:
    row = HistoryRow(
        "first", "completed", verdict="photographed", warnings=["ref/1.jpg: A copy."], night="2026-05-01"
    )
    path = run_history.write_rows(library, "2026-05-01", "a", [row])
    assert run_history.latest_rows(library)["first"] == row
    pq.write_table(pq.read_table(path).drop_columns(["verdict", "warnings"]), path)
    assert run_history.latest_rows(library)["first"] == HistoryRow("first", "completed", night="2026-05-01")


def test_later_runs_of_a_night_come_later(library: Library) -> None:
    run_history.write_rows(library, "2026-05-01", "020000-b", [HistoryRow("first", "completed")])
    run_history.write_rows(library, "2026-05-01", "010000-a", [HistoryRow("first", "failed")])
    assert [row.outcome for row in run_history.read_night(library, "2026-05-01")] == ["failed", "completed"]
    assert run_history.latest_rows(library)["first"].outcome == "completed"


def test_the_history_is_a_dataset_that_other_tools_can_read(library: Library) -> None:
    row = HistoryRow("first", "completed", seconds={"finetune": 3.5})
    run_history.write_rows(library, "2026-05-01", "a", [row])
    table = ds.dataset(run_history.history_folder(library), partitioning="hive").to_table().to_pylist()
    assert [(row["album"], str(row["night"]), dict(row["seconds"])) for row in table] == [
        ("first", "2026-05-01", {"finetune": 3.5})
    ]


def test_a_result_has_photo_digest_and_every_number_of_the_metrics(library: Library) -> None:
    folder = library.folder("first")
    (folder / "work" / "rank" / "metrics.json").write_text('{"score": 2.5, "matcher": "sift", "sure": true}')
    result = run_history.summarize_result(library.album("first"))
    assert result["photo"] == "completed/first.png"
    assert result["digest"] == digest(folder / "completed" / "first.png")
    assert result["digest"] == run_history.read_photo_digest(library, "first")
    assert result["scores"] == {"rank.score": 2.5}


def test_the_software_is_told_with_its_versions() -> None:
    assert run_history.software_versions().keys() >= {"realfill", "torch", "diffusers"}
