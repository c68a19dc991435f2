"""Albums of a library: how they are named, opened and added."""

import os
import shutil
from pathlib import Path

import pytest
import yaml

from realfill.core.errors import AlbumError, LibraryError, ParamsError
from realfill.library.add_album import add_album
from realfill.library.repository import Library, open_albums
from realfill.library.watched_settings import WATCHED_KEYS
from support.libraries import call, is_up_to_date, make_library, parse_stages, write_tiny_album


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    return make_library(tmp_path / "library")


def test_add_copies_the_album_and_nothing_else(empty: Path, tmp_path: Path) -> None:
    source = write_tiny_album(tmp_path / "attic, 1998 (b&w)")
    (source / "album.yaml").write_text("blend: {feather: 3}\n")
    (source / "notes.txt").write_text("private")
    (source / "ref" / "script.sh").write_text("echo")
    folder = add_album(source, empty)
    assert folder == empty / "data" / "albums" / source.name
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    photos = ["ref/left.png", "target/mask.png", "target/target.png"]
    assert files == sorted(["album.yaml", "dvc.yaml", "ref.dvc", "target.dvc", *photos])
    assert (folder / "target" / "target.png").read_bytes() == (source / "target" / "target.png").read_bytes()
    assert (folder / "dvc.yaml").readlink() == Path("../../../pipelines/album.dvc.yaml")
    assert set(yaml.safe_load((folder / "album.yaml").read_text())) == set(WATCHED_KEYS)
    library = Library.open(empty)
    assert library.album_names == [source.name]
    assert library.params(library.album(source.name)).blend.feather == 3
    assert not is_up_to_date(library, source.name, "validate")


def test_add_refuses_an_album_that_is_there(empty: Path, tmp_path: Path) -> None:
    source = write_tiny_album(tmp_path / "album")
    add_album(source, empty)
    with pytest.raises(LibraryError, match="has an album of that name"):
        add_album(source, empty)


@pytest.mark.parametrize("name", [".hidden", "-rf", "a:b", "a\nb", "a|b", "*", "[ab]"])
def test_add_refuses_names_that_mean_something_else(empty: Path, tmp_path: Path, name: str) -> None:
    source = write_tiny_album(tmp_path / name)
    with pytest.raises((LibraryError, AlbumError), match="name"):
        add_album(source, empty)
    assert Library.open(empty).album_names == []


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
        add_album(source, empty)


def test_add_refuses_settings_that_are_not_understood(empty: Path, tmp_path: Path) -> None:
    source = write_tiny_album(tmp_path / "album")
    (source / "album.yaml").write_text("blend: {fether: 3}\n")
    with pytest.raises(ParamsError, match="fether"):
        add_album(source, empty)


def test_add_leaves_nothing_behind_when_it_fails(empty: Path, tmp_path: Path) -> None:
    source = write_tiny_album(tmp_path / "album")
    (empty / ".dvc" / "cache").mkdir(exist_ok=True)
    (empty / ".dvc" / "cache" / "files").write_text("in the way of DVC's cache")
    with pytest.raises(Exception, match="files"):
        add_album(source, empty)
    assert [path.name for path in (empty / "data" / "albums").iterdir()] == [".gitkeep"]


def test_a_folder_that_is_no_library_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="not a library"):
        add_album(write_tiny_album(tmp_path / "album"), tmp_path)


def test_a_library_is_known_from_any_folder_in_it(empty: Path, tmp_path: Path) -> None:
    folder = add_album(write_tiny_album(tmp_path / "album"), empty)
    for inside in (empty, folder, folder / "ref"):
        assert Library.find(inside) == Library.open(empty)
    for outside in (tmp_path, empty / "no such folder"):
        with pytest.raises(LibraryError, match="realfill init"):
            Library.find(outside)
    with pytest.raises(LibraryError, match="not a library"):
        Library.open(folder)


def test_a_key_that_was_deleted_from_album_yaml_is_added_again(empty: Path, tmp_path: Path) -> None:
    folder = add_album(write_tiny_album(tmp_path / "album"), empty)
    (folder / "album.yaml").write_text("blend: {feather: 3}\n")
    library = Library.open(empty)
    assert library.params(library.album("album")).blend.feather == 3
    assert set(yaml.safe_load((folder / "album.yaml").read_text())) == set(WATCHED_KEYS)


