from pathlib import Path

import pytest

from realfill.core.errors import ParamsError
from realfill.core.validation import Section, read_yaml, validate_section


class Inner(Section):
    count: int = 1


class Outer(Section):
    inner: Inner = Inner()
    name: str = "a"


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# nothing yet\n")
    assert read_yaml(tmp_path / "a.yaml") == {}


@pytest.mark.parametrize("text", ["a: [", "- a", "3", "1: a", "a: *missing", "\x00"])
def test_a_file_that_is_no_mapping_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError) as caught:
        read_yaml(path)
    assert caught.value.path == path
    assert caught.value.remedy


def test_a_file_that_is_missing_or_not_utf_8_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a: \xff")
    for name in ("a.yaml", "missing.yaml"):
        with pytest.raises(ParamsError, match="cannot be read as YAML"):
            read_yaml(tmp_path / name)


def test_keys_without_a_value_are_absent() -> None:
    assert validate_section(Outer, {"inner": None, "name": "b"}, None) == Outer(name="b")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"other": 1}, "There is no parameter 'other'. Known here: inner, name."),
        ({"inner": {"other": 1}}, "There is no parameter 'inner.other'. Known here: count."),
        ({"inner": {"count": "many"}}, "The parameter 'inner.count' is 'many'. Input should be a valid integer"),
    ],
)
def test_the_first_error_names_the_key_and_what_is_allowed(values: dict[str, object], message: str) -> None:
    with pytest.raises(ParamsError) as caught:
        validate_section(Outer, values, Path("a.yaml"))
    assert str(caught.value).startswith(f"a.yaml: {message}")


def test_a_long_value_is_shortened_in_the_message() -> None:
    with pytest.raises(ParamsError) as caught:
        validate_section(Outer, {"inner": {"count": "x" * 10_000}}, None)
    assert len(str(caught.value)) < 300
