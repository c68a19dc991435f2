import pytest

from realfill.photo_io.place_keywords import find_place_names, redact_list, tells_place


@pytest.mark.parametrize(
    "keyword",
    ["Places|France|Paris", "Location/Paris", "/Orte/Paris", "geotagged > Paris", r"Lieux\Paris", "LUGARES|Paris"]
    + ["geo:lat=48.85", "place:town=Paris", " osm:node=17", "場所|パリ"],
)
def test_hierarchies_of_places_and_machine_tags_tell_a_place(keyword: str) -> None:
    assert tells_place(keyword)


@pytest.mark.parametrize(
    "keyword",
    ["Paris", "People|Paris Hilton", "Places", "and/or", "Workplaces|Desk", "camera:lens=50", "", "|"],
)
def test_other_keywords_tell_none(keyword: str) -> None:
    assert not tells_place(keyword)


def test_levels_of_a_hierarchy_are_places_as_keywords_of_their_own() -> None:
    names = find_place_names(["Places|France|Île de Ré", "People|Ann", "", "Animals"])
    assert names == {"france", "île de ré"}
    assert tells_place("Île de Ré", names) and not tells_place("Ann", names)


def test_keywords_in_one_text_are_overwritten_one_by_one() -> None:
    assert redact_list("roof;Places/Rome;red, geo:lon=4.5;Rome\0", {"rome"}) == "roof;" + " " * 11 + ";red," + (
        " " * 12 + ";    \0"
    )
    assert redact_list("") == ""
