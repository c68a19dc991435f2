"""Which albums are stale, with and without asking DVC."""

from realfill.library.repository import Library
from realfill.library.staleness import FreshnessCache
from support.libraries import change_yaml


def mark_all_fresh(library: Library) -> None:
    cache = FreshnessCache.read(library)
    assert list(cache.find_stale(library.album_names)) == []
    cache.write(library.album_names)


def test_an_unchanged_album_is_fresh_and_a_changed_one_is_stale(library: Library) -> None:
    mark_all_fresh(library)
    photo = library.folder("first") / "ref" / "left.png"
    photo.write_bytes(photo.read_bytes() + b"\0")
    cache = FreshnessCache.read(library)
    assert (cache.is_unchanged("first"), cache.is_unchanged("second")) == (False, True)
    assert list(cache.find_stale(library.album_names)) == ["first"]


def test_a_change_of_the_parameters_file_makes_only_those_albums_stale_that_depend_on_it(library: Library) -> None:
    mark_all_fresh(library)
    change_yaml(library.root / "data" / "albums" / "second" / "album.yaml", "blend", feather=3)
    text = (library.root / "params.yaml").read_text()
    (library.root / "params.yaml").write_text(text + "# a remark\n")
    cache = FreshnessCache.read(library)
    assert not cache.is_unchanged("first")
    assert list(cache.find_stale(library.album_names)) == ["second"]
    assert cache.is_unchanged("first")


def test_a_note_of_the_quarantine_and_files_of_a_run_do_not_change_an_album(library: Library) -> None:
    mark_all_fresh(library)
    folder = library.folder("first")
    (folder / "quarantine.json").write_text("{}")
    (folder / "work" / ".lock").touch()
    assert FreshnessCache.read(library).is_unchanged("first")


def test_an_album_without_results_is_stale(library: Library) -> None:
    (library.folder("first") / "dvc.lock").unlink()
    assert list(FreshnessCache.read(library).find_stale(library.album_names)) == ["first"]


def test_an_album_that_left_the_library_is_forgotten(library: Library) -> None:
    mark_all_fresh(library)
    cache = FreshnessCache.read(library)
    cache.gallery_digest = "shown"
    cache.write(["second", "unknown"])
    stored = FreshnessCache.read(library)
    assert list(stored.fingerprints) == ["second"]
    assert stored.gallery_digest == "shown"


def test_links_into_the_cache_are_followed_by_name_alone(library: Library) -> None:
    photo = library.folder("first") / "ref" / "left.png"
    cached = library.root / ".dvc" / "cache" / "files" / "md5" / "01" / "23456789abcdef0123456789abcdef"
    cached.parent.mkdir(exist_ok=True)
    photo.rename(cached)
    photo.symlink_to(cached)
    cache = FreshnessCache.read(library)
    cache.mark_fresh("first")
    cached.unlink()
    assert cache.is_unchanged("first")
    assert not library.has_photos("first")
