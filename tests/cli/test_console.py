"""What the commands print, as a user and a script read it."""

import logging
import re

import pytest

from realfill.cli.console import configure_logging, print_error, print_line, print_message, progress_bars
from realfill.core.errors import PhotoError
from realfill.core.progress import ProgressUpdate

LONG = "/srv/[a-z]/[bold]\\[/bold]/:pear:\t/" + "x" * 300 + "/photo 1.jpg"


def test_a_result_is_one_line_on_stdout_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_line(LONG)
    assert capsys.readouterr() == (f"{LONG}\n", "")


def test_a_hint_is_one_line_on_stderr_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_message("Run `git add '[a-z] :pear:'`." + "x" * 300)
    assert capsys.readouterr() == ("", "Run `git add '[a-z] :pear:'`." + "x" * 300 + "\n")


def test_an_error_is_one_line_on_stderr_with_its_path_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(PhotoError("It is damaged.", "Replace it.", LONG))
    assert capsys.readouterr() == ("", "error: " + LONG.replace("\t", r"\t") + ": It is damaged. Replace it.\n")


@pytest.mark.parametrize(("verbose", "level"), [(False, logging.WARNING), (True, logging.INFO)])
def test_verbose_lets_informational_messages_through(verbose: bool, level: int) -> None:
    root, package = logging.getLogger(), logging.getLogger("realfill")
    before = root.handlers[:], root.level, package.level
    try:
        configure_logging(verbose=verbose)
        assert logging.getLogger("realfill.matching").getEffectiveLevel() == level
        assert logging.getLogger("other").getEffectiveLevel() == logging.WARNING
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        package.setLevel(before[2])


def test_progress_bars_leave_nothing_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars() as on_progress:
        for done in (1, 2):
            on_progress(ProgressUpdate("finetune", done, 2, loss=0.25, seconds_left=1.0, steps_per_second=2.0))
        on_progress(ProgressUpdate("sample", 1, 1, loss=None, seconds_left=0.0, steps_per_second=2.0))
    output, errors = capsys.readouterr()
    assert output == ""
    assert re.sub(r"\s", "", errors) == "" or "finetune" in errors
