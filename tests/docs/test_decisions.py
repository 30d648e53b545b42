"""The pages of the decisions have one form, and the index lists each of them."""

import re
from pathlib import Path

import pytest

DECISIONS = Path(__file__).resolve().parents[2] / "docs" / "decisions"
PAGES = sorted(path.name for path in DECISIONS.glob("*.md") if path.name != "README.md")


def test_the_index_lists_each_page_once_and_no_other() -> None:
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\]\(([^)]+)\)", index)) == PAGES


def test_no_number_is_used_twice() -> None:
    numbers = [name[:4] for name in PAGES]
    assert numbers == [f"{number:04}" for number in range(1, len(PAGES) + 1)]


@pytest.mark.parametrize("name", PAGES)
def test_each_page_has_the_same_headings(name: str) -> None:
    text = (DECISIONS / name).read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == [
        "Context",
        "Decision",
        "What was measured",
        "What it costs",
    ]
