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
