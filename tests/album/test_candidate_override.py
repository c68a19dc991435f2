"""Choosing another candidate: what it changes, what it leaves alone, and that it lasts."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realfill.album.candidate_override import override_candidate
from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.lock import album_lock
from realfill.core.atomic_io import write_json
from realfill.core.errors import AlbumError, ParamsError, StageError
from realfill.core.params import load_params
from support.finished_album import finish

SETTINGS = """\
# Where the hole is, told by hand.
boxes:
- {left: 1, top: 2, right: 30, bottom: 40}  # the lamp
profile: "quick"
blend:
  feather: 3  # soft
"""


@pytest.fixture
def album(album_folder: Path) -> Album:
    album = finish(album_folder)
    write_json(album.provenance, {"ranking": [{"candidate": number} for number in (1, 0, 2)]})
    return album


def test_the_choice_is_made_in_the_settings_and_nothing_else_in_them_changes(album: Album) -> None:
    path = album.root / "album.yaml"
    path.write_text(SETTINGS)
    override_candidate(album, "2")
    assert path.read_text() == SETTINGS.replace("feather", "candidate: 2\n  feather")
    assert load_params(overrides=open_album(album.root).settings.overrides).blend.candidate == 2
    override_candidate(album, "0")
    assert load_params(overrides=open_album(album.root).settings.overrides).blend.candidate == 0
    override_candidate(album, "best")
    assert path.read_text() == SETTINGS.replace("feather", "candidate: best\n  feather")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing yet",
        "blend:  # later\n",
        "{}\n",
        "{profile: quick} # all\n",
        "\ufeffprofile: quick\r\nblend: ~\r\n",
    ],
)
def test_settings_that_say_nothing_of_blending_take_a_choice(album: Album, text: str) -> None:
    path = album.root / "album.yaml"
    path.write_bytes(text.encode())
    override_candidate(album, "2")
    assert open_album(album.root).settings.overrides["blend"] == {"candidate": 2}
    comment = text.partition("#")[2]
    assert comment in path.read_bytes().decode()
    override_candidate(album, "best")
    assert load_params(overrides=open_album(album.root).settings.overrides).blend.candidate == "best"


def test_an_album_without_settings_takes_a_choice(album: Album) -> None:
    override_candidate(album, "best")
    assert not (album.root / "album.yaml").exists()
    override_candidate(album, "1")
    assert open_album(album.root).settings.overrides == {"blend": {"candidate": 1}}


@pytest.mark.parametrize("number", ["3", "-1", "1.5", "01", "one", "", "²", "[1]", "9" * 5000])
def test_a_number_that_no_candidate_has_is_refused_and_changes_nothing(album: Album, number: str) -> None:
    (album.root / "album.yaml").write_text(SETTINGS)
    with pytest.raises(ParamsError, match=r"Choose one of 0, 1, 2, or best\."):
        override_candidate(album, number)
    assert (album.root / "album.yaml").read_text() == SETTINGS


def test_there_is_nothing_to_choose_before_the_album_is_finished(album: Album) -> None:
    shutil.rmtree(album.completed)
    with pytest.raises(StageError, match="export"):
        override_candidate(album, "0")


def test_settings_are_left_alone_while_a_run_reads_them(album: Album) -> None:
    with album_lock(album), pytest.raises(AlbumError, match="Another run"):
        override_candidate(album, "0")


@pytest.mark.parametrize("text", ["<<: {blend: {feather: 1}}\n", "sample: &a {}\nblend: *a\nfinetune: *a\n"])
def test_settings_that_would_come_to_say_something_else_are_refused(album: Album, text: str) -> None:
    path = album.root / "album.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError, match="by hand"):
        override_candidate(album, "0")
    assert path.read_text() == text


prompts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200)
sections = st.fixed_dictionaries(
    {},
    optional={
        "finetune": st.none() | st.fixed_dictionaries({"prompt": prompts}, optional={"lr_unet": st.floats(0, 1)}),
        "blend": st.none() | st.fixed_dictionaries({}, optional={"feather": st.floats(0, 20)}),
        "profile": st.sampled_from(["quick", "paper", None]),
        "aspect": st.sampled_from(["16:9", "1.5 : 1", None]),
        "outpaint": st.none() | st.fixed_dictionaries({"left": st.sampled_from(["30%", "200px", "1.5 %"])}),
        "polygons": st.none()
        | st.lists(st.lists(st.tuples(st.integers(), st.floats(0, 1e6)), min_size=3), max_size=2),
    },
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=sections, flow=st.sampled_from([None, True, False]))
def test_whatever_the_settings_say_they_still_say_it_after_a_choice(
    album: Album, values: dict[str, object], flow: bool | None
) -> None:
    plain = json.loads(json.dumps(values))
    path = album.root / "album.yaml"
    path.write_text(yaml.safe_dump(plain, default_flow_style=flow, sort_keys=False, allow_unicode=True))
    before = open_album(album.root).settings
    override_candidate(album, "2")
    after = open_album(album.root).settings
    assert after.overrides["blend"] == (plain.get("blend") or {}) | {"candidate": 2}
    override_candidate(album, "best")
    assert load_params(overrides=open_album(album.root).settings.overrides) == load_params(overrides=before.overrides)
    assert after.model_dump(exclude={"overrides": {"blend"}}) == before.model_dump(exclude={"overrides": {"blend"}})


@pytest.mark.parametrize(
    ("text", "told"),
    [(b"blend: {feather: 3}\nblend: {detail: false}\n", "Line 2.*second time"), (b"profile: m\xf6bel\n", "UTF-8")],
)
def test_settings_that_cannot_be_understood_are_left_alone(album: Album, text: bytes, told: str) -> None:
    path = album.root / "album.yaml"
    path.write_bytes(text)
    with pytest.raises(ParamsError, match=told) as caught:
        override_candidate(album, "2")
    assert caught.value.path == path
    assert path.read_bytes() == text


def test_settings_that_are_a_link_are_not_replaced(album: Album) -> None:
    (album.root / "shared.yaml").write_text("profile: quick\n")
    (album.root / "album.yaml").symlink_to("shared.yaml")
    with pytest.raises(ParamsError, match="is a link"):
        override_candidate(album, "2")
    assert (album.root / "album.yaml").is_symlink()
