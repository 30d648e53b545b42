import pytest
from events.store import EventStore
from eventstore_project.models import ProductSales
from projections.waiting import wait_for
from tests.support import new
from tests.projections.support import tally
@pytest.mark.django_db
def test_x(api, store, eager_events, django_assert_num_queries):
    seen = []
    with store.subscribe("Counted", lambda event, **kw: seen.append(event.version), on_commit=True):
        (e,) = store.dispatch(new("a-1", "Counted"))
        import time
        t=time.perf_counter()
        for n in range(50): (e,) = store.dispatch(new("a-1", "Counted"))
        print((time.perf_counter()-t)/50)
        from django.db import connection
        from django.test.utils import CaptureQueriesContext
        with CaptureQueriesContext(connection) as q:
            (e,) = store.dispatch(new("a-1", "Counted"))
        print(len(q))
        for x in q.captured_queries: print(x["sql"][:150])
    assert seen[0] == 1
    assert wait_for("tally", e.position, 0)
    for u in ("/api/read-models/event-type-activity/?at_least=%d",):
        r = api.get(u % e.position)
        print(u, r.status_code, r.content[:500])
