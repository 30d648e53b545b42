"""Measure the server's time for each page of the admin, on millions of varied events: `make bench-admin`.

It prints for each page the median and the worst time, the target, the number of queries and the size of the response.
It needs the same database server as the tests, creates its own database there, and drops it. This process makes the
requests, one at a time, on one database connection.
"""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from benchmarks.common import Report, benchmark, options_of, seconds
from benchmarks.variedstore import DAYS, LONG_AGGREGATE, NEEDLE, Landmarks, fill_projections, fill_varied

TARGET_MS = 300
PARKED, OPERATIONS, WORKERS = 300, 400, 12
EVENTS, AGGREGATES = "/admin/events/event/", "/admin/events/aggregate/"
PROJECTIONS = "/admin/projections/"


@dataclass
class Page:
    """A page, the client that requests it, and the time of each request, in milliseconds."""

    name: str
    path: str
    client: Any
    taken: list[float] = field(default_factory=list)
    queries: int = 0
    size: int = 0

    def warm_up(self) -> None:
        """Request the page once, and count its queries; this request is not timed, because counting takes time."""
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as queries:
            self.size = len(self._get().content)
        self.queries = len(queries)

    def measure(self) -> None:
        self.taken.append(seconds(self._get) * 1000)

    def _get(self) -> Any:
        response = self.client.get(self.path)
        if response.status_code != 200:
            raise RuntimeError(f"{self.path}: {response.status_code}")
        return response


