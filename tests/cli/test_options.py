"""Where an album's outputs go and which parameters it gets."""

from pathlib import Path

import pytest

from realfill.cli.options import AlbumOptions
from realfill.core.errors import AlbumError, ParamsError
from support.libraries import make_library, write_tiny_album
from support.several_targets import make_several


def write_params(path: Path, feather: float) -> Path:
    path.write_text(f"blend:\n  feather: {feather}\n")
    return path


def test_outputs_go_into_the_album_folder_or_below_out(album_folder: Path, tmp_path: Path) -> None:
    assert AlbumOptions().open(album_folder)[0].out == album_folder
    assert AlbumOptions(out=tmp_path / "out").open(album_folder)[0].out == tmp_path / "out" / "motorcycle"


def test_a_target_is_known_by_the_name_that_it_has_on_pages(album_folder: Path) -> None:
    house = make_several(album_folder)
    for name in ("front", "back"):
        assert AlbumOptions().open(house.with_name(f"{house.name}-{name}"))[0].root == house / "targets" / name
    with pytest.raises(AlbumError, match="no such folder"):
        AlbumOptions().open(house.with_name(f"{house.name}-roof"))


def test_the_parameters_file_of_the_working_directory_is_the_default(
    album_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    default = AlbumOptions().open(album_folder)[1]
    write_params(tmp_path / "params.yaml", 3.5)
    assert AlbumOptions().open(album_folder)[1].blend.feather == 3.5 != default.blend.feather
    other = write_params(tmp_path / "other.yaml", 4.5)
    assert AlbumOptions(params_file=other).open(album_folder)[1].blend.feather == 4.5


def test_an_album_of_a_library_gets_its_parameters_in_any_folder_and_is_known_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = make_library(tmp_path / "library", "roof")
    for folder in (library, library / "data" / "albums" / "roof"):
        monkeypatch.chdir(folder)
        album, params = AlbumOptions().open(Path("roof"))
        assert album.root == library / "data" / "albums" / "roof"
        assert params.rank.matcher == "sift"
    monkeypatch.chdir(tmp_path)
    album, params = AlbumOptions().open(library / "data" / "albums" / "roof")
    assert params.rank.matcher == "sift"
    write_params(tmp_path / "params.yaml", 3.5)
    params = AlbumOptions().open(album.root)[1]
    assert (params.rank.matcher, params.blend.feather) == ("auto", 3.5)
    with pytest.raises(AlbumError, match="no such folder"):
        AlbumOptions().open(Path("roof"))


def test_a_folder_comes_before_an_album_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = make_library(tmp_path / "library", "roof")
    source = write_tiny_album(library / "incoming" / "roof")
    monkeypatch.chdir(source.parent)
    assert AlbumOptions().open(Path("roof"))[0].root == source


def test_an_albums_own_values_override_the_file_and_assignments_override_both(
    album_folder: Path, tmp_path: Path
) -> None:
    params_file = write_params(tmp_path / "params.yaml", 3.5)
    write_params(album_folder / "album.yaml", 5.5)
    assert AlbumOptions(params_file=params_file).open(album_folder)[1].blend.feather == 5.5
    options = AlbumOptions(params_file=params_file, assignments=["blend.feather=6.5"])
    assert options.open(album_folder)[1].blend.feather == 6.5


def test_a_profile_sets_several_values(album_folder: Path) -> None:
    quick = AlbumOptions(profile="quick").open(album_folder)[1]
    assert quick.finetune != AlbumOptions().open(album_folder)[1].finetune


def test_parameters_under_nearly_the_right_name_are_not_passed_over(
    album_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "params.yml").write_text("export: {gps: strip}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match="Rename it to params.yaml"):
        AlbumOptions().open(album_folder)
