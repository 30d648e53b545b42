"""A walk through every page of an admin site that is a link or a form away from its index."""

import re
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urljoin, urlsplit

from tests import FULL

ADDRESSES = {"href", "action", "formaction", "src"}
# What of a page a program reads: an address, a value that is sent, a name by which elements find each other.
READ_BY_PROGRAMS = {*ADDRESSES, "value", "min", "max", "id", "for", "name", "datetime", "popovertarget"}
LOCALIZED = re.compile(r"\d[.,'\u00a0\u202f\u066c ]\d{3}\b")
ANOTHER_REQUEST = re.compile(
    r'<span class="action-counter".*\n.*|'  # one whole sentence of Django's, which its script writes again
    r'name="(csrfmiddlewaretoken|event_id|_once)" value="[^"]*"|\b(just now|\d+ seconds?)\b|\d+ s ago|events, \d+ s|'
    r"\d\d:\d\d(:\d\d(\.\d+)?)?"
)
LEAVES = re.compile(r"logout|password_change|jsi18n|/r/|/auth/|language|view-on-site|\.(css|js|svg)")
# Pages whose addresses have other keys, and whose queries have other values, are of one kind.
PAGES, PAGES_OF_A_KIND = (70, 2) if FULL else (45, 1)


VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class _Parser(HTMLParser):
    """Collects the attributes of a page, and what is inside the elements of the class `event-store`."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.own: list[str] = []
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs if value]
        if self._depth or "event-store" in (dict(attrs).get("class") or "").split():
            self.own.append(self.get_starttag_text() or "")
            self._depth += tag not in VOID

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        self._depth -= bool(self._depth)

    def handle_data(self, data: str) -> None:
        if self._depth and data.strip():
            self.own.append(data.strip())


@dataclass
class Page:
    """A page, as a program reads it.

    Attributes:
        attributes: the tag, name and value of every attribute that has one.
        own: the parts of the page that are the store's, without what differs from request to request.
    """

    url: str
    status: int
    html: str
    attributes: list[tuple[str, str, str]] = field(init=False)
    own: str = field(init=False)

    def __post_init__(self) -> None:
        parser = _Parser()
        parser.feed(self.html)
        self.attributes = parser.attributes
        self.own = ANOTHER_REQUEST.sub("", "\n".join(parser.own))

    @property
    def addresses(self) -> list[str]:
        """The addresses that the page leads to, absolute."""
        found = [value for tag, name, value in self.attributes if name in ADDRESSES and not value.startswith("#")]
        return [urljoin(self.url, each) for each in found if not each.startswith(("data:", "javascript:"))]

    @property
    def links(self) -> list[str]:
        """The links of the page."""
        return [urljoin(self.url, value) for tag, name, value in self.attributes if (tag, name) == ("a", "href")]

    def localized(self) -> list[str]:
        """The numbers with a thousand separator in what programs read."""
        return [
            f"{self.url}: {name}={value}"
            for _, name, value in self.attributes
            if (name in READ_BY_PROGRAMS or name.startswith("data-")) and LOCALIZED.search(value)
        ]


def _kind(url: str) -> str:
    parts = urlsplit(url)
    path = re.sub(r"/[^/]+/(change|history)/", r"/…/\1/", parts.path)
    return f"{path}?{sorted(name for name, _ in parse_qsl(parts.query))}"


def crawl(get: Callable[[str], tuple[int, str]], start: str) -> Iterator[Page]:
    """Yield the pages that can be reached from `start` below its address, some of each kind."""
    queue, seen, kinds = deque([start]), {start}, Counter[str]()
    while queue and sum(kinds.values()) < PAGES:
        url = queue.popleft()
        kind = _kind(url)
        if kinds[kind] >= PAGES_OF_A_KIND:
            continue
        kinds[kind] += 1
        page = Page(url, *get(url))
        yield page
        for link in page.links:
            link = link.partition("#")[0]
            if link.startswith(start) and link not in seen and not LEAVES.search(urlsplit(link).path):
                seen.add(link)
                queue.append(link)
