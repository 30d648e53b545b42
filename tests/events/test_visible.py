"""Characters that nobody sees are shown."""

import json
import re
import unicodedata

import pytest
from django.test import Client

from events.admin.charts import stacked_bars
from events.store import EventStore
from events.visible import escaped, visible
from tests.events.support import ADD, EVENTS, form_of, history_url, page
from tests.support import new, stored

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


@pytest.mark.django_db
def test_no_page_shows_an_unseen_character_as_it_is(staff: Client, store: EventStore) -> None:
    name, text = "order-\u202e1\u200b ", "a\u202e\u2066b"
    flow = {"correlation_id": f"c{text}", "actor": text, text: text}
    first, second = store.dispatch(
        new(name, f"T{text}", data={text: [text]}, metadata=flow),
        new(name, f"T{text}", data={text: "b"}, metadata=flow | {"causation_id": "x"}),
    )
    of_cause = {"causation_id": str(first.event_id)}
    store.dispatch(new("b-1", metadata=of_cause), new(f"c{text}-1"))
    pages = (
        EVENTS,
        f"{EVENTS}{first.position}/change/",
        f"{EVENTS}{second.position}/change/",
        "/admin/events/aggregate/",
        history_url(name),
        history_url("b-1"),
        "/admin/",
    )
    for url in pages:
        html = page(staff, url)
        assert "U+202E" in html or "\\u202e" in html
        assert all(map(str.isascii, re.findall('href="([^"]*)"', html))), url
        # The values of the fields of forms stay exact; a browser shows none of them as text.
        seen = re.sub(r'value="[^"]*"', "", html)
        assert not set("\u202e\u2066\u200b") & set(seen), url
    conflict = staff.post(ADD, form_of(staff, name) | {"expected_version": "1"}).content.decode()
    assert "order-⟨U+202E⟩1⟨U+200B⟩⟨U+0020⟩ was at version 1" in conflict


def test_charts_show_unseen_characters() -> None:
    chart = stacked_bars(["now"], {"a\u202e": [1]})
    assert chart.series[0][0] == "a⟨U+202E⟩"
    assert "a⟨U+202E⟩" in chart.segments[0].text


@pytest.mark.django_db
def test_log_of_the_admin_shows_unseen_characters(staff: Client, store: EventStore) -> None:
    name = "order-\u202e1"
    staff.post(ADD, form_of(staff, name) | {"type": "Placed"})
    (event,) = store.get_events_for_aggregate(name)
    for url in ("/admin/", f"{EVENTS}{event.position}/history/"):
        html = page(staff, url)
        assert "order-⟨U+202E⟩1 1: Placed" in html
        assert "\u202e" not in html


@pytest.mark.django_db
@pytest.mark.parametrize("name", [" order-1", "order-1 ", "\u202eorder-1"])
def test_spaces_and_unseen_characters_of_a_name_are_kept(staff: Client, store: EventStore, name: str) -> None:
    assert staff.post(ADD, form_of(staff, name) | {"type": name}).status_code == 302
    assert stored() == [(name, 1)]
    (event,) = store.get_events_for_aggregate(name)
    assert event.type == name
    store.dispatch(new("order-1"))
    for parameters in ({"aggregate_id": name}, {"type": name}):
        found = page(staff, EVENTS, **parameters).partition('id="result_list"')[2]
        assert found.count("<tr>") == 2, parameters
    assert form_of(staff, name)["expected_version"] == "1"
