"""The documentation leads nowhere into the void."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"), *PROJECT.glob("training/*/*.md")])
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        leads_to = (page.parent / link).resolve() if link else page
        assert leads_to.exists(), link
        assert not anchor or anchor in anchors(leads_to), f"{link}#{anchor}"


@pytest.mark.parametrize("page", sorted(PROJECT.glob("docs/*.md")), ids=lambda page: page.name)
def test_links_of_the_site_stay_in_it(page: Path) -> None:
    for link, _ in LINK.findall(page.read_text(encoding="utf-8")):
        assert not link or (page.parent / link).resolve().is_relative_to(PROJECT / "docs"), link
