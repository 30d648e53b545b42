"""Links lead to pages that exist and that the user may open; elsewhere there is bare text."""

from collections.abc import Callable

from django.contrib import admin
from django.contrib.auth.models import User
from django.test import RequestFactory

from events.admin import links
from events.models import Event


def test_address_holds_key_and_parameters() -> None:
    assert links.event_url("admin", 7) == "/admin/events/event/7/change/"
    assert links.event_list_url("admin", type="a&b") == "/admin/events/event/?type=a%26b"
    assert links.page_url("admin", "events_aggregate_change", "a/b?c") == "/admin/events/aggregate/a_2Fb_3Fc/change/"


def test_page_that_was_taken_out_has_no_address(site: Callable[[], None]) -> None:
    admin.site.unregister(Event)
    site()
    assert links.event_url("admin", 7) == links.event_list_url("admin", type="a") == ""


def test_history_is_linked_for_users_who_may_see_it(rf: RequestFactory, make_user: Callable[..., User]) -> None:
    request = rf.get("/")
    for permissions, url in (((), ""), (("events.view_aggregate",), "/admin/events/aggregate/a-1/change/")):
        request.user = make_user(*permissions)
        assert links.history_url(request, "a-1") == url


def test_text_is_escaped_with_and_without_a_link() -> None:
    assert links.link("/x/", "<b>") == '<a href="/x/">&lt;b&gt;</a>'
    assert links.link("", "<b>") == "&lt;b&gt;"
