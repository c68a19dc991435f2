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


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a:\n\tb: c", "Line 2, column 1: there is a tab, which YAML does not allow here. Indent with spaces"),
        (
            "a: 1\nb: {c: [1, 2}\n",
            "Line 2, column 13: while parsing a flow sequence from line 2, expected ',' or ']'",
        ),
        ("a: 'b\n\n", "from line 1, found unexpected end of stream"),
        ("a: 1\nb\n", "Line 3, column 1:"),
        ("a: 1\n\nbß: \x07", r"Line 3, column 5: a character that YAML does not allow \(U\+0007\)"),
        ("a: 1\nb: !!int one", "Line 2, column 4: the value cannot be understood"),
        ("a: 1\na: 1", "Line 2, column 1: the key 'a' stands here for the second time, and in line 1"),
        ("a: " + "[" * 5000, "nested too deeply"),
    ],
)
def test_what_is_not_yaml_is_told_with_its_place_and_its_cause(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError, match=told) as caught:
        read_yaml(path)
    assert caught.value.path == path
    assert "repository" not in str(caught.value)


def test_a_byte_that_is_not_utf_8_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a: 1\nb: M\xf6bel\n")
    with pytest.raises(ParamsError, match="line 2 is not UTF-8 text. Save it as UTF-8"):
        read_yaml(tmp_path / "a.yaml")


def test_merged_keys_may_be_overridden(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: &a {x: 1}\nb: &b {<<: *a, x: 2}\nc: {<<: *b, x: 3}\n")
    assert read_yaml(tmp_path / "a.yaml") == {"a": {"x": 1}, "b": {"x": 2}, "c": {"x": 3}}


def test_a_mistyped_key_is_told_though_it_has_no_value() -> None:
    with pytest.raises(ParamsError, match="no parameter 'innner'"):
        validate_section(Outer, {"innner": None}, None)


def test_keys_without_a_value_are_absent() -> None:
    assert validate_section(Outer, {"inner": None, "name": "b"}, None) == Outer(name="b")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"other": 1}, "There is no parameter 'other'. Known here: inner, name."),
        ({"inner": {"other": 1}}, "There is no parameter 'inner.other'. Known here: count."),
        (
            {"inner": {"name": 1}},
            "There is no parameter 'inner.name'. Known here: count. 'name' stands outside of 'inner'.",
        ),
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
