"""The optional album.yaml: what a user may write, and what is said if it is not allowed."""

from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realfill.album.settings import AlbumSettings, Box, HoleDescription, Outpaint, read_settings
from realfill.core.errors import MaskError, ParamsError
from realfill.core.params import load_params
from realfill.masking.hole_mask import mask_from_shapes
from realfill.masking.outpainting import compute_extension


def test_an_album_without_settings_has_the_defaults(tmp_path: Path) -> None:
    assert read_settings(tmp_path / "album.yaml") == AlbumSettings()


def test_hole_and_overrides_are_read(tmp_path: Path) -> None:
    path = tmp_path / "album.yaml"
    path.write_text(
        "boxes: [{left: 1, top: 2, right: 30, bottom: 40}]\n"
        "polygons: [[[0, 0], [9, 0], [0, 9.5]]]\n"
        "outpaint: {left: 30%, bottom: 200px}\n"
        "aspect: '16:9'\n"
        "profile: quick\nvalidate: {min_side: 32}\nblend:\n"
    )
    settings = read_settings(path)
    assert settings.boxes == (Box(left=1, top=2, right=30, bottom=40),)
    assert settings.polygons == (((0, 0), (9, 0), (0, 9.5)),)
    assert settings.outpaint == Outpaint(left="30%", bottom="200px")
    assert settings.aspect == "16:9"
    assert settings.overrides == {"profile": "quick", "validate": {"min_side": 32}}


def test_the_british_spelling_of_a_parameter_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "album.yaml"
    path.write_text("blend: {match_colour: false}")
    assert not load_params(overrides=read_settings(path).overrides).blend.match_color


@pytest.mark.parametrize(
    "text",
    ["boxes: [{left: 5, top: 0, right: 5, bottom: 9}]", "outpaint: {left: 30}", "aspect: wide", "holes: 3", "- a"],
)
def test_album_settings_that_cannot_be_meant_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "album.yaml").write_text(text)
    with pytest.raises(ParamsError):
        read_settings(tmp_path / "album.yaml")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("export: {gps: strip}\nexport: {quality: 95}", "Line 2, column 1: the key 'export' stands .* in line 1"),
        ("export:\n  gps: strip\n  quality: 95\n  gps: keep", "Line 4, column 3: the key 'gps' stands .* in line 2"),
        ("boxes: [{left: 1, top: 2, left: 3, right: 4, bottom: 5}]", "the key 'left' stands"),
        (
            "overrides: {export: {gps: strip}}",
            "no setting 'overrides'.*Known here: boxes.*transparency, profile.*export\\.",
        ),
        ("exprot: {gps: strip}", "no setting 'exprot'"),
        ("exprot:", "no setting 'exprot'"),
        ("Export: {gps: strip}", "no setting 'Export'"),
        ("export.gps: strip", "no setting 'export.gps'"),
        ("gps: strip", "no setting 'gps'"),
        ("export: {GPS: strip}", "no parameter 'export.GPS'. Known here: format, quality, privacy, gps\\."),
        ("export: {gps: }", "'export.gps' is None. .*'keep' or 'strip'"),
        ("export: strip", "It is a section.*Known here: format, quality, privacy, gps\\."),
        ("export: [gps, strip]", "It is a section"),
        ("blend: {match_color: true, match_colour: false}", "no parameter 'blend.match_colour'"),
        ("base: {model: pockt}", "'base.model' is 'pockt'. Choose one of pocket, sd2-inpainting"),
        ("outpaint: {lef: 30%}", "no parameter 'outpaint.lef'. Known here: left, top, right, bottom\\."),
        ("boxes: [{lef: 1}]", "Field required|Known here: left, top, right, bottom"),
        ("boxes: [{left: 5, top: 5}]", r"'boxes.0.right' is missing.*`boxes: \[{left: 120, top: 80, right: 400"),
        ("polygons: [[10, 10], [200, 40]]", r"for example `polygons: \[\[\[10, 10\], \[200, 40\]"),
        ("outpaint: {left: 30}", "for example `left: 30%`"),
        ("aspect: wide", "for example `aspect: 16:9`"),
    ],
)
def test_what_is_not_understood_is_refused_with_what_is(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "album.yaml").write_text(text)
    with pytest.raises(ParamsError, match=told) as caught:
        read_settings(tmp_path / "album.yaml")
    assert caught.value.path == tmp_path / "album.yaml"