def pages(store: Landmarks, parked: int) -> Iterator[tuple[str, str]]:
    """Yield the name and the path of every page, for a user who may see everything."""
    for unit in ("minute", "hour", "day"):
        yield f"dashboard by {unit}", f"/admin/?activity={unit}"
    for name, query in event_lists(store):
        yield f"events: {name}", f"{EVENTS}?{urlencode(query)}"
    for name, query in aggregate_lists(store):
        yield f"aggregates: {name}", f"{AGGREGATES}?{urlencode(query)}"
    yield "history", f"{AGGREGATES}{_quoted(store.aggregate_id)}/change/"
    for name, version in (("newest", store.long_version), ("middle", store.long_version // 2), ("oldest", 50)):
        path = f"{AGGREGATES}{_quoted(LONG_AGGREGATE)}/change/?up_to_version={version}"
        yield f"history of {store.long_version:,} events: {name}", path
    yield "event", f"{EVENTS}{store.position}/change/"
    yield "append form", f"{EVENTS}add/?aggregate_id={LONG_AGGREGATE}"
    yield "append form: suggestions", f"{EVENTS}add/suggestions/?aggregate_id=ord"
    yield from projection_pages(store, parked)


def event_lists(store: Landmarks) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the pages, filters and searches of the list of events, named after what makes each of them slow."""
    yield "newest", {}
    yield "middle, older", {"before": store.events // 2}
    yield "middle, newer", {"after": store.events // 2}
    yield "oldest", {"after": 0}
    yield "type, frequent", {"type": "OrderPaid"}
    yield "type, frequent, middle", {"type": "OrderPaid", "before": store.events // 2}
    yield "type, rare and old", {"type": "LegacyOpened"}
    yield "type, none such", {"type": "Nothing"}
    yield "category, frequent", {"category": "order"}
    yield "category, frequent, oldest", {"category": "order", "after": 0}
    yield "category, old", {"category": "archive"}
    yield "category, rare and old", {"category": "legacy"}
    yield "category, none such", {"category": "nothing"}
    yield "category and type that never meet", {"category": "order", "type": "CartPaid"}
    yield "category, frequent, and rare old type", {"category": "order", "type": "LegacyOpened"}
    yield "category, old, and frequent type", {"category": "archive", "type": "OrderPaid"}
    yield "correlation id", {"correlation_id": store.correlation_id}
    yield "correlation id, none such", {"correlation_id": "nothing"}
    yield "correlation id and category", {"correlation_id": store.correlation_id, "category": "order"}
    yield "one aggregate", {"aggregate_id": store.aggregate_id}
    yield "one aggregate, long", {"aggregate_id": LONG_AGGREGATE}
    yield "one aggregate, long, and type", {"aggregate_id": LONG_AGGREGATE, "type": "CartPaid"}
    yield "recorded lately", {"recorded_from": _days_ago(1)}
    yield "recorded in the middle", {"recorded_from": _days_ago(DAYS / 2 + 1), "recorded_before": _days_ago(DAYS / 2)}
    yield "recorded before, and type", {"recorded_before": _days_ago(60), "type": "OrderPaid"}
    yield "recorded before, and category", {"recorded_before": _days_ago(60), "category": "archive"}
    yield "recorded long ago, and type", {"recorded_before": _days_ago(DAYS - 1), "type": "LegacyOpened"}
    yield "recorded lately, and rare old type", {"recorded_from": _days_ago(30), "type": "LegacyOpened"}
    yield "id begins, short", {"q": "order-1"}
    yield "id begins, long", {"q": store.aggregate_id}
    yield "id begins, none such", {"q": "nothing"}
    yield "id begins, short, and type", {"q": "order-1", "type": "CartPaid"}
    yield "id begins, rare and old", {"q": "legacy-1"}
    yield "event id", {"q": store.event_id}
    yield "text, frequent", {"q": "MUG-1", "in": "data"}
    yield "text, in one event", {"q": NEEDLE, "in": "data"}
    yield "text, absent", {"q": "nothing of the kind", "in": "data"}
    yield "text, absent, in a rare category", {"q": "nothing of the kind", "in": "data", "category": "legacy"}
    yield "text, absent, in a frequent category", {"q": "nothing of the kind", "in": "data", "category": "order"}
    yield "text, absent, of a frequent type", {"q": "nothing of the kind", "in": "data", "type": "OrderPaid"}
    yield "text, absent, in one aggregate", {"q": "nothing of the kind", "in": "data", "aggregate_id": LONG_AGGREGATE}


def aggregate_lists(store: Landmarks) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "first page", {}
    yield "far page", {"p": _far_page()}
    yield "category, frequent", {"category": "order"}
    yield "category, rare", {"category": "legacy"}
    yield "category, none such", {"category": "nothing"}
    yield "id begins, short", {"q": "order-1"}
    yield "id begins, long", {"q": store.aggregate_id}
    yield "id begins, in another category", {"q": "order-1", "category": "cart"}


def projection_pages(store: Landmarks, parked: int) -> Iterator[tuple[str, str]]:
    yield "projections: board", f"{PROJECTIONS}projectionstate/"
    yield "projections: one of them", f"{PROJECTIONS}projectionstate/daily_5Factivity/change/"
    yield "parked events", f"{PROJECTIONS}parkedevent/"
    yield "parked event", f"{PROJECTIONS}parkedevent/{parked}/change/"
    yield "operations", f"{PROJECTIONS}operation/"
    yield "workers", f"{PROJECTIONS}heartbeat/"
    yield "aggregate activity", f"{PROJECTIONS}aggregateactivity/"
    yield "aggregate activity: id begins", f"{PROJECTIONS}aggregateactivity/?q=order-1"
    yield "aggregate activity: none such", f"{PROJECTIONS}aggregateactivity/?q=nothing"
    yield "aggregate activity: far page", f"{PROJECTIONS}aggregateactivity/?p={_far_page()}"
    yield "event type activity", f"{PROJECTIONS}eventtypeactivity/"
    yield "event type activity: type begins", f"{PROJECTIONS}eventtypeactivity/?q=Order"
    yield "daily activity", f"{PROJECTIONS}dailyactivity/"
    yield "daily activity: category begins", f"{PROJECTIONS}dailyactivity/?q=order"


def pages_of_categories(store: Landmarks, *categories: str) -> Iterator[tuple[str, str]]:
    """Yield the pages of a user who may see some categories only."""
    who, last = " and ".join(categories), categories[-1]
    for unit in ("minute", "hour", "day"):
        yield f"{who} only: dashboard by {unit}", f"/admin/?activity={unit}"
    for name, path in (
        ("events", EVENTS),
        ("events, middle", f"{EVENTS}?before={store.events // 2}"),
        ("events of a type", f"{EVENTS}?type=OrderPaid"),
        ("events of a rare type", f"{EVENTS}?type=LegacyOpened"),
        ("events, text absent", f"{EVENTS}?q=nothing+of+the+kind&in=data"),
        ("events, id begins", f"{EVENTS}?q={last}-1"),
        ("events, others' id", f"{EVENTS}?q=cart-1"),
        ("aggregates", AGGREGATES),
        ("aggregates, far page", f"{AGGREGATES}?p={_far_page(*categories)}"),
        ("aggregates, id begins", f"{AGGREGATES}?q={last}-1"),
        ("aggregates, others' id", f"{AGGREGATES}?q=cart-1"),
        ("append form", f"{EVENTS}add/"),
        ("append form: suggestions", f"{EVENTS}add/suggestions/?aggregate_id={last}"),
        ("aggregate activity", f"{PROJECTIONS}aggregateactivity/"),
        ("aggregate activity, far page", f"{PROJECTIONS}aggregateactivity/?p={_far_page(*categories)}"),
        ("aggregate activity, id begins", f"{PROJECTIONS}aggregateactivity/?q={last}-1"),
        ("aggregate activity, others' id", f"{PROJECTIONS}aggregateactivity/?q=cart-1"),
        ("daily activity", f"{PROJECTIONS}dailyactivity/"),
    ):
        yield f"{who} only: {name}", path


def superuser() -> Any:
    """Return a client that is logged in as a user who may see everything."""
    from django.contrib.auth.models import User

    return _client_of(User.objects.create_superuser("bench"))


def user_of_categories(*categories: str) -> Any:
    """Return a client that is logged in as a user who may see and append to some categories only."""
    from django.contrib.auth.models import Permission, User

    user = User.objects.create_user("bench-" + "-".join(categories), is_staff=True)
    wanted = [f"{verb}_event:{category}" for verb in ("view", "add") for category in categories]
    user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    return _client_of(user)


def _client_of(user: Any) -> Any:
    from django.test import Client

    client = Client()
    client.force_login(user)
    return client


def _quoted(key: str) -> str:
    from django.contrib.admin.utils import quote

    return str(quote(key))


def _far_page(*categories: str) -> int:
    """Return the number of the hundredth page of aggregates, or of the last page if there are fewer."""
    from events.models import Aggregate

    rows = Aggregate.objects.within(categories or None)[: 100 * 50]
    return max(1, rows.count() // 50)


def _days_ago(days: float) -> str:
    from django.utils import timezone

    return f"{timezone.now() - timedelta(days=days):%Y-%m-%dT%H:%M}"


def measure(report: Report, asked: list[Page], rounds: int) -> None:
    """Request the pages in turn, so that the load of the machine affects all of them alike."""
    for page in asked:
        page.warm_up()
    for _ in range(rounds):
        for page in asked:
            page.measure()
    for page in asked:
        median = statistics.median(page.taken)
        detail = f"worst {max(page.taken):.0f} ms, {page.queries} queries, {page.size / 1024:.0f} KiB"
        report.row(page.name, median, f"<= {TARGET_MS} ms", median <= TARGET_MS, detail)


def main() -> None:
    parser = options_of(__doc__)
    parser.add_argument("--events", type=int, default=5_000_000, help="events in the store (%(default)s)")
    parser.add_argument("--only", metavar="TEXT", default="", help="measure only pages whose names contain TEXT")
    options = parser.parse_args()
    with benchmark(options, "benchmarks.admin_settings") as report:
        began = time.perf_counter()
        store = fill_varied(options.events)
        report.note("filling the store, s", time.perf_counter() - began, f"{options.events:,} events")
        began = time.perf_counter()
        fill_projections(options.events, PARKED, OPERATIONS, WORKERS)
        report.note("filling the read models, s", time.perf_counter() - began, "")

        from projections.models import ParkedEvent

        admin = superuser()
        parked = ParkedEvent.objects.exclude(error="").values_list("pk", flat=True)[0]
        asked = [Page(name, path, admin) for name, path in pages(store, parked)]
        for categories in (("order",), ("archive",), ("legacy",), ("archive", "order"), ("legacy", "order")):
            client = user_of_categories(*categories)
            asked += [Page(name, path, client) for name, path in pages_of_categories(store, *categories)]
        measure(report, [page for page in asked if options.only in page.name], options.rounds)


if __name__ == "__main__":
    main()
