"""Text in which characters that nobody sees are shown: two ids that differ never look the same."""

import re
from typing import Any

# Control, format and bidirectional characters, fillers, and all spaces but the plain one. Line ends and tabs stay: they
# only occur in JSON, which shows them.
_UNSEEN = (
    r"\x00-\x08\x0b-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200b\u200e\u200f"
    r"\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufeff\uffa0\ufff0-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Joiners and variation selectors shape scripts such as Persian, and emoji. Beside other text they change nothing.
_SHAPED = r"[\u0590-\U0001ffff]"
_SHAPING = rf"(?<!{_SHAPED})[\u200c\u200d\ufe00-\ufe0f]|[\u200c\u200d](?!{_SHAPED})"
# `re` compiles them at the first use: each process starts without that.
_IN_TEXT = f"[{_UNSEEN}]|{_SHAPING}"
_IN_NAME = f"{_IN_TEXT}|^ +| +$"


def visible(text: Any) -> str:
    """Return text for people: `⟨U+202E⟩` in place of the unseen character U+202E; spaces at both ends count as unseen.

    It is plain text, so it fits into a title, an attribute and a picture too.
    """
    return re.sub(_IN_NAME, lambda found: "".join(f"⟨U+{ord(each):04X}⟩" for each in found[0]), str(text))


def escaped(json: str) -> str:
    r"""Return the same JSON with an escape such as \u202e in place of each unseen character."""
    return re.sub(_IN_TEXT, lambda found: "".join(_escape(ord(each)) for each in found[0]), json)


def _escape(code: int) -> str:
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
