"""JSON as HTML that users can read, fold and search, with marks on the changes since another JSON object."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from events.jsonb import pretty
from events.visible import escaped, visible

# The limits of a tree, which says how much it leaves out.
MAX_VALUES = 300
MAX_TEXT_CHARACTERS = 600
MAX_DEPTH = 40
MAX_INDENTED_CHARACTERS = 100_000
MAX_BLOCK_CHARACTERS = 250_000

_NOTHING: Final = object()


def tree(
    value: dict[str, Any] | None,
    before: dict[str, Any] | None = None,
    max_values: int = MAX_VALUES,
    urls: Mapping[str, str] | None = None,
) -> SafeString:
    """Return a JSON object as nested lists; an empty object, or none, gives an empty string.

    Args:
        before: the object to compare with: added, changed and removed values are marked.
        max_values: the largest number of values to show.
        urls: the addresses behind the values of some keys of the object.
    """
    lines = "".join(_Drawing(max_values, urls or {}).members(value, _NOTHING if before is None else before))
    return format_html('<ul class="json-tree" dir="ltr">{}</ul>', mark_safe(lines)) if lines else SafeString()  # noqa: S308  # escaped below


def block(value: Any) -> SafeString:
    """Return JSON as preformatted text; large JSON on one line, because indented text is many times longer."""
    text = pretty(value, indent=None) if value else "{}"
    return text_block(text if len(text) > MAX_INDENTED_CHARACTERS or not value else pretty(value))


def text_block(text: str) -> SafeString:
    """Return JSON text as preformatted text, cut off at MAX_BLOCK_CHARACTERS."""
    cut = SafeString(" data-cut") if len(text) > MAX_BLOCK_CHARACTERS else ""
    return format_html('<pre class="event-json" dir="ltr"{}>{}</pre>', cut, escaped(_short(text, MAX_BLOCK_CHARACTERS)))


class _Drawing:
    """The state of one tree while it is written."""

    def __init__(self, max_values: int, urls: Mapping[str, str]) -> None:
        self._left = max_values
        self._urls = urls  # by the keys of the outermost object
        self._depth = 0

    def members(self, value: Any, before: Any) -> Iterator[SafeString]:
        """Yield the lines of an object or a list; each value is compared with the value of the same key or index."""
        for number, (key, member) in enumerate(_members(value)):
            if self._left <= 0:
                yield format_html('<li class="json-more">{} more</li>', len(value) - number)
                return
            self._left -= 1
            then = _member(before, key)
            if before is _NOTHING:
                yield self._line(key, member, _NOTHING, "")
            elif then is _NOTHING:
                yield self._line(key, member, _NOTHING, "json-added")
            else:
                yield self._line(key, member, then, "" if _same(member, then) else "json-changed")
        for key, member in _members(before):
            if _member(value, key) is _NOTHING:
                if self._left <= 0:
                    yield format_html('<li class="json-more">{}</li>', "more were removed")
                    return
                self._left -= 1
                yield format_html('<li class="json-removed"><del>{}{}</del></li>', _label(key), _leaf(member))

    def _line(self, key: Any, value: Any, before: Any, mark: str) -> SafeString:
        if not isinstance(value, dict | list) or not value or self._depth == MAX_DEPTH:
            was: Any = ""
            if mark == "json-changed":
                was = format_html("<del>{}</del> ", _leaf(before))
            shown = format_html("<ins>{}</ins>", _leaf(value)) if mark else _leaf(value)
            if self._depth == 0 and (url := self._urls.get(key)):
                shown = format_html('<a href="{}">{}</a>', url, shown)
            return format_html('<li class="json-leaf {}">{}{}{}</li>', mark, _label(key), was, shown)
        inside = before if mark == "json-changed" and type(before) is type(value) else _NOTHING
        self._depth += 1
        lines = "".join(self.members(value, inside))
        self._depth -= 1
        return format_html(
            '<li class="{}"><details open><summary>{}<span class="json-size">{}</span></summary>'
            "<ul>{}</ul></details></li>",
            mark,
            _label(key),
            f"[{len(value)}]" if isinstance(value, list) else f"{{{len(value)}}}",
            mark_safe(lines),  # noqa: S308  # every line is escaped
        )


def _members(value: Any) -> Iterable[tuple[Any, Any]]:
    """Return the keys and values of an object, or the indexes and values of a list."""
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def _member(value: Any, key: Any) -> Any:
    if isinstance(value, dict):
        return value.get(key, _NOTHING)
    return value[key] if isinstance(value, list) and key < len(value) else _NOTHING


def _same(one: Any, other: Any) -> bool:
    """Return whether two values are the same JSON: in Python, True == 1 == 1.0."""
    return bool(one == other) and pretty(one, indent=None) == pretty(other, indent=None)


def _label(key: Any) -> SafeString:
    """Return the key of a value in an object as HTML; an empty string for an index in a list."""
    return (
        format_html('<span class="json-key">{}</span>: ', visible(_short(key)))
        if isinstance(key, str)
        else SafeString()
    )


def _leaf(value: Any) -> SafeString:
    """Return a value on one line."""
    if isinstance(value, dict | list):
        kind, text = (
            "json-size",
            ("{}" if isinstance(value, dict) else "[]") if not value else _short(pretty(value, indent=None)),
        )
    elif isinstance(value, str):
        kind, text = "json-string", _short(value)
    else:
        kind, text = "json-other", pretty(value)
    return format_html('<span class="{}">{}</span>', kind, visible(text))


def _short(text: str, characters: int = MAX_TEXT_CHARACTERS) -> str:
    return text if len(text) <= characters else f"{text[:characters]}… ({len(text) - characters:,} more characters)"
