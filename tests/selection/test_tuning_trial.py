"""Whether tuning can pay, for a tiny model of random weights."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from realfill.album.discovery import open_album
from realfill.album.store import read_placement_summary
from realfill.core.atomic_io import write_json
from realfill.core.params import Params
from realfill.diffusion.base_model import load_base_model
from realfill.photo_io.working_files import write_png
from realfill.selection.tuning_trial import explain_needless_tuning
from realfill.stages import masks, validate
from support.finished_album import place_nothing


@pytest.fixture
def explain(album_folder: Path, quick_params: Params) -> Callable[..., str]:
    """Explains for an album where `align` has found this."""
    album = open_album(album_folder)
    validate.run(album, quick_params)
    masks.run(album, quick_params)
    place_nothing(album)
    base = load_base_model(quick_params.base)

    def explain_where(errors: dict[str, float], model: str = "none", covered: float = 0.0) -> str:
        summary = replace(read_placement_summary(album), errors=errors, model=model, covered=covered)
        write_json(album.work("align") / "placed.json", vars(summary))
        return explain_needless_tuning(album, base, quick_params.sample, quick_params.finetune.prompt)

    return explain_where


def test_tuning_is_left_out_where_the_model_is_far_worse_than_the_other_ways(explain: Callable[..., str]) -> None:
    reason = explain({"geometry": 2.0, "approximate": 30.0})
    assert reason.startswith("the model restores hidden parts of this photo with an error of ")
    assert reason.endswith("where filling by geometry has 2")


@pytest.mark.parametrize("errors", [{"geometry": 200.0}, {"geometry": 200.0, "own_patches": 2.0}])
def test_a_model_that_is_not_far_worse_is_tuned(explain: Callable[..., str], errors: dict[str, float]) -> None:
    assert explain(errors) == ""


@pytest.mark.parametrize(
    ("model", "covered", "reason"),
    [
        ("depth", 0.51, "the references show 51% of the missing part"),
        ("plane", 1.0, "the references show 100% of the missing part"),
        ("depth", 0.5, ""),
        ("approximate", 1.0, ""),
    ],
)
def test_without_pseudo_holes_tuning_is_left_out_where_geometry_covers_most(
    explain: Callable[..., str], model: str, covered: float, reason: str
) -> None:
    assert explain({}, model, covered) == reason


def test_nothing_is_explained_where_the_hole_leaves_no_room_for_pseudo_holes(
    explain: Callable[..., str], album_folder: Path
) -> None:
    album = open_album(album_folder)
    (path,) = album.work("masks").glob("*mask*.png")
    write_png(path, np.full((96, 96), 255, np.uint8))
    assert explain({"geometry": 2.0}) == ""
