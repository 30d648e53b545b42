"""Base classes that make the admin a read-only browser of large tables, without counting them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList, ChangeListSearchForm
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.core.validators import MaxLengthValidator
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from events import authorization
from events.formats.serialization import parsed_moment
from events.types import EARLIEST, LATEST
from events.validation import MAX_NAME_CHARACTERS
from events.visible import visible

from .links import clipped, page_url


class BoundedPaginator(Paginator):
    """Pages of the first rows only, so that the count stays cheap."""

    max_rows = 10_000

    @cached_property
    def _counted_rows(self) -> int:
        rows: Any = self.object_list
        return int(rows[: self.max_rows + 1].count())

    @property
    def is_truncated(self) -> bool:
        """Whether there are more rows than the pages show."""
        return self._counted_rows > self.max_rows

    @cached_property
    def count(self) -> int:
        return min(self._counted_rows, self.max_rows)


class BoundedSearchForm(ChangeListSearchForm):
    """A search form that rejects text which is longer than an id, because it would find nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[SEARCH_VAR].validators.append(MaxLengthValidator(MAX_NAME_CHARACTERS))


class BoundedChangeList(ChangeList):
    """A list that ignores a search text which is too long, with a message."""

    search_form_class = BoundedSearchForm


class BrowsingAdmin(admin.ModelAdmin):
    """The admin of a model that users can view but not change."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each facet would count the table
    list_per_page = 50
    page_template: str | None = None  # of a page in place of Django's form; `page_context` fills it
    missing_row = "There is no {kind} {key!r}."
    actions: Sequence[Any] | None = None
    ordering = ["aggregate_id"]
    sortable_by = ()  # other orders would read the whole table
    search_fields = ["aggregate_id"]
    search_help_text = "The beginning of an aggregate id"
    prefix_field = "aggregate_id"
    clipped_fields = ("aggregate_id", "category", "type", "first_type", "last_type")

    class Media:
        css = {"all": ["events/themes.css", "events/admin.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BoundedChangeList

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Return the columns. Text shows its unseen characters, and long names end in an ellipsis."""
        return [self._text_column(each) for each in super().get_list_display(request)]

    def _text_column(self, name: Any) -> Any:
        fields = {field.name: field for field in self.opts.fields if isinstance(field, models.TextField)}
        if name not in fields or fields[name].choices or hasattr(self, name):
            return name

        @admin.display(description=fields[name].verbose_name)
        def column(row: models.Model) -> SafeString | None:
            text = getattr(row, name)
            if not text:
                return None
            return clipped("", text) if name in self.clipped_fields else format_html("{}", visible(text))

        column.__name__ = name  # becomes the cell's class
        return column

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet, search_term: str
    ) -> tuple[models.QuerySet, bool]:
        """Search by prefix, which uses the index; Django's own search ignores case and would read every row."""
        prefix = self.searched_prefix(request, search_term) if self.get_search_fields(request) else ""
        return queryset.filter(**{f"{self.prefix_field}__startswith": prefix}) if prefix else queryset, False

    def searched_prefix(self, request: HttpRequest, search_term: str) -> str:
        """Return the prefix of a search; empty for all rows."""
        return without_nul(search_term).rstrip()  # an id may begin with a space

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        # Django's title would be "Select … to view".
        title = {"title": capfirst(self.opts.verbose_name_plural)}
        return super().changelist_view(request, title | (extra_context or {}))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the page of a row; return to the list if there is no such row."""
        if self.page_template is None:
            return super().change_view(request, object_id, form_url, extra_context)
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            messages.warning(
                request, self.missing_row.format(kind=self.opts.verbose_name, key=visible(unquote(object_id)))
            )
            name = f"{self.opts.app_label}_{self.opts.model_name}_changelist"
            return HttpResponseRedirect(page_url(self.admin_site.name, name))
        shared = {**self.admin_site.each_context(request), "title": visible(row), "original": row}
        shared |= {"opts": self.opts, "media": self.media}
        request.current_app = self.admin_site.name  # as Django's views do, for themes
        context = {**shared, **self.page_context(request, row), **(extra_context or {})}
        return TemplateResponse(request, self.page_template, context)

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Return what `page_template` shows of a row."""
        raise NotImplementedError

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        return super().get_object(request, without_nul(object_id), from_field)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        holds_nul = "\0" in "".join(map(str, value))  # later versions of Django pass several values
        return not holds_nul and super().lookup_allowed(lookup, value, request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class CategorizedAdmin(BrowsingAdmin):
    """The admin of a model whose rows have categories: it shows the categories that the user may read."""

    def readable(self, request: HttpRequest) -> authorization.Categories:
        """Return the categories that the user may read here."""
        return authorization.readable(request.user, f"{self.opts.app_label}.view_{self.opts.model_name}")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        rows: Any = super().get_queryset(request)
        return rows.within(self.readable(request).names)  # type: ignore[no-any-return]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(self.readable(request))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)


def without_nul(text: str) -> str:
    """Return `text` without NUL characters, which PostgreSQL rejects."""
    return text.replace("\0", "")


def moment_of(text: str) -> datetime | None:
    """Return the moment of an ISO date or datetime, without a zone in the current one; None for other text."""
    text = text.strip()
    try:
        moment = parsed_moment(text if len(text) > 10 else f"{text}T00:00")
        if moment and timezone.is_naive(moment):
            moment = timezone.make_aware(moment)
        # No event is outside these limits, and one hour or another time zone cannot leave Python's range.
        return moment and min(max(moment, EARLIEST), LATEST)
    except (ValueError, OverflowError):
        return None


def to_the_second(moment: datetime | None, text_format: str = "%Y-%m-%d %H:%M:%S") -> SafeString:
    """Return a moment as HTML, in the current time zone and with its name; a note if the moment cannot be shown."""
    if moment is None:
        return format_html("<em>{}</em>", "outside the years 1 to 9999")
    local = timezone.localtime(moment)
    return format_html(
        '<time class="event-moment" datetime="{}">{}</time>', local.isoformat(), local.strftime(f"{text_format} %Z")
    )
