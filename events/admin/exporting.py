"""The filtered list of events as a file, read and sent in parts."""

import codecs
import io
from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.messages import get_messages
from django.http import Http404, HttpRequest, HttpResponseBadRequest, HttpResponseBase, StreamingHttpResponse

from events.conf import conf
from events.formats.csv_export import csv_lines
from events.models import EventQuerySet
from events.storage import reader, rows
from events.store import EventStore
from events.streaming.threads import streamed

from .browsing import CategorizedAdmin
from .paging import EventChangeList
from .search import containing

_PART_CHARACTERS = 64 * 1024


class ExportedList(EventChangeList):
    """The filters and the search of a list, without a page of its events."""

    def get_results(self, request: HttpRequest) -> None:
        self.result_list: Any = []


def respond(request: HttpRequest, model_admin: CategorizedAdmin, file_format: str) -> HttpResponseBase:
    """Return all settled events of the list that the query of `request` describes, by position.

    Raises:
        Http404: there is no such format.
    """
    formats = {"csv": ("text/csv; charset=utf-8", _csv), "jsonl": ("application/x-ndjson", reader.json_pages)}
    if file_format not in formats:
        raise Http404
    try:
        found: Any = model_admin.get_changelist_instance(request)
    except IncorrectLookupParameters:
        return HttpResponseBadRequest("The list has no such filter.", content_type="text/plain")
    if getattr(get_messages(request), "added_new", False):
        # The list would show everything beside the message; a file has no place for one.
        reason = "A filter or the search of the list is not valid, so nothing is exported. The list says why."
        return HttpResponseBadRequest(reason, content_type="text/plain")
    events: EventQuerySet = found.queryset
    if found.text_in_data:
        events = containing(events, found.text_in_data)
    after, beyond = found.positions(events.db)
    settled = EventStore(events.db).settled_position()
    media_type, pages = formats[file_format]
    content = pages(events, after=after, up_to=settled if beyond is None else min(settled, beyond - 1))
    return StreamingHttpResponse(
        streamed(content, request),
        content_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="events.{file_format}"', "Cache-Control": "no-store"},
    )


def _csv(events: EventQuerySet, *, after: int, up_to: int) -> Iterator[bytes]:
    yield codecs.BOM_UTF8  # or a spreadsheet would take the text for another encoding
    yield from _in_parts(csv_lines(_rows(events, after, up_to)))


def _rows(events: EventQuerySet, after: int, up_to: int) -> Iterator[Any]:
    """Yield the events page by page; those that Python cannot represent are marked."""
    events = events.order_by("position").up_to(up_to)
    has_more = True
    while has_more:
        page = rows.fetch_page(events.after(after), conf.read_page_events, as_rows=True, as_stored=True)
        yield from page
        has_more = page.has_more
        after = page[-1].position if page else up_to


def _in_parts(lines: Iterable[str]) -> Iterator[bytes]:
    part = io.StringIO()
    for line in lines:
        part.write(line)
        if part.tell() >= _PART_CHARACTERS:
            yield part.getvalue().encode()
            part = io.StringIO()
    yield part.getvalue().encode()
