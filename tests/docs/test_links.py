"""Every relative link of the documentation leads to a file that exists and, with an anchor, to a heading of it."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.ownproject import ROOT

ROOT_PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "benchmarks/README.md")
PAGES = sorted([*(ROOT / name for name in ROOT_PAGES), *(ROOT / "docs").rglob("*.md")])


def prose(text: str) -> str:
    """Return a page without its code, where brackets are no links."""
    return re.sub(r"^```.*?^```$|(`+).+?\1", "", text, flags=re.MULTILINE | re.DOTALL)


def links(text: str) -> list[str]:
    return re.findall(r"\[[^\]]*\]\(<?([^)\s>]+)", prose(text)) + re.findall(r"^\[[^\]]+\]: (\S+)", text, re.MULTILINE)


def anchors(text: str) -> Iterator[str]:
    """Yield the anchors that GitHub gives to the headings, in their order."""
    seen: dict[str, int] = {}
    without_code = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", without_code, flags=re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)  # a link counts by its text
        anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        count = seen.get(anchor, 0)
        seen[anchor] = count + 1
        yield f"{anchor}-{count}" if count else anchor


def reason_against(page: Path, link: str) -> str | None:
    """Return what is wrong with a link of a page; None when it is fine, or leads to another site."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_relative_to(ROOT):
        return "leaves the repository"
    if not target.exists():
        return "no such file"
    if not parts.fragment:
        return None
    if target.suffix != ".md":
        return "an anchor of a file that has no headings"
    if unquote(parts.fragment) not in anchors(target.read_text(encoding="utf-8")):
        return "no such heading"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    reasons = [(link, reason_against(page, link)) for link in links(page.read_text(encoding="utf-8"))]
    broken = [f"{page.relative_to(ROOT)}: ({link}): {reason}" for link, reason in reasons if reason]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("README.md", None),
        ("#install", None),
        ("docs/settings.md#standbys", None),
        ("https://example.com/none", None),
        ("docs/no-such-page.md", "no such file"),
        ("docs/settings.md#no-such-heading", "no such heading"),
        ("#no-such-heading", "no such heading"),
        ("LICENSE#terms", "an anchor of a file that has no headings"),
        ("../elsewhere.md", "leaves the repository"),
    ],
)
def test_broken_links_are_found(link: str, reason: str | None) -> None:
    assert reason_against(ROOT / "README.md", link) == reason


def test_links_and_headings_in_code_do_not_count() -> None:
    assert links("`[a](b)` [c](d.md)\n```\n[e](f)\n```\n![g](h.png)\n") == ["d.md", "h.png"]
    page = "# One `two`, [three](x.md)!\n```sh\n# no heading\n```\n## Same\n## Same\n"
    assert list(anchors(page)) == ["one-two-three", "same", "same-1"]


def test_index_of_the_documentation_lists_every_page() -> None:
    index = ROOT / "docs/README.md"
    listed = {link for link in links(index.read_text(encoding="utf-8")) if "/" not in link}
    assert listed >= {page.name for page in index.parent.glob("*.md") if page != index}
