from pathlib import Path

import pytest

from realfill.diffusion import digest_cache


def test_digests_of_large_files_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(digest_cache, "SMALLEST", 3)
    path = tmp_path / "weights"
    path.write_bytes(b"four")
    first = digest_cache.cached_digest(path)
    with monkeypatch.context() as patched:
        patched.setattr(digest_cache, "digest", lambda _: pytest.fail("read again"))
        assert digest_cache.cached_digest(path) == first
    path.write_bytes(b"other")
    assert digest_cache.cached_digest(path) != first
