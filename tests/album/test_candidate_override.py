"""Choosing another candidate: what it changes, what it leaves alone, and that it lasts."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realfill.album.candidate_override import pick
from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.lock import album_lock
from realfill.core.errors import AlbumError, ParamsError, StageError
from realfill.core.params import load_params
from realfill.library.repository import Library
from realfill.stages import export
from support.finished_album import finish
from support.libraries import call, change_yaml, make_library, parse_stages

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
    export.run(album, load_params())
    return album


def chosen(library: Path) -> int:
    """The candidate that the album `attic` delivers."""
    document = library / "data" / "albums" / "attic" / "completed" / "attic.json"
    return int(json.loads(document.read_text())["candidate"])


def test_dvc_reruns_blend_and_export_alone_and_the_choice_outlasts_later_nights(tmp_path: Path) -> None:
    library = make_library(tmp_path / "library", "attic")
    call(library, "dvc", "repro")
    best = chosen(library)
    other = 1 if best == 0 else 0
    call(library, "realfill", "pick", "attic", str(other))
    assert parse_stages(call(library, "dvc", "repro")) == ["attic blend", "attic export", "gallery"]
    assert chosen(library) == other
    assert parse_stages(call(library, "dvc", "repro")) == []
    change_yaml(library / "params.yaml", "blend", feather=2.5)
    assert parse_stages(call(library, "dvc", "repro")) == ["attic blend", "attic export", "gallery"]
    assert chosen(library) == other
    call(library, "realfill", "pick", "attic", "best")
    stale = json.loads(call(library, "dvc", "status", "--json"))
    assert set(stale) == {"gallery", *(f"data/albums/attic/dvc.yaml:{stage}" for stage in ("blend", "export"))}
    shelf = Library.open(library)
    assert shelf.params(shelf.album("attic")).blend.candidate == "best"


def test_the_choice_is_made_in_the_settings_and_nothing_else_in_them_changes(album: Album) -> None:
    path = album.root / "album.yaml"
    path.write_text(SETTINGS)
    pick(album, "2")
    assert path.read_text() == SETTINGS.replace("feather", "candidate: 2\n  feather")
    assert load_params(overrides=open_album(album.root).settings.overrides).blend.candidate == 2
    pick(album, "0")
    assert load_params(overrides=open_album(album.root).settings.overrides).blend.candidate == 0
    pick(album, "best")
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
    pick(album, "2")
    assert open_album(album.root).settings.overrides["blend"] == {"candidate": 2}
    comment = text.partition("#")[2]
    assert comment in path.read_bytes().decode()
    pick(album, "best")
    assert load_params(overrides=open_album(album.root).settings.overrides).blend.candidate == "best"


def test_an_album_without_settings_takes_a_choice(album: Album) -> None:
    pick(album, "best")
    assert not (album.root / "album.yaml").exists()
    pick(album, "1")
    assert open_album(album.root).settings.overrides == {"blend": {"candidate": 1}}


@pytest.mark.parametrize("number", ["3", "-1", "1.5", "01", "one", "", "²", "[1]", "9" * 5000])
def test_a_number_that_no_candidate_has_is_refused_and_changes_nothing(album: Album, number: str) -> None:
    (album.root / "album.yaml").write_text(SETTINGS)
    with pytest.raises(ParamsError, match=r"Choose one of 0, 1, 2, or best\."):
        pick(album, number)
    assert (album.root / "album.yaml").read_text() == SETTINGS


def test_the_command_takes_a_folder_and_tells_how_to_mend_a_mistake(album: Album) -> None:
    def run(candidate: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "realfill", "pick", album.name, candidate]
        return subprocess.run(command, cwd=album.root.parent, capture_output=True, text=True, check=False)

    done = run("2")
    assert (done.returncode, done.stderr) == (0, "Run `realfill complete motorcycle` to deliver it.\n")
    assert open_album(album.root).settings.overrides == {"blend": {"candidate": 2}}
    for number in ("-1", "7"):
        done = run(number)
        assert done.returncode == 1
        assert f"There is no candidate '{number}'. Choose one of 0, 1, 2, or best." in done.stderr


def test_there_is_nothing_to_choose_before_the_album_is_finished(album: Album) -> None:
    shutil.rmtree(album.completed)
    with pytest.raises(StageError, match="export"):
        pick(album, "0")


def test_settings_are_left_alone_while_a_run_reads_them(album: Album) -> None:
    with album_lock(album), pytest.raises(AlbumError, match="Another run"):
        pick(album, "0")


@pytest.mark.parametrize("text", ["<<: {blend: {feather: 1}}\n", "sample: &a {}\nblend: *a\nfinetune: *a\n"])
def test_settings_that_would_come_to_say_something_else_are_refused(album: Album, text: str) -> None:
    path = album.root / "album.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError, match="by hand"):
        pick(album, "0")
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
    pick(album, "2")
    after = open_album(album.root).settings
    assert after.overrides["blend"] == (plain.get("blend") or {}) | {"candidate": 2}
    pick(album, "best")
    assert load_params(overrides=open_album(album.root).settings.overrides) == load_params(overrides=before.overrides)
    assert after.model_dump(exclude={"overrides": {"blend"}}) == before.model_dump(exclude={"overrides": {"blend"}})
