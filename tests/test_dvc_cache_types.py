"""Libraries in which DVC links photos and results into its cache instead of copying them."""

import hashlib
from pathlib import Path

import pytest

from realfill.flows.complete_album import complete_album
from realfill.library.add_album import add_album
from realfill.library.repository import Library
from support.fleets import Fleet
from support.libraries import call, change_yaml, copy_library, make_library, parse_stages
from support.nights import flows_of_this_process

ALBUM = "data/albums/roof/dvc.yaml"


def make_linked_library(root: Path, cache_type: str) -> Path:
    """A library whose only album's photos are links into DVC's cache."""
    make_library(root, "roof")
    link(root, cache_type, "data/albums/roof/ref.dvc", "data/albums/roof/target.dvc")
    return root


def link(root: Path, cache_type: str, *files: str) -> None:
    """Have DVC link from now on, and replace what it tracks by links."""
    call(root, "dvc", "config", "--local", "cache.type", cache_type)
    call(root, "dvc", "checkout", "--quiet", "--relink", *files)


def is_linked(path: Path) -> bool:
    return path.is_symlink() or path.stat().st_nlink > 1


def damaged_objects(root: Path) -> list[Path]:
    """The objects of DVC's cache whose content is not the one that they are named by."""
    objects = [path for path in (root / ".dvc" / "cache" / "files" / "md5").rglob("*") if path.is_file()]
    assert objects
    return [
        path
        for path in objects
        if hashlib.md5(path.read_bytes()).hexdigest() != f"{path.parent.name}{path.name.removesuffix('.dir')}"
    ]


@pytest.mark.parametrize("cache_type", ["symlink", "hardlink"])
def test_results_that_are_links_are_replaced_and_not_written_through(tmp_path: Path, cache_type: str) -> None:
    root = make_linked_library(tmp_path / "library", cache_type)
    album = root / "data" / "albums" / "roof"
    assert is_linked(album / "target" / "target.png")
    masks = ("dvc", "repro", f"{ALBUM}:masks")
    assert parse_stages(call(root, *masks)) == ["roof validate", "roof masks"]
    mask = album / "work" / "masks" / "mask.png"
    assert is_linked(mask)
    before = mask.read_bytes()
    change_yaml(root / "params.yaml", "masks", grow=9)
    assert parse_stages(call(root, *masks)) == ["roof masks"]
    assert mask.read_bytes() != before
    assert damaged_objects(root) == []


def test_flows_and_complete_work_on_what_dvc_links(
    finished_library: Path, prefect_server: Fleet, tmp_path: Path
) -> None:
    root = copy_library(finished_library, tmp_path / "library")
    link(root, "symlink")
    photo = root / "data" / "albums" / "roof" / "completed" / "roof.png"
    assert photo.is_symlink()
    before = photo.read_bytes()
    change_yaml(root / "params.yaml", "blend", feather=3)
    with flows_of_this_process(prefect_server, root):
        complete_album("roof", gallery=False)
    assert photo.is_symlink()
    assert photo.read_bytes() != before
    assert parse_stages(call(root, "dvc", "repro", ALBUM)) == []
    assert "up to date" in call(root, "dvc", "status", ALBUM)
    call(root, "realfill", "complete", "data/albums/roof")
    assert damaged_objects(root) == []


def test_an_album_of_links_can_be_added_to_another_library(tmp_path: Path) -> None:
    root = make_linked_library(tmp_path / "library", "symlink")
    copy = add_album(root / "data" / "albums" / "roof", make_library(tmp_path / "other"))
    assert not (copy / "target" / "target.png").is_symlink()
    assert Library.open(tmp_path / "other").album("roof").references[0].stat().st_size > 0
