import os

import pytest

from realfill.core.errors import ParamsError
from realfill.delivery.file_names import name_files

PHOTOS = [{"album": "roof", "target": "DSC_1"}, {"album": "tower", "target": "DSC_2"}]


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("{album}", ["roof", "tower"]),
        ("{number} {album}", ["1 roof", "2 tower"]),
        ("{number:04}-{target}", ["0001-DSC_1", "0002-DSC_2"]),
        ("{album}/{target}", ["roof_DSC_1", "tower_DSC_2"]),
        ("{{{album}}}", ["{roof}", "{tower}"]),
    ],
)
def test_names_follow_the_template(template: str, names: list[str]) -> None:
    assert name_files(template, PHOTOS) == names


def test_numbers_have_as_many_digits_as_the_largest() -> None:
    names = name_files("{number}", [{"album": str(number), "target": ""} for number in range(12)])
    assert names[::11] == ["01", "12"]


@pytest.mark.parametrize(
    "template",
    [
        "{name}",
        "{album.__class__}",
        "{album[0]}",
        "{}",
        "{0}",
        "{album!r}",
        "{album:>99}",
        "{number:999}",
        "{",
        "{album",
    ],
)
def test_whatever_else_a_template_asks_for_is_refused(template: str) -> None:
    with pytest.raises(ParamsError, match=r"delivery\.names"):
        name_files(template, PHOTOS)


@pytest.mark.parametrize(
    ("album", "name"),
    [
        ("../roof", "_roof"),
        ("a:b*c?", "a_b_c_"),
        ("con", "_con"),
        ("...", "_"),
        ("roof. ", "roof"),
        (os.fsdecode(b"M\xf6bel"), "M_bel"),
        ("ä" * 150, "ä" * 100),
    ],
)
def test_names_suit_every_file_system(album: str, name: str) -> None:
    assert name_files("{album}", [{"album": album, "target": ""}]) == [name]


@pytest.mark.parametrize("others", [("roof", "ROOF"), ("a:b", "a?b"), ("roof", "roof.authenticity")])
def test_two_photos_of_one_name_are_told(others: tuple[str, str]) -> None:
    with pytest.raises(ParamsError, match="the same name"):
        name_files("{album}", [{"album": name, "target": ""} for name in others])
