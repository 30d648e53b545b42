"""Characters that nobody sees are shown."""

import json
import unicodedata

import pytest

from events.admin.visible import escaped, visible

SHOWN = {
    "order-\u202e1": "order-⟨U+202E⟩1",
    "order-1\u200b": "order-1⟨U+200B⟩",
    "a\u2066b\u2069": "a⟨U+2066⟩b⟨U+2069⟩",
    "a\u00a0b": "a⟨U+00A0⟩b",
    "a\u200db": "a⟨U+200D⟩b",
    "a\ufe0f": "a⟨U+FE0F⟩",
    "a\U000e0041": "a⟨U+E0041⟩",
    "\u3164": "⟨U+3164⟩",
    " order-1  ": "⟨U+0020⟩order-1⟨U+0020⟩⟨U+0020⟩",
    "an order": "an order",
    "می\u200cخواهم": "می\u200cخواهم",
    "❤\ufe0f 👩\u200d🚀": "❤\ufe0f 👩\u200d🚀",
    "הזמנה-1 é 注文": "הזמנה-1 é 注文",
    "two\nlines\t": "two\nlines\t",
}


@pytest.mark.parametrize(("text", "shown"), SHOWN.items())
def test_unseen_characters_are_shown(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert json.loads(escaped(json.dumps(text, ensure_ascii=False))) == text


def test_every_format_control_and_space_character_is_shown() -> None:
    # Signs that stand before Arabic, Syriac, Kaithi and Egyptian text are seen, although Unicode calls them format.
    seen = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x13430, 0x13440)}
    unseen = {code for code in range(0x110000) if unicodedata.category(chr(code)) in ("Cc", "Cf", "Zs", "Zl", "Zp")}
    for code in unseen - seen - set(map(ord, "\t\n ")):
        assert visible(f"a{chr(code)}b") == f"a⟨U+{code:04X}⟩b"
