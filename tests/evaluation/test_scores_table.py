from rich.console import Console

from realfill.album.layout import Album
from realfill.core.params import load_params
from realfill.evaluation.evaluate import evaluate
from realfill.evaluation.metrics import unavailable_metrics
from realfill.evaluation.scores import Ranking
from realfill.evaluation.scores_table import format_metric, remarks, scores_table
from support.evaluations import make_evaluation


def test_the_table_shows_the_scores_and_the_remarks_what_is_unavailable(album: Album) -> None:
    scored = evaluate(album, load_params())
    console = Console(record=True, width=160)
    console.print(scores_table([scored]))
    text = console.export_text()
    assert f"{scored.result.psnr:.2f}" in text
    assert f"best candidate (#{scored.oracle.number})" in text
    sentences = remarks([scored])
    assert f"motorcycle: the best-ranked candidate lies {scored.ranking.position:.2f} of the way" in sentences[0]
    for name, why in unavailable_metrics().items():
        assert f"{name} is unavailable: {why}" in sentences
        assert getattr(scored.result, name, None) is None


def test_metrics_that_no_album_has_are_left_out() -> None:
    table = scores_table([make_evaluation(18, 20), make_evaluation(17)])
    assert [column.header for column in table.columns] == ["album", "fill", "PSNR dB", "ssim", "recall"]
    assert table.row_count == 8


def test_an_album_is_named_once_and_cannot_style_the_table() -> None:
    console = Console(record=True, width=160)
    console.print(scores_table([make_evaluation(18, album="[red]zoo")]))
    assert console.export_text().count("[red]zoo") == 1


def test_remarks_tell_the_authenticity_and_the_ranking() -> None:
    authenticity = {"reference_pixel": {"share": 0.25, "mse": 123.4}}
    ranked = make_evaluation(18, 20, 16, ranking=Ranking(0.5, -0.25), authenticity=authenticity)
    assert remarks([ranked, make_evaluation(18)]) == [
        "motorcycle: the best-ranked candidate lies 0.50 of the way from the candidates' mean PSNR to their best; "
        "Spearman -0.25.",
        "motorcycle: reference pixel on 25.0% of the hole, mean squared error 123.",
    ]


def test_values_are_rounded_as_precisely_as_they_are_measured() -> None:
    values = {"psnr": 21.456, "recall": 0.456, "ssim": 0.4567, "lpips": None}
    assert [format_metric(name, value) for name, value in values.items()] == ["21.46", "0.46", "0.457", "–"]
