"""Parameters: what a user may write, and what is said when it cannot be meant."""

from pathlib import Path

import pytest

from realfill.core.errors import ParamsError
from realfill.core.params import Params, load_params
from realfill.core.validation import parse_yaml


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
        ("sample.scheduler=heun", "'dpmsolver\\+\\+', 'unipc', 'ddpm' or 'euler'"),
        ("export.quality=80", "greater than or equal to 95"),
        ("profile=fast", "quick, paper"),
        (
            "base.model=pockt",
            "'base.model' is 'pockt'. Choose one of pocket, sd2-inpainting, .* or the absolute path",
        ),
        ("base.model=models/pocket", "absolute path of a diffusers folder or a .safetensors checkpoint"),
        ("finetune", "section.key=value"),
        ("finetune.prompt=[", "'finetune.prompt=\\[' cannot be read as YAML"),
        ("export.privacy.position=no", "'export.privacy.position' is 'no'. .*'keep' or 'strip'"),
        ("export={gps: strip, gps: keep}", "stands here for the second time"),
    ],
)
def test_a_wrong_value_is_told_with_what_is_allowed(assignment: str, told: str) -> None:
    with pytest.raises(ParamsError, match=told):
        load_params(assignments=[assignment])


@pytest.mark.parametrize(
    "written", ["gps: strip", "privacy: {position: strip}", "gps: strip, privacy: {position: strip, identity: keep}"]
)
def test_the_older_name_of_a_setting_goes_on_working(written: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("export: {privacy: {position: keep, identity: strip}}")
    (tmp_path / "old.yaml").write_text("export: {gps: keep}")
    for name in ("params.yaml", "old.yaml"):
        for export in (
            load_params(tmp_path / name, overrides=parse_yaml(f"export: {{{written}}}")).export,
            load_params(tmp_path / name, assignments=[f"export={{{written}}}"]).export,
        ):
            assert export.privacy.position == export.gps == "strip"
    assert load_params(tmp_path / "params.yaml").export.privacy.identity == "strip"
    assert "gps" not in Params().section("export")


def test_two_names_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ParamsError, match="gps is the older name of privacy.position: write only one"):
        load_params(overrides={"export": {"gps": "strip", "privacy": {"position": "keep"}}})


def test_later_sources_win(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("sample: {candidates: 3, seed: 5}\nblend: {feather: 2}\n")
    overrides = {"sample": {"seed": 6}, "blend": None}
    params = load_params(
        tmp_path / "params.yaml", profile="paper", overrides=overrides, assignments=["sample.steps=7"]
    )
    assert (params.sample.candidates, params.sample.seed, params.sample.steps) == (64, 6, 7)
    assert params.blend.feather == 2


def test_the_repositorys_params_file_says_what_the_defaults_say() -> None:
    path = Path(__file__).parents[2] / "params.yaml"
    assert load_params(path) == Params()


@pytest.mark.parametrize("source", ["file", "album", "command line"])
@pytest.mark.parametrize("name", ["match_color", "match_colour"])
def test_the_british_spelling_of_a_parameter_is_understood_in_every_source(
    source: str, name: str, tmp_path: Path
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"blend: {{{name}: false}}" if source == "file" else "blend: {match_color: true}")
    overrides = {"blend": {name: False}} if source == "album" else None
    assignments = [f"blend.{name}=false"] if source == "command line" else []
    blend = load_params(path, overrides=overrides, assignments=assignments).section("blend")
    assert blend == Params().section("blend") | {"match_color": False}


def test_an_error_names_the_file_where_the_value_is_written(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("sample: {steps: 0}")
    with pytest.raises(ParamsError) as caught:
        load_params(path, assignments=["sample.steps=5"])
    assert caught.value.path == path
    path.write_text("sample: {steps: 5}")
    with pytest.raises(ParamsError) as caught:
        load_params(path, assignments=["sample.steps=0"])
    assert caught.value.path is None


def test_a_section_holds_json_values() -> None:
    params = load_params(assignments=["blend.candidate=3"])
    assert params.section("blend")["candidate"] == 3
    assert set(params.section("validate")) == {"max_megapixels", "min_side", "max_references", "timeout"}
