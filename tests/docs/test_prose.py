"""The worst turns of phrase stay out of the documentation, the code and its messages."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ownproject import ROOT

VERBS = "(?:appends|asks|calls|can|does|expects|has|holds|keeps|leaves|may|must|needs|reads|sees|uses|wants|writes)"

# Turns, each with its better form. A noun before "who" makes it good English.
TURNS = {
    r"\banew\b": "again",
    r"\bof no account\b": "ignored",
    r"\b(?:by|for|from|of|than|to) who\b": "callers that …, users who …",
    rf"(?:^[-*#/ ]*|[.:;!?|(] ?)(?-i:Who) {VERBS}\b(?! \w+ what\b)": "Callers that …, Users who …",
    rf", (?:and|but) who {VERBS}\b": "callers that …, users who …",
    r"\bwhoever\b": "the caller that …, the user who …, every user who …",
    r"\bwithout a word\b": "silently",
    r"\bown affair\b": "name the one that decides",
    r"(?<!connection )\brefus(?:e|ed|es|ing|al|als)\b": "reject, rejected, rejection",
    r"\bgo(?:es|ne)? on with\b": "continue, resume",
    r"\bat hand\b": "available",
    r"\bfor good and all\b": "permanently",
    r"\bin vain\b": "without success",
    r"\bmade ready\b": "prepared",
    r"\b(?:have|has|had) nothing against\b": "allow",
}
PATTERNS = {re.compile(turn, re.IGNORECASE): form for turn, form in TURNS.items()}
FOLDERS = ("benchmarks/", "docs/", "events/", "eventstore_project/", "projections/", "tests/")
ENDINGS = {".html", ".js", ".md", ".py", ".sql"}


def files() -> Iterator[Path]:
    """Yield the files of the checkout that hold prose, without this one."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no checkout")
    for name in sorted(listed.stdout.splitlines()):
        path = ROOT / name
        is_prose = path.suffix in ENDINGS and ("/" not in name or name.startswith(FOLDERS))
        if is_prose and path.exists() and path != Path(__file__).resolve():
            yield path


def turns_in(text: str) -> list[tuple[int, str, str]]:
    """Return the number of the line, the turn and the better form of each turn in a text."""
    return sorted(
        (number, found[0].strip(), form)
        for number, line in enumerate(text.splitlines(), 1)
        for pattern, form in PATTERNS.items()
        for found in pattern.finditer(line)
    )


def test_turns_are_absent() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: “{turn}”; better: {form}"
        for path in files()
        for number, turn, form in turns_in(path.read_text(encoding="utf-8"))
    ]
    assert not found, f"{len(found)} turns:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("text", "turn"),
    [
        ("Build it anew.", "anew"),
        ("cheaper for who asks often", "for who"),
        ("Who may see one category sees no other.", "Who may"),
        ("It ends in a slash, and who leaves it out is sent there.", ", and who leaves"),
        ("It is open. Who asks again waits.", ". Who asks"),
        ("    # Who keeps a position takes it for known.", "# Who keeps"),
        ("the request is refused", "refused"),
    ],
)
def test_turn_is_found(text: str, turn: str) -> None:
    assert [found for _, found, _ in turns_in(f"One line.\n{text}")] == [turn]


@pytest.mark.parametrize(
    "text",
    [
        "Users who may see one category see no other.",
        "callers\nwho ask often",
        "## Who may do what",
        "Who did it?",
        "each operation, and who did what when",
        "connection refused",
        "events_refuse",
    ],
)
def test_plain_english_passes(text: str) -> None:
    assert turns_in(text) == []
