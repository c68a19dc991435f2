import json

import pytest

from realfill.evaluation.metrics import Score
from realfill.evaluation.scores import RankingSettings, ScoredFill, judge_ranking, mean_score
from support.evaluations import make_evaluation, make_fill


def candidates(*psnrs: float) -> list[ScoredFill]:
    """Candidates in the order of their ranks."""
    return [make_fill("candidate", psnr, number) for number, psnr in enumerate(psnrs)]


def test_the_position_lies_between_mean_and_best() -> None:
    assert judge_ranking(candidates(20, 18, 16)).position == 1
    assert judge_ranking(candidates(18, 20, 16)).position == 0
    assert judge_ranking(candidates(16, 20, 18)).position == -1


def test_the_rank_correlation_is_spearmans() -> None:
    assert judge_ranking(candidates(20, 18, 16)).spearman == 1
    assert judge_ranking(candidates(16, 18, 20)).spearman == -1
    assert judge_ranking(candidates(18, 20, 16)).spearman == pytest.approx(0.5)


def test_candidates_that_are_alike_or_too_few_have_no_ranking() -> None:
    alike = judge_ranking(candidates(17, 17, 17.004))
    assert alike.position is None
    assert judge_ranking(candidates(17, 17, 17)).spearman is None
    two = judge_ranking(candidates(20, 16))
    assert (two.position, two.spearman) == (1, None)
    assert judge_ranking(candidates(20, 16), RankingSettings(min_candidates=2)).spearman == 1


def test_a_mean_leaves_out_what_was_not_measured() -> None:
    fills = [
        make_fill("untuned", 10, 0, score=Score(10, 0.2, None)),
        make_fill("untuned", 20, 1, score=Score(20, 0.4, 0.5)),
    ]
    assert mean_score(fills) == Score(15, 0.3, 0.5)
    assert mean_score(fills[:1]).recall is None


def test_the_oracle_is_the_candidate_with_the_highest_psnr() -> None:
    evaluation = make_evaluation(18, 20, 16)
    assert evaluation.oracle.number == 1
    assert evaluation.result.psnr == 18
    assert [fill.number for fill in evaluation.candidates] == [0, 1, 2]


def test_without_geometry_is_the_best_ranked_one_that_is_from_noise_and_tuned() -> None:
    assert make_evaluation(18, 20).without_geometry is None, "the model is not tuned"
    fills = (
        make_fill("result", 18),
        make_fill("candidate", 18, 0, kind="placed", tuned=False),
        make_fill("candidate", 17, 1, tuned=True),
        make_fill("candidate", 19, 2, tuned=True),
    )
    chosen = make_evaluation(18, fills=fills).without_geometry
    assert chosen is not None
    assert chosen.number == 1


def test_the_summary_has_a_caption_for_each_score() -> None:
    evaluation = make_evaluation(18, 20, 16)
    assert list(evaluation.summary()) == ["result", "best candidate (#1)", "candidates, mean", "mean color"]
    untuned = (make_fill("untuned", 11, 0), make_fill("untuned", 13, 1))
    evaluation = make_evaluation(18, fills=(*evaluation.fills, *untuned))
    assert evaluation.summary()["untuned base model, mean"].psnr == 12


def test_the_metrics_are_json_and_leave_out_what_is_missing() -> None:
    metrics = make_evaluation(18, 20, 16).to_metrics()
    assert json.loads(json.dumps(metrics)) == metrics
    assert metrics["candidates_mean"] == {"psnr": 18, "ssim": 0.5, "recall": 0.25}
    assert {"result", "oracle", "mean_color"} <= set(metrics)
    assert not {"without_geometry", "untuned_mean"} & set(metrics)
    assert metrics["ranking"] == {}


def test_a_row_is_flat() -> None:
    row = make_fill("candidate", 18, 0).to_row()
    assert row["psnr"] == 18
    assert "score" not in row