def test_settings_of_a_source_that_stand_twice_are_refused(empty: Path, tmp_path: Path) -> None:
    source = write_tiny_album(tmp_path / "album")
    (source / "album.yaml").write_text("profile: quick\nprofile: best\n")
    with pytest.raises(ParamsError, match="Line 2.*second time"):
        add_album(source, empty)


def test_an_unknown_album_is_refused_with_the_names_of_those_that_exist(empty: Path, tmp_path: Path) -> None:
    add_album(write_tiny_album(tmp_path / "roof"), empty)
    with pytest.raises(LibraryError, match="roof"):
        Library.open(empty).album("rook")


def test_an_album_whose_photos_are_not_here_says_how_to_get_them(empty: Path, tmp_path: Path) -> None:
    folder = add_album(write_tiny_album(tmp_path / "roof"), empty)
    shutil.rmtree(folder / "target")
    with pytest.raises(LibraryError, match="dvc pull"):
        Library.open(empty).album("roof")


def test_albums_that_cannot_be_opened_are_told_apart(tmp_path: Path) -> None:
    for name in ("b", "a", "broken", ".hidden"):
        write_tiny_album(tmp_path / name)
    (tmp_path / "broken" / "target" / "target.png").unlink()
    albums, problems = open_albums(tmp_path)
    assert [album.name for album in albums] == ["a", "b"]
    assert list(problems) == ["broken"]
    assert "no target photo" in problems["broken"]


def test_albums_and_their_parameters_are_those_of_their_own_settings(empty: Path, tmp_path: Path) -> None:
    source = write_tiny_album(tmp_path / "roof")
    (source / "album.yaml").write_text("rank: {matcher: auto}\n")
    add_album(source, empty)
    add_album(write_tiny_album(tmp_path / "tower"), empty)
    library = Library.open(empty)
    assert library.album_names == ["roof", "tower"]
    matchers = [library.params(library.album(name)).rank.matcher for name in library.album_names]
    assert matchers == ["auto", "sift"]


def test_a_folder_whose_name_is_not_utf_8_harms_no_album(library: Library) -> None:
    strange = library.albums_folder / os.fsdecode(b"M\xf6bel")
    shutil.copytree(library.folder("first"), strange, symlinks=True)
    (library.albums_folder / os.fsdecode(b"photos \xff")).mkdir()
    assert parse_stages(call(library.root, "dvc", "repro")) == ["gallery"]
    assert "up to date" in call(library.root, "dvc", "status")
    assert r"M\xf6bel" in (library.root / "data" / "gallery" / "index.html").read_text()
    said = call(library.root, "sh", "-c", "realfill status 2>&1")
    assert r"M\xf6bel is left out" in said and r"photos \xff is left out" in said
    with pytest.raises(AlbumError, match=r"Rename it"):
        add_album(strange, library.root)
    ignored = call(library.root, "sh", "-c", "dvc check-ignore data/albums/möbel 'data/albums/日 (1)'; test $? = 1")
    assert ignored == ""


def test_folders_whose_names_no_album_may_have_are_told_apart(empty: Path, tmp_path: Path) -> None:
    add_album(write_tiny_album(tmp_path / "roof"), empty)
    library = Library.open(empty)
    for name in (os.fsdecode(b"M\xf6bel"), "日" * 80, "roof [2]", "a\nb"):
        (library.albums_folder / name).mkdir()
        (library.albums_folder / name / "dvc.yaml").touch()
    assert library.album_names == ["roof"]
    assert library.misnamed_folders == sorted([r"M\xf6bel", "日" * 80, "roof [2]", r"a\nb"])


@pytest.mark.parametrize("folder", ["ref", "target"])
def test_photos_that_are_not_here_are_told_with_the_command_that_fetches_them(
    empty: Path, tmp_path: Path, folder: str
) -> None:
    shutil.rmtree(add_album(write_tiny_album(tmp_path / "old roof"), empty) / folder)
    library = Library.open(empty)
    assert not library.has_photos("old roof")
    before = library.dvc_files("old roof")[0].read_text()
    library.commit_photos("old roof")
    assert library.dvc_files("old roof")[0].read_text() == before
    command = "dvc pull 'data/albums/old roof/ref.dvc' 'data/albums/old roof/target.dvc'"
    with pytest.raises(LibraryError, match=command):
        library.album("old roof")
