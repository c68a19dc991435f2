"""The library under DVC: what reruns, what does not, and how albums come in."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image, ImageEnhance

from realfill.core.errors import AlbumError, LibraryError, ParamsError
from realfill.core.params import Params, load_params
from realfill.library.repository import SETTINGS_KEYS, Library, add
from realfill.pipeline import STAGES
from support.libraries import PROJECT, call, change_yaml, environment, make_library, ran, write_tiny_album

NAMES = [stage.name for stage in STAGES]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library whose two albums `dvc repro` has completed; only what the second does differently was run for it."""
    root = make_library(tmp_path_factory.mktemp("finished") / "library", "first", "second")
    change_yaml(root / "data" / "albums" / "second" / "album.yaml", "blend", feather=3)
    stages = ran(call(root, "dvc", "repro", "data/albums/first/dvc.yaml"))
    assert stages == [f"first {name}" for name in NAMES]
    assert ran(call(root, "dvc", "repro")) == ["second blend", "second export", "gallery"]
    return root


@pytest.fixture
def library(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished library."""
    return Path(shutil.copytree(finished, tmp_path / "library", symlinks=True))


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    return make_library(tmp_path / "library")


def test_a_bare_repro_delivers_every_album_and_the_page_that_lists_them(finished: Path) -> None:
    for name in ("first", "second"):
        completed = finished / "data" / "albums" / name / "completed"
        photo = completed / json.loads((completed / f"{name}.json").read_text())["photo"]
        with Image.open(photo) as image:
            assert image.size == (185, 125)
    page = (finished / "data" / "gallery" / "index.html").read_text()
    assert "first" in page
    assert "second" in page


def test_a_second_repro_does_nothing(library: Path) -> None:
    assert ran(call(library, "dvc", "repro")) == []
    assert "up to date" in call(library, "dvc", "status")


def test_git_is_offered_the_pipelines_and_locks_but_no_photo_and_no_output(library: Path) -> None:
    offered = call(library, "git", "ls-files", "--others", "--exclude-standard", "data", "dvc.lock").split()
    files = ("album.yaml", "dvc.lock", "dvc.yaml", "ref.dvc", "target.dvc")
    albums = [f"data/albums/{album}/{file}" for album in ("first", "second") for file in files]
    assert sorted(offered) == sorted(["data/.gitignore", "dvc.lock", *albums])


def test_a_blend_parameter_reruns_blend_and_export_of_every_album(library: Path) -> None:
    change_yaml(library / "params.yaml", "blend", feather=2.5)
    assert sorted(ran(call(library, "dvc", "repro"))) == [
        "first blend",
        "first export",
        "gallery",
        "second blend",
        "second export",
    ]


def test_an_override_reruns_that_albums_stages_alone(library: Path) -> None:
    change_yaml(library / "data" / "albums" / "second" / "album.yaml", "blend", feather=2.5)
    assert ran(call(library, "dvc", "repro")) == ["second blend", "second export", "gallery"]


def test_a_changed_photo_reruns_its_album_alone(library: Path) -> None:
    path = library / "data" / "albums" / "first" / "ref" / "left.png"
    with Image.open(path) as image:
        darker = ImageEnhance.Brightness(image).enhance(0.9)
    darker.save(path)
    stale = {target.removeprefix("data/albums/") for target in json.loads(call(library, "dvc", "status", "--json"))}
    stages = ("validate", "align", "finetune", "rank", "blend", "export")
    assert stale == {"gallery", "first/ref.dvc", *(f"first/dvc.yaml:{name}" for name in stages)}
    assert ran(call(library, "dvc", "repro", "data/albums/first/dvc.yaml:validate")) == ["first validate"]
    assert "up to date" in call(library, "dvc", "status", "data/albums/first/ref.dvc")


def test_the_library_takes_up_a_changed_photo(library: Path) -> None:
    shelf = Library.open(library)
    album = shelf.album("first")
    assert shelf.is_current(album, "validate")
    shutil.copyfile(album.target, album.references[0].with_name("another.png"))
    assert not shelf.is_current(album, "validate")
    shelf.record_photos("first")
    assert "up to date" in call(library, "dvc", "status", "data/albums/first/ref.dvc")


def test_new_weights_of_the_base_model_call_for_tuning_and_sampling_again(library: Path) -> None:
    (library / "models" / "pocket" / "tokenizer" / "merges.txt").write_text("#version: 0.2\na b\n")
    stale = json.loads(call(library, "dvc", "status", "--json"))
    assert {target.removeprefix("data/albums/") for target in stale} == {
        f"{album}/dvc.yaml:{stage}" for album in ("first", "second") for stage in ("finetune", "sample")
    }


def test_albums_with_the_same_photos_share_the_work_but_not_the_names(library: Path, tmp_path: Path) -> None:
    add(write_tiny_album(tmp_path / "twin"), library)
    assert ran(call(library, "dvc", "repro")) == ["twin export", "gallery"]
    completed = library / "data" / "albums" / "twin" / "completed"
    assert json.loads((completed / "twin.json").read_text())["album"] == "twin"


def test_metrics_and_the_loss_curve_are_shown(library: Path) -> None:
    shown = json.loads(call(library, "dvc", "metrics", "show", "--json"))[""]["data"]
    assert set(shown) == {
        f"data/albums/{album}/work/{stage}/metrics.json"
        for album in ("first", "second")
        for stage in ("evaluate", "finetune", "rank")
    }
    plots = json.loads(call(library, "dvc", "plots", "show", "--json"))["data"]
    assert len(plots) == 2
    for (plot,) in plots.values():
        points = plot["content"]["data"]["values"]
        assert len({point["step"] for point in points}) == 2
        assert all(float(point["loss"]) > 0 for point in points)


def test_recording_waits_for_another_process_that_records(library: Path) -> None:
    for album in ("first", "second"):
        (library / "data" / "albums" / album / "dvc.lock").unlink()
    code = (
        "import sys; from pathlib import Path; from realfill.library import Library\n"
        "library = Library.open(Path()); album = library.album(sys.argv[1])\n"
        "for stage in sys.argv[2:]: library.record(album, stage)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, album, *NAMES], cwd=library, env=environment(library))
        for album in ("first", "second")
    ]
    assert [process.wait() for process in processes] == [0, 0]
    assert ran(call(library, "dvc", "repro", "data/albums/first/dvc.yaml", "data/albums/second/dvc.yaml")) == []


def test_add_copies_the_album_and_nothing_else(empty: Path, tmp_path: Path) -> None:
    source = write_tiny_album(tmp_path / "attic, 1998 (b&w)")
    (source / "album.yaml").write_text("blend: {feather: 3}\n")
    (source / "notes.txt").write_text("private")
    (source / "ref" / "script.sh").write_text("echo")
    folder = add(source, empty)
    assert folder == empty / "data" / "albums" / source.name
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    photos = ["ref/left.png", "target/mask.png", "target/target.png"]
    assert files == sorted(["album.yaml", "dvc.yaml", "ref.dvc", "target.dvc", *photos])
    assert (folder / "target" / "target.png").read_bytes() == (source / "target" / "target.png").read_bytes()
    assert (folder / "dvc.yaml").readlink() == Path("../../../pipelines/album.dvc.yaml")
    assert set(yaml.safe_load((folder / "album.yaml").read_text())) == set(SETTINGS_KEYS)
    library = Library.open(empty)
    assert library.albums == [source.name]
    assert library.params(library.album(source.name)).blend.feather == 3
    assert not library.is_current(library.album(source.name), "validate")


def test_add_refuses_an_album_that_is_there(empty: Path, tmp_path: Path) -> None:
    source = write_tiny_album(tmp_path / "album")
    add(source, empty)
    with pytest.raises(LibraryError, match="has an album of that name"):
        add(source, empty)


@pytest.mark.parametrize("name", [".hidden", "-rf", "a:b", "a\nb", "$(id)", "*"])
def test_add_refuses_names_that_mean_something_else(empty: Path, tmp_path: Path, name: str) -> None:
    source = write_tiny_album(tmp_path / name)
    with pytest.raises((LibraryError, AlbumError), match="name"):
        add(source, empty)
    assert Library.open(empty).albums == []


@pytest.mark.parametrize("name", ["..", ".", "", "../..", "/etc", "a/b", "a" * 300])
def test_no_name_leads_out_of_the_library(empty: Path, name: str) -> None:
    with pytest.raises(LibraryError, match="cannot be the name"):
        Library.open(empty).album(name)


@pytest.mark.parametrize("link", ["ref", "target", "ref/left.png", "album.yaml"])
def test_add_refuses_links(empty: Path, tmp_path: Path, link: str) -> None:
    source = write_tiny_album(tmp_path / "album")
    (source / "album.yaml").write_text("{}\n")
    (source / link).rename(source / "inside")
    (source / link).symlink_to(source / "inside")
    with pytest.raises(LibraryError, match="This is a link"):
        add(source, empty)


def test_add_refuses_settings_that_are_not_understood(empty: Path, tmp_path: Path) -> None:
    source = write_tiny_album(tmp_path / "album")
    (source / "album.yaml").write_text("blend: {fether: 3}\n")
    with pytest.raises(ParamsError, match="fether"):
        add(source, empty)


def test_add_leaves_nothing_behind_when_it_fails(empty: Path, tmp_path: Path) -> None:
    source = write_tiny_album(tmp_path / "album")
    (empty / ".dvc" / "cache").mkdir(exist_ok=True)
    (empty / ".dvc" / "cache" / "files").write_text("in the way of DVC's cache")
    with pytest.raises(Exception, match="files"):
        add(source, empty)
    assert list((empty / "data" / "albums").iterdir()) == []


def test_a_folder_that_is_no_library_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="not a library"):
        add(write_tiny_album(tmp_path / "album"), tmp_path)


def test_a_key_that_was_deleted_from_album_yaml_is_asked_for(empty: Path, tmp_path: Path) -> None:
    folder = add(write_tiny_album(tmp_path / "album"), empty)
    (folder / "album.yaml").write_text("blend: {feather: 3}\n")
    with pytest.raises(LibraryError, match="boxes"):
        Library.open(empty).album("album")


def test_the_pipeline_watches_what_the_stages_declare() -> None:
    stages = yaml.safe_load((PROJECT / "pipelines" / "album.dvc.yaml").read_text())["stages"]
    assert list(stages) == NAMES
    for stage in STAGES:
        entry = stages[stage.name]
        params = {file: keys for group in entry["params"] for file, keys in group.items()}
        assert {f"work/{name}" for name in stage.reads} <= set(entry["deps"]), stage.name
        assert {"profile", *stage.sections} <= set(params["album.yaml"]), stage.name
        assert {"profile", *stage.sections} <= {key.split(".")[0] for key in params["../../../params.yaml"]}, (
            stage.name
        )
        assert ("../../../models/pocket/unet" in entry["deps"]) == stage.uses_model, stage.name


def test_params_yaml_states_every_parameter_with_its_default() -> None:
    path = PROJECT / "params.yaml"
    assert load_params(path) == Params()
    assert yaml.safe_load(path.read_text()) == Params().model_dump(mode="json", by_alias=True)
