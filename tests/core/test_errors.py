import os
from pathlib import Path

import pytest

from realfill.core.errors import PhotoError, RealFillError, RemoteError, SpaceError, TransientError


def test_an_error_names_the_file_the_problem_and_the_remedy() -> None:
    assert (
        str(PhotoError("It is damaged.", "Leave it out.", "ref/a.jpg")) == "ref/a.jpg: It is damaged. Leave it out."
    )
    assert str(PhotoError("It is damaged.", "Leave it out.")) == "It is damaged. Leave it out."
    assert PhotoError("", "", "a.jpg").path == Path("a.jpg")


@pytest.mark.parametrize("kind", [RemoteError, SpaceError])
def test_what_the_environment_causes_is_transient(kind: type[RealFillError]) -> None:
    assert issubclass(kind, TransientError)


def test_an_error_is_printable_whatever_the_file_is_called() -> None:
    error = PhotoError("It is\x1b[2J damaged.", "Leave\nit out.", os.fsdecode(b"M\xf6b\n.jpg"))
    assert str(error) == "M\\xf6b\\n.jpg: It is\\x1b[2J damaged. Leave\nit out."
    assert str(PhotoError("a\ud800b", "日本　é", "हिन्दी")) == "हिन्दी: a\\ud800b 日本　é"
