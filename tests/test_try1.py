import pytest
from tests.support import new
from events.store import EventStore
from projections.worker import Worker, Until
from projections.models import *
from projections import registry
from tests.readmodels.models import *
pytestmark = pytest.mark.django_db(transaction=True)
def test_x():
    s = EventStore()
    for n in range(30): s.dispatch(*[new(f"a-{n}", "Counted") for _ in range(40)])
    import time; t=time.time()
    Worker(registry.named(["tally","sharded_tally"]), until=Until.CAUGHT_UP).run()
    print(time.time()-t, list(Checkpoint.objects.values()))
    assert Total.objects.get(key="all").count==1200
    assert all(r.versions==list(range(1,41)) for r in ShardedTotal.objects.all())
    assert ShardedTotal.objects.count()==30
