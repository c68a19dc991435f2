"""Photos that are links into DVC's cache.

With DVC's `cache.type` symlink the files that DVC tracks are links to objects in its cache, which may lie anywhere. A
link is accepted only if what it names is such an object, so that no link leads out of an untrusted album otherwise.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

_OBJECT = re.compile(r"(files/md5/)?[0-9a-f]{2}/[0-9a-f]{30}")  # of DVC 3, and of DVC 2


def is_cache_link(path: Path, album: Path) -> bool:
    """Whether a file is a link to an object in the cache of the DVC repository that an album lies in.

    Args:
        path: The file; the object that it links to need not be there.
        album: The album folder, absolute.
    """
    if not path.is_symlink():
        return False
    repository = next((folder for folder in album.parents if (folder / ".dvc").is_dir()), None)
    if repository is None:
        return False
    folder, target = _cache_folder(repository), Path(os.path.realpath(path))
    return target.is_relative_to(folder) and _OBJECT.fullmatch(target.relative_to(folder).as_posix()) is not None


@cache
def _cache_folder(repository: Path) -> Path:
    """The folder of a DVC repository's cache, as its configuration names it."""
    from dvc.config import Config, ConfigError

    own = repository / ".dvc"
    try:
        configured = Config(str(own))["cache"].get("dir")
    except ConfigError:
        configured = None
    return Path(os.path.realpath(configured or own / "cache"))
