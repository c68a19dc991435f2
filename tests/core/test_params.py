"""Parameters: what a user may write, and what is said when it cannot be meant."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from realfill.album.settings import read_settings
from realfill.core.errors import ParamsError
from realfill.core.params import Params, load_params


def test_the_paper_profile_holds_the_papers_values() -> None:
    params = load_params(profile="paper")
    tuned, drawn = params.finetune, params.sample
    assert (tuned.steps, tuned.batch_size, tuned.rank, tuned.alpha, tuned.dropout) == (2000, 16, 8, 16, 0.1)
    assert (tuned.lr_unet, tuned.lr_text, tuned.prompt_dropout) == (2e-4, 4e-5, 0.1)
    assert (drawn.candidates, drawn.steps, drawn.scheduler, drawn.guidance) == (64, 200, "ddpm", 1.0)


def test_an_unknown_key_is_named_with_the_known_ones() -> None:
    with pytest.raises(ParamsError, match=r"'finetune.stepz'.*Known here: when, certain, steps, batch_size"):
        load_params(assignments=["finetune.stepz=3"])


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        ("finetune.steps=many", "integer"),
        ("sample.scheduler=euler", "'dpmsolver\\+\\+', 'unipc' or 'ddpm'"),
        ("export.quality=80", "greater than or equal to 95"),
        ("profile=fast", "quick, paper"),
        ("finetune", "section.key=value"),
    ],
)
def test_a_wrong_value_is_told_with_what_is_allowed(assignment: str, told: str) -> None:
    with pytest.raises(ParamsError, match=told):
        load_params(assignments=[assignment])


def test_later_sources_win(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("sample: {candidates: 3, seed: 5}\nblend: {feather: 2}\n")
    (tmp_path / "album.yaml").write_text("sample: {seed: 6}\nblend:\n")
    settings = read_settings(tmp_path / "album.yaml")
    params = load_params(
        tmp_path / "params.yaml", profile="paper", overrides=settings.overrides, assignments=["sample.steps=7"]
    )
    assert (params.sample.candidates, params.sample.seed, params.sample.steps) == (64, 6, 7)
    assert params.blend.feather == 2


def test_the_repositorys_params_file_says_what_the_defaults_say() -> None:
    path = Path(__file__).parents[2] / "params.yaml"
    assert load_params(path) == Params()


@pytest.mark.parametrize(
    "text",
    ["boxes: [{left: 5, top: 0, right: 5, bottom: 9}]", "outpaint: {left: 30}", "aspect: wide", "holes: 3", "- a"],
)
def test_album_settings_that_cannot_be_meant_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "album.yaml").write_text(text)
    with pytest.raises(ParamsError):
        read_settings(tmp_path / "album.yaml")


def test_a_yaml_bomb_is_refused_quickly(tmp_path: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{n}: &{n} [{', '.join([f'*{p}'] * 9)}]" for p, n in zip("abcdefgh", "bcdefghi", strict=True)]
    (tmp_path / "album.yaml").write_text("\n".join(lines))
    with pytest.raises(ParamsError):
        read_settings(tmp_path / "album.yaml")


@given(st.binary(max_size=200))
def test_no_bytes_in_album_yaml_end_in_another_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("settings") / "album.yaml"
    path.write_bytes(data)
    try:
        read_settings(path)
    except ParamsError as error:
        assert str(path) in str(error)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    )
)
def test_no_value_of_a_section_ends_in_another_error(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.mktemp("settings") / "album.yaml"
    path.write_text(yaml.safe_dump({"finetune": value, "boxes": value}))
    try:
        load_params(overrides=read_settings(path).overrides)
    except ParamsError as error:
        assert error.remedy
