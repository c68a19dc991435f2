"""Reading the pages that the project writes."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class PageReader(HTMLParser):
    """Collects the tags of a page, and its text outside of scripts and styles.

    Attributes:
        tags: Name and attributes of each tag.
        text: The text.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._is_code = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._is_code = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._is_code = False

    def handle_data(self, data: str) -> None:
        if not self._is_code:
            self.text += data

    def find(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all tags of that name."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def links(self) -> list[str]:
        """Addresses of all pictures and links that are not inside the page itself."""
        addresses = [attributes.get(name) for _, attributes in self.tags for name in ("src", "href")]
        return [address for address in addresses if address and not address.startswith(("data:", "#"))]


def assert_links_lead_to_files(page: Path, reader: PageReader) -> None:
    """Check that every link is relative and leads to a file."""
    assert reader.links
    for link in reader.links:
        assert not urlsplit(link).scheme, link
        assert not link.startswith("/"), link
        assert (page.parent / unquote(link)).is_file(), link
