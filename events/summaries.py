"""Exceptions in one line of text that can be stored, sent and shown, whatever the code of a project has raised."""

from typing import Final

MAX_CHARACTERS: Final = 2000


def summary(error: BaseException) -> str:
    """Return the type and the message of an exception in one line."""
    return _cut(f"{type(error).__name__}: {_message(error)}".rstrip(": "))


def message(error: BaseException) -> str:
    """Return the message of an exception in one line; without a message, its type."""
    return _cut(_message(error) or type(error).__name__)


def readable(text: str) -> str:
    """Return `text` with escapes in place of what PostgreSQL cannot store: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")


def _message(error: BaseException) -> str:
    try:
        return " ".join(readable(str(error)).split())
    except Exception as failure:
        return f"its __str__ raised {type(failure).__name__}"


def _cut(line: str) -> str:
    return line if len(line) <= MAX_CHARACTERS else line[: MAX_CHARACTERS - 1] + "…"