def test_the_examples_in_errors_are_understood(tmp_path: Path) -> None:
    for name, field in HoleDescription.model_fields.items():
        for example in field.examples or ():
            (tmp_path / "album.yaml").write_text(f"{name}: {example}")
            assert getattr(read_settings(tmp_path / "album.yaml"), name)


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


@pytest.mark.parametrize(
    "name", ["album.yml", "Album.yaml", "ALBUM.YAML", "album.yaml.txt", "album.yml.txt", "albums.yaml", "album.yaml~"]
)
def test_settings_under_nearly_the_right_name_are_not_passed_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("export: {gps: strip}")
    with pytest.raises(ParamsError, match="Rename it to album.yaml") as caught:
        read_settings(tmp_path / "album.yaml")
    assert caught.value.path == tmp_path / name


def test_backups_of_editors_are_left_alone(tmp_path: Path) -> None:
    for name in ("album.yaml", "album.yaml~", "album.yaml.bak", "album.yaml.orig"):
        (tmp_path / name).write_text("export: {gps: strip}")
    assert read_settings(tmp_path / "album.yaml").overrides == {"export": {"gps": "strip"}}


@pytest.mark.parametrize("aspect", ["16:9", "4:3", "3:2", "1:1", "21:9", "2.39:1"])
@pytest.mark.parametrize("quote", ["", "'"])
def test_an_aspect_ratio_needs_no_quotes(tmp_path: Path, aspect: str, quote: str) -> None:
    (tmp_path / "album.yaml").write_text(f"aspect: {quote}{aspect}{quote}")
    assert read_settings(tmp_path / "album.yaml").aspect == aspect


BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]\n" for before, after in pairwise("abcdefgh")
)
SCALARS = ["2020-01-01", "2020-13-45", ".nan", "-.inf", "9" * 4000, "9" * 5000, "1e999", "0x_", "!!binary x", "? a"]
SCALARS += ["!!set {a}", "!!timestamp 1", "!!python/object:os.system x", "&a [*a]", "{1: 2}", "{[1]: 2}", "{null: 1}"]
SCALARS += ["yes", "''", "[", "30%", "{left: 1, top: 2, right: 3, bottom: 4}", "[[0, 0], [.inf, 1], [1e300, 9]]"]
KEYS = ["boxes", "polygons", "outpaint", "aspect", "export", "export.gps", "finetune", "finetune.prompt", "base", "x"]
KEYS += ["blend", "profile", "1", "left", "gps"]


@pytest.mark.parametrize(
    "text", [BOMB, f"{BOMB}boxes: *h", f"{BOMB}polygons: *h", "- a", "a", "1", "\ufeffexport: {}"]
)
def test_strange_documents_are_settings_or_one_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "album.yaml").write_text(text, encoding="utf-8")
    with suppress(ParamsError):
        read_settings(tmp_path / "album.yaml")


VALUES = st.recursive(
    st.sampled_from(SCALARS) | st.text("ab1:-.&*!|>%@[]{}\"'#, ", max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from(KEYS + SCALARS), inner, max_size=3).map(
            lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}"
        )
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
def test_any_text_is_settings_that_can_be_used_or_one_error(tmp_path: Path, values: dict[str, str]) -> None:
    path = tmp_path / "album.yaml"
    path.write_text("\n".join(f"{key}: {value}" for key, value in values.items()), encoding="utf-8")
    with suppress(ParamsError):
        album = read_settings(path)
        load_params(overrides=album.overrides)
        with suppress(MaskError):
            compute_extension(album, 300, 200, 150)
            mask_from_shapes(album, 300, 200)
    for key, value in values.items():
        with suppress(ParamsError):
            load_params(assignments=[f"{key}={value}"])
