"""What a photographer is told of a fill."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realfill.album.verdict import VerdictSettings, is_to_be_looked_at, judge_authenticity, read_verdict


def shares(reference_pixel: float, confirmed: float = 0.0, left: float | None = None) -> dict[str, float]:
    told = {"reference_pixel": reference_pixel, "confirmed": confirmed, "score": reference_pixel + confirmed / 2}
    return (
        told
        | {"generated_only": 1 - reference_pixel - confirmed - (left or 0)}
        | ({} if left is None else {"left": left})
    )


@pytest.mark.parametrize(
    ("told", "level", "sentence"),
    [
        (shares(1), "photographed", "Every filled pixel is photographed."),
        (shares(0.999), "photographed", "Photographed: 99 % of the filled part"),
        (shares(0.9), "photographed", "Photographed: 90 %"),
        (shares(0.71), "mostly photographed", "Mostly photographed: 71 %"),
        (shares(0.4, 0.3), "partly generated: check it", "Partly generated or uncertain: 60 % of the filled part"),
        (shares(0.2, 0.2), "mostly generated: look closely", "Mostly generated or uncertain: 80 %"),
        (shares(0), "mostly generated: look closely", "Mostly generated or uncertain: 100 %"),
    ],
)
def test_there_are_four_levels_in_plain_words(told: dict[str, float], level: str, sentence: str) -> None:
    verdict = judge_authenticity(told)
    assert verdict.level == level
    assert verdict.sentence.startswith(sentence)
    assert verdict.to_be_looked_at == is_to_be_looked_at(level) == level.startswith("mostly generated")


@given(st.integers(5000, 9999))
def test_what_is_left_of_the_hole_counts_as_neither(photographed: int) -> None:
    left = (10_000 - photographed) / 10_000
    verdict = judge_authenticity(shares(photographed / 10_000, left=left))
    assert verdict.level == "photographed"
    assert verdict.sentence.startswith("Every filled pixel is photographed. ")
    assert verdict.sentence.endswith(" % of the hole is left as it was: no reference shows it for certain.")
    assert not verdict.to_be_looked_at


def test_how_much_was_left_is_told_in_percent() -> None:
    verdict = judge_authenticity(shares(0.63, left=0.37))
    assert " 37 % of the hole is left as it was" in verdict.sentence


def test_a_hole_that_was_mostly_left_is_to_be_looked_at() -> None:
    verdict = judge_authenticity(shares(0.1, left=0.9))
    assert verdict.level == "mostly left as it was: look closely"
    assert verdict.sentence.startswith("Every filled pixel is photographed. 90 % of the hole is left as it was")
    assert verdict.to_be_looked_at


def test_a_hole_that_was_left_altogether_is_to_be_looked_at() -> None:
    verdict = judge_authenticity(shares(0, left=1))
    assert verdict.level == "left as it was: nothing is filled"
    assert verdict.to_be_looked_at


def test_the_limits_are_settings() -> None:
    assert judge_authenticity(shares(0.6), VerdictSettings(photographed=0.6)).level == "photographed"


def test_a_provenance_of_an_earlier_version_has_no_verdict() -> None:
    assert read_verdict({}).level == ""
    assert not read_verdict({}).to_be_looked_at
    assert read_verdict({"verdict": {"level": "photographed", "sentence": "Yes."}}).sentence == "Yes."
