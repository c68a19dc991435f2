"""The optional album.yaml: what a user may write, and what is said if it is not allowed."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from realfill.album.settings import AlbumSettings, Box, Outpaint, read_settings
from realfill.core.errors import ParamsError
from realfill.core.params import load_params


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
            "no setting 'overrides'.*Known here: boxes.*aspect, profile.*export\\.",
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
        ("outpaint: {lef: 30%}", "no parameter 'outpaint.lef'. Known here: left, top, right, bottom\\."),
        ("boxes: [{lef: 1}]", "Field required|Known here: left, top, right, bottom"),
    ],
)
def test_what_is_not_understood_is_refused_with_what_is(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "album.yaml").write_text(text)
    with pytest.raises(ParamsError, match=told) as caught:
        read_settings(tmp_path / "album.yaml")
    assert caught.value.path == tmp_path / "album.yaml"


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
