"""The real store and its model, driven side by side by hypothesis, compared after every step."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import psycopg
from django.db import connection, transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from events.exceptions import DispatchTooDeep, DuplicateEvent, InvalidEvent, VersionConflict
from events.models import Aggregate, Event
from events.store import EventStore
from events.types import ALL, ANY, EXISTS, NewEvent, category_of
from projections import registry
from projections.engine import inline, registration
from projections.exceptions import OperationRejected
from projections.models import AggregateActivity, ProjectionState, Rebuild
from projections.operations import actions
from projections.rebuild import shadow_tables
from projections.workers.worker import Until, Worker
from tests.model import read_models
from tests.model.store_model import Broken, Fact, Handler, Rejection, StoreModel
from tests.support import Background, last_position, newest_position

ASYNC_NAMES = ("cases", "daily_activity", "event_type_activity", "fragile", "sharded_tally", "tally")
INLINE_NAMES = ("aggregate_activity", "shop_orders")

AGGREGATES = ["a-1", "a-2", "b-1", "b", "ü/1 😀", "-dash", "a_1%"]
CATEGORIES = ["a", "b", "chain", "outside", "ü/1 😀", "", "a-1", "a_1%", "unheard"]
# What handlers do with an event follows from its type.
PLAIN = ["Counted", "Counted", "Fragile", "Fragile", "Plain", "Other"]
SPECIAL = ["Chain", "Echo", "Boom", "BoomLater", "Endless"]
TYPES = [*dict.fromkeys(PLAIN), *SPECIAL, "Chained", "Echoed"]

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number or 0.0),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
)
contents = st.one_of(
    st.just({}),
    st.dictionaries(st.text("abü\"\\'", max_size=4), leaves | st.lists(leaves, max_size=2), max_size=3),
)
moments = st.none() | st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.just(UTC))
bounds = st.none() | st.integers(0, 12)

# Arguments that no event can have, by the field that the error must name.
BAD_FIELDS: list[tuple[str, dict[str, Any]]] = [
    ("aggregate_id", {"aggregate_id": ""}),
    ("aggregate_id", {"aggregate_id": "x" * 256}),
    ("aggregate_id", {"aggregate_id": "a\x00b"}),
    ("type", {"type": None}),
    ("type", {"type": "line\nbreak"}),
    ("data", {"data": [1]}),
    ("data.x", {"data": {"x": float("nan")}}),
    ("data.x[1]", {"data": {"x": [0, {1, 2}]}}),
    ("data", {"data": {"x": "y" * 2000}}),
    ("metadata.correlation_id", {"metadata": {"correlation_id": "c" * 256}}),
    ("timestamp", {"timestamp": datetime(2030, 1, 1)}),
    ("event_id", {"event_id": "no uuid"}),
]
BAD_EXPECTATIONS = [-1, True, 2**63, "1", None, {"a-1": -1}, {"": 0}, {"a-1": 1.0}]
BAD_ARGUMENTS: list[tuple[str, dict[str, Any]]] = [
    ("after", {"after": -1}),
    ("up_to", {"up_to": 2**63}),
    ("limit", {"limit": True}),
    ("types", {"types": "Counted"}),
    ("categories", {"categories": [None]}),
]


class RolledBack(Exception):
    """Ends a transaction."""


class StoreMachine(RuleBasedStateMachine):
    """Each example begins with an empty store; positions go on rising from one example to the next."""

    steps = 0
    outcomes: Counter[str] = Counter()
    outside: "psycopg.Connection[Any]"  # another connection, in autocommit: what others see

    def __init__(self) -> None:
        super().__init__()
        StoreMachine.steps -= 1  # the invariants are looked at once before the first step
        empty_the_store()
        registration.register_all()
        self.store, self.model = EventStore(), StoreModel()
        self.tried: list[tuple[list[NewEvent], Any]] = []
        self.transactions: list[Any] = []
        self.complaints: list[str] = []
        self.subscribed: dict[str, Any] = {}
        self.numbers = iter(range(1, 10**9))
        self.is_mended = self.was_mended = False
        self.shards: dict[str, int] = {}
        for handler in (
            Handler("chain", "Chain", False, self._child_in_model("Chained")),
            Handler("endless", "Endless", False, self._child_in_model("Endless")),
            Handler("boom", "Boom", False, _break),
            Handler("echo", "Echo", True, self._child_in_model("Echoed")),
            Handler("boom later", "BoomLater", True, _break),
            Handler("witness", None, False),
            Handler("late witness", None, True),
        ):
            self._subscribe(handler)

    @initialize(is_inline=st.booleans(), is_witnessed=st.booleans())
    def choose_subscribers(self, is_inline: bool, is_witnessed: bool) -> None:
        """Without anybody who listens in the transaction, a dispatch is a statement of its own."""
        self.is_inline = is_inline
        for name in INLINE_NAMES:
            projection = registry.get(name)
            inline.unsubscribe(projection)
            if is_inline:
                inline.subscribe(projection)
        if not is_witnessed:
            self._unsubscribe("witness")

    def teardown(self) -> None:
        while self.transactions:
            self.transactions.pop().__exit__(RolledBack, RolledBack(), None)
        for name in list(self.subscribed):
            self._unsubscribe(name)

    # Dispatching

    # Hypothesis chooses among the rules, each as likely as the next; dispatching is wanted more often.
    @rule(data=st.data())
    def dispatch(self, data: st.DataObject) -> None:
        self._dispatch_new(data)

    @rule(data=st.data())
    def dispatch_again(self, data: st.DataObject) -> None:
        self._dispatch_new(data)

    @rule(data=st.data())
    def dispatch_once_more(self, data: st.DataObject) -> None:
        self._dispatch_new(data)

    def _dispatch_new(self, data: st.DataObject) -> None:
        events = self._new_events(data, data.draw(st.sampled_from([1, 1, 1, 2, 3, 7])))
        self._dispatch(events, self._expectation(data, events))

    @rule(data=st.data())
    def check_only(self, data: st.DataObject) -> None:
        self._dispatch([], self._expectation(data, []))

    @precondition(lambda self: self.tried)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Send an earlier call again, as it was, or as it was not."""
        events, expected = data.draw(st.sampled_from(self.tried[-12:]))
        kind = data.draw(
            st.sampled_from(["same", "same", "part", "expectation", "content", "metadata", "order", "mixed", "home"])
        )
        if kind == "part" and events:
            first = data.draw(st.integers(0, len(events) - 1))
            events = events[first : data.draw(st.integers(first + 1, len(events)))]
        elif kind == "expectation":
            expected = self._expectation(data, events)
        elif kind == "content":
            events = [replace(event, type="Other", data={"other": True}) for event in events]
        elif kind == "metadata":  # which may differ, as for each attempt of a client
            events = [replace(event, metadata={"attempt": 2}) for event in events]
        elif kind == "order":
            events = list(data.draw(st.permutations(events)))
        elif kind == "mixed":
            events = list(data.draw(st.permutations([*events, *self._new_events(data, 1)])))
        elif kind == "home":
            home = data.draw(st.sampled_from(AGGREGATES))
            events = [replace(event, aggregate_id=home) for event in events]
        self._dispatch(events, expected)

    @precondition(lambda self: self.tried)
    @rule(data=st.data())
    def repeat_several(self, data: st.DataObject) -> None:
        """Put events of several earlier calls into one, perhaps the same one twice."""
        known = [event for events, _ in self.tried for event in events]
        if known:
            self._dispatch(data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=4)), ANY)

    @rule(data=st.data())
    def hand_in_what_is_bad(self, data: st.DataObject) -> None:
        wrong = data.draw(st.sampled_from([self._bad_event, self._bad_expectation, self._bad_reading]))
        before = last_position()
        field, index, error = wrong(data)
        assert (error.field, error.index, last_position()) == (field, index, before)
        self.outcomes["InvalidEvent"] += 1

    def _bad_event(self, data: st.DataObject) -> tuple[str, int | None, InvalidEvent]:
        field, fields = data.draw(st.sampled_from(BAD_FIELDS))
        events = self._new_events(data, data.draw(st.integers(1, 3)))
        place = data.draw(st.integers(0, len(events) - 1))
        events[place] = replace(events[place], **fields)
        return field, place, _rejected(self.store.dispatch, *events)

    def _bad_expectation(self, data: st.DataObject) -> tuple[str, int | None, InvalidEvent]:
        expected = data.draw(st.sampled_from(BAD_EXPECTATIONS))
        error = _rejected(self.store.dispatch, *self._new_events(data, 1), expected_version=expected)
        return "expected_version", None, error

    def _bad_reading(self, data: st.DataObject) -> tuple[str, int | None, InvalidEvent]:
        field, arguments = data.draw(st.sampled_from(BAD_ARGUMENTS))
        return field, None, _rejected(self.store.read_all, **arguments)

    def _dispatch(self, events: list[NewEvent], expected: Any) -> None:
        self.tried.append((events, expected))
        before = last_position()
        predicted = _outcome(lambda: self.model.dispatch(events, expected))
        stored: list[Event] = []

        def dispatch() -> tuple[bool, list[Event]]:
            found = self.store.dispatch(*events, expected_version=expected)
            stored.extend(found)
            return found.is_retry, found

        actual = _outcome(dispatch)
        self._learn()
        if predicted[0] == "stored":
            _, is_retry, facts = predicted
            assert actual[:2] == ("stored", is_retry), f"{actual} instead of {predicted}"
            assert [_shown(event) for event in stored] == [_expected(fact) for fact in facts]
            self.outcomes["retry" if is_retry else "stored" if events else "checked"] += 1
        else:
            assert actual == predicted
            self.outcomes[predicted[0]] += 1
        if predicted[0] in ("VersionConflict", "DuplicateEvent") or predicted[:2] == ("stored", True):
            assert last_position() == before, "a rejected call has taken a position"

    def _learn(self) -> None:
        """Take over what the database alone decides: positions and moments."""
        unknown = {fact.new.event_id: fact for fact in self.model.facts if fact.position is None}
        for event in Event.objects.filter(event_id__in=unknown):
            fact = unknown[event.event_id]
            fact.position, fact.recorded_at = event.position, event.recorded_at
        positions = [fact.position or 0 for fact in self.model.facts]
        assert 0 not in positions, "an event is missing"
        assert positions == sorted(set(positions)), "positions do not rise in the order given"

    def _new_events(self, data: st.DataObject, number: int) -> list[NewEvent]:
        types = st.sampled_from([*PLAIN, *PLAIN, *SPECIAL])
        homes = data.draw(st.lists(st.sampled_from(AGGREGATES), min_size=1, max_size=3))
        return [
            NewEvent(
                data.draw(st.sampled_from(homes)),
                event_type := data.draw(types),
                _maybe_poisoned(data, event_type),
                data.draw(moments),
                metadata=data.draw(contents),
                event_id=UUID(int=next(self.numbers)),
            )
            for _ in range(number)
        ]

    def _expectation(self, data: st.DataObject, events: Sequence[NewEvent]) -> Any:
        def of(aggregate_id: str) -> Any:
            right = self.model.version(aggregate_id)
            return data.draw(st.sampled_from([right, right, right, ANY, EXISTS, 0, right + 1, max(0, right - 1)]))

        written = list(dict.fromkeys(event.aggregate_id for event in events))
        if data.draw(st.booleans()) and written:
            return of(written[0])
        named = data.draw(st.lists(st.sampled_from([*written, *AGGREGATES]), max_size=3, unique=True))
        return {each: of(each) for each in named}

    # Transactions

    @precondition(lambda self: len(self.transactions) < 3)
    @rule()
    def begin(self) -> None:
        self.transactions.append(transaction.atomic())
        self.transactions[-1].__enter__()
        self.model.begin()

    @precondition(lambda self: self.transactions)
    @rule()
    def commit(self) -> None:
        self.model.commit()
        self.transactions.pop().__exit__(None, None, None)
        self._learn()
        self.outcomes["commit"] += 1

    @precondition(lambda self: self.transactions)
    @rule()
    def roll_back(self) -> None:
        self.model.roll_back()
        self.transactions.pop().__exit__(RolledBack, RolledBack(), None)
        self.outcomes["savepoint rolled back" if self.transactions else "rolled back"] += 1

    @rule(data=st.data())
    def somebody_else_appends(self, data: st.DataObject) -> None:
        """Another connection stores an event past Python, and commits, whatever is open here."""
        event = NewEvent(
            data.draw(st.sampled_from(["outside-1", "outside-2"])), "Counted", event_id=UUID(int=next(self.numbers))
        )
        version, position, recorded_at = self.outside.execute(
            "SELECT version, position, recorded_at FROM events_append(ARRAY[%s], ARRAY[%s], ARRAY['{}']::jsonb[],"
            " ARRAY['{}']::jsonb[], ARRAY[NULL]::timestamptz[], ARRAY[%s]::uuid[])",
            [event.aggregate_id, event.type, event.event_id],
        ).fetchone() or (0, 0, None)
        assert version == self.model.version(event.aggregate_id) + 1
        self.model.stored_elsewhere(Fact(event, version, position, recorded_at, from_sql=True))

    # Subscribers

    @rule(name=st.sampled_from(["x", "y", "z"]), event_type=st.none() | st.sampled_from(TYPES), on_commit=st.booleans())
    def subscribe_or_unsubscribe(self, name: str, event_type: str | None, on_commit: bool) -> None:
        if name in self.subscribed:
            self._unsubscribe(name)
        # Who subscribes for commits in the middle of a transaction gets what is dispatched from then on, at most.
        elif not (on_commit and self.transactions):
            self._subscribe(Handler(name, event_type, on_commit))

    def _subscribe(self, handler: Handler) -> None:
        act = {"chain": "Chained", "endless": "Endless", "echo": "Echoed"}.get(handler.name)

        def receive(event: Event, **kwargs: Any) -> None:
            handler.seen.append((event.event_id, event.version))
            is_public = self._is_seen_outside(event)
            if is_public is not handler.on_commit or not Event.objects.filter(event_id=event.event_id).exists():
                self.complaints.append(f"{handler.name} met {event}, which others see: {is_public}")
            if act:
                self.store.dispatch(_child(event.event_id, event.aggregate_id, act))
            elif handler.name.startswith("boom"):
                raise Broken

        self.model.handlers.append(handler)
        wanted: Any = ALL if handler.event_type is None else handler.event_type
        self.subscribed[handler.name] = wanted, receive, handler
        for _ in range(2):  # who subscribes twice gets one
            self.store.subscribe(wanted, receive, on_commit=handler.on_commit)

    def _unsubscribe(self, name: str) -> None:
        if name not in self.subscribed:
            assert not self.store.unsubscribe(ALL, self._subscribe)
            return
        wanted, receive, handler = self.subscribed.pop(name)
        assert self.store.unsubscribe(wanted, receive)
        self.model.handlers.remove(handler)
        assert handler.seen == handler.calls

    def _child_in_model(self, event_type: str) -> Callable[[Handler, Fact], None]:
        def act(handler: Handler, fact: Fact) -> None:
            self.model.dispatch([_child(fact.new.event_id, fact.new.aggregate_id, event_type)], ANY)

        return act

    def _is_seen_outside(self, event: Event) -> bool:
        found = self.outside.execute("SELECT FROM events_event WHERE event_id = %s", [event.event_id])
        return found.rowcount > 0

    # Readers

    @rule(data=st.data(), after=st.integers(0, 12), up_to=bounds, reverse=st.booleans(), limit=bounds)
    def read_history(
        self, data: st.DataObject, after: int, up_to: int | None, reverse: bool, limit: int | None
    ) -> None:
        aggregate_id = data.draw(st.sampled_from([*sorted(self.model.versions()), "unheard"]))
        as_of = self._moment(data)
        found = self.store.get_events_for_aggregate(
            aggregate_id, after_version=after, up_to_version=up_to, as_of=as_of, reverse=reverse, limit=limit
        )
        wanted = [
            fact
            for fact in self.model.facts
            if fact.new.aggregate_id == aggregate_id
            and after < fact.version
            and (up_to is None or fact.version <= up_to)
            and (as_of is None or (fact.recorded_at and fact.recorded_at <= as_of))
        ]
        assert [_shown(event) for event in found] == [_expected(fact) for fact in _page(wanted, reverse, limit)]

    @rule(
        data=st.data(),
        types=st.none() | st.lists(st.sampled_from([*TYPES, "Unheard"]), max_size=4),
        categories=st.none() | st.lists(st.sampled_from(CATEGORIES), max_size=4),
        reverse=st.booleans(),
        limit=st.none() | st.integers(0, 30),
    )
    def read_all(
        self,
        data: st.DataObject,
        types: list[str] | None,
        categories: list[str] | None,
        reverse: bool,
        limit: int | None,
    ) -> None:
        positions = [0, *(fact.position or 0 for fact in self.model.facts), last_position() + 5]
        after = data.draw(st.sampled_from(positions))
        up_to = data.draw(st.none() | st.sampled_from(positions))
        found = self.store.read_all(
            after=after, up_to=up_to, types=types, categories=categories, reverse=reverse, limit=limit
        )
        wanted = [
            fact
            for fact in self.model.facts
            if after < (fact.position or 0)
            and (up_to is None or (fact.position or 0) <= up_to)
            and (types is None or fact.new.type in types)
            and (categories is None or category_of(fact.new.aggregate_id) in categories)
        ]
        assert [_shown(event) for event in found] == [_expected(fact) for fact in _page(wanted, reverse, limit)]

    def _moment(self, data: st.DataObject) -> datetime | None:
        known = [fact.recorded_at for fact in self.model.facts if fact.recorded_at]
        if not known:
            return None
        moment = data.draw(st.none() | st.sampled_from(known))
        shift = data.draw(st.sampled_from([timedelta(0), timedelta(microseconds=-1), timedelta(microseconds=1)]))
        return moment and moment + shift

    # Projections

    @rule(names=st.just([]) | st.lists(st.sampled_from(ASYNC_NAMES), max_size=3, unique=True))
    def let_a_worker_work(self, names: list[str]) -> None:
        """One pass over each shard of some projections; or, of none, all there is to do."""
        if names:
            self._work(names, Until.ONCE)
        else:
            self._catch_up()

    @rule(data=st.data(), home=st.sampled_from(AGGREGATES), is_split=st.booleans())
    def poison(self, data: st.DataObject, home: str, is_split: bool) -> None:
        """Have an event parked, and others of its aggregate come behind it, in the same batch or in a later one."""
        events = [
            NewEvent(home, "Fragile", content, event_id=UUID(int=next(self.numbers)))
            for content in ({"poison": "arsenic"}, {}, {})
        ]
        self._dispatch(events[:1] if is_split else events, ANY)
        self._work(["fragile"], Until.CAUGHT_UP)
        if is_split:
            self._dispatch(events[1:], ANY)
            self._work(["fragile"], Until.CAUGHT_UP)

    def _catch_up(self) -> None:
        names = ASYNC_NAMES if self.transactions else [*ASYNC_NAMES, *INLINE_NAMES]
        settled = self._settled_outside()
        self._work(names, Until.CAUGHT_UP)
        self.outcomes["caught up"] += 1
        paused = set(ProjectionState.objects.filter(status="paused").values_list("name", flat=True))
        behind = {
            name
            for name, build, _, position in self._checkpoints()
            if name in names and name not in paused and build == "live" and position < settled
        }
        assert not behind, f"caught up, but for {behind}"
        assert not Rebuild.objects.filter(projection__in=names).exists(), "caught up, but for rebuilds"

    def _work(self, names: Sequence[str], until: Until) -> None:
        """Let a worker work: here, or beside the open transaction, by another connection."""
        worker = Worker(registry.named(names), until=until)
        if self.transactions:
            with Background(worker.run):
                pass
        else:
            worker.run()

    @precondition(lambda self: not self.transactions)
    @rule(data=st.data())
    def operate(self, data: st.DataObject) -> None:
        operation = data.draw(
            st.sampled_from(
                [
                    self._ask_for_rebuild,
                    self._ask_for_rebuild,
                    self._cancel_rebuild,
                    self._pause_or_resume,
                    self._mend_or_break,
                    self._retry_parked,
                    self._skip_parked,
                    self._reconnect,
                ]
            )
        )
        operation(data)

    def _ask_for_rebuild(self, data: st.DataObject) -> None:
        in_place = data.draw(st.booleans())
        name = data.draw(st.sampled_from([*ASYNC_NAMES, *INLINE_NAMES[: self.is_inline]]))
        under_way = Rebuild.objects.filter(pk=name).first()
        actions.ask_for_rebuild(name, by="model", in_place=under_way.in_place if under_way else in_place)
        self.outcomes["rebuild in place" if in_place else "rebuild beside"] += 1

    def _cancel_rebuild(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([*ASYNC_NAMES, "aggregate_activity"]))
        under_way = Rebuild.objects.filter(pk=name).first()
        is_begun = any(each[:2] == (name, "rebuild") for each in self._checkpoints())
        try:
            actions.cancel_rebuild(name, by="model")
        except OperationRejected:
            assert under_way is None or (under_way.in_place and is_begun)
        else:
            assert under_way
            assert not any(each[:2] == (name, "rebuild") for each in self._checkpoints())
            self.outcomes["rebuild cancelled"] += 1

    def _pause_or_resume(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(ASYNC_NAMES))
        if ProjectionState.objects.get(pk=name).status == "paused":
            actions.resume(name, by="model")
            return
        actions.pause(name, by="model")
        before = [each for each in self._checkpoints() if each[:2] == (name, "live")]
        if not Rebuild.objects.filter(pk=name).exists():
            self._work([name], Until.ONCE)
            assert [each for each in self._checkpoints() if each[:2] == (name, "live")] == before
        self.outcomes["paused"] += 1

    def _mend_or_break(self, data: st.DataObject) -> None:
        """Let the projection `fragile` handle what is poisoned from now on, or not any more."""
        self.is_mended = not self.is_mended
        self.was_mended = True

    def _retry_parked(self, data: st.DataObject) -> None:
        with suppress(OperationRejected):
            handled, left = actions.retry("fragile", by="model")
            assert handled + left
            assert not (self.is_mended and left)
            self.outcomes["parked retried"] += 1

    def _skip_parked(self, data: st.DataObject) -> None:
        failed = [position for position, _, error in read_models.parked(self.outside, "live") if error]
        if failed:
            actions.skip("fragile", data.draw(st.sampled_from(failed)), by="model", reason="a reason")
            self.outcomes["parked skipped"] += 1

    def _reconnect(self, data: st.DataObject) -> None:
        connection.close()

    # What holds after every step

    @invariant()
    def everything_is_as_in_the_model(self) -> None:
        StoreMachine.steps += 1
        assert not self.complaints
        facts = self.model.facts
        assert [_shown(event) for event in self.store.read_all()] == [_expected(fact) for fact in facts]
        rows = Aggregate.objects.values_list("aggregate_id", "category", "version", "updated_at")
        assert sorted(rows) == sorted(_aggregates(facts))
        for _, _, handler in self.subscribed.values():
            assert handler.seen == handler.calls, f"{handler.name}: {handler.seen} instead of {handler.calls}"

    @invariant()
    def others_see_what_is_committed(self) -> None:
        seen = [event_id for (event_id,) in self.outside.execute("SELECT event_id FROM events_event ORDER BY position")]
        committed = self.model.committed
        assert seen == [fact.new.event_id for fact in committed]
        settled, public = self._settled_outside(), set(seen)
        uncommitted = [fact.position or 0 for fact in self.model.facts if fact.new.event_id not in public]
        if uncommitted:
            assert settled < min(uncommitted), "settled above an open append"
        elif not self.transactions:
            assert settled == (committed[-1].position if committed else 0)
        assert self.store.settled_position() == newest_position()

    @invariant()
    def read_models_are_right(self) -> None:
        committed, checkpoints = self.model.committed, self._checkpoints()
        for name, rows_of in read_models.ROWS.items():
            # Of a rebuild in place there is no other checkpoint than its own.
            of_live = {
                shard: position for each, build, shard, position in checkpoints if (each, build) == (name, "live")
            }
            of_any = {shard: position for each, _, shard, position in checkpoints if each == name}
            reached = of_live or of_any
            facts = [fact for fact in committed if (fact.position or 0) <= reached[self._shard(name, fact)]]
            if name == "fragile":
                self._check_fragile("live" if of_live else "rebuild", facts)
            else:
                found = rows_of(self.outside)
                wanted = read_models.EXPECTED[name](facts)
                assert found == wanted, f"{name} at {reached}: {found} instead of {wanted}"
        if self.is_inline:
            self._check_inline(checkpoints)

    def _check_inline(self, checkpoints: list[Any]) -> None:
        """What the writers keep is right inside the transaction, too; while it is refilled, up to its checkpoint."""
        facts = [fact for fact in self.model.facts if not fact.from_sql]
        if ProjectionState.objects.get(pk="aggregate_activity").status == "building":
            (reached,) = (position for name, _, _, position in checkpoints if name == "aggregate_activity")
            facts = [fact for fact in facts if (fact.position or 0) <= reached]
        rows = AggregateActivity.objects.exclude(aggregate_id__startswith="outside-")
        found = sorted(rows.values_list(*read_models.ACTIVITY_COLUMNS))
        assert found == read_models.activity(facts)

    def _check_fragile(self, build: str, facts: list[Fact]) -> None:
        parked = read_models.parked(self.outside, build)
        skipped = read_models.skipped(self.outside)
        waiting = {position for position, _, _ in parked}
        wanted = [
            (fact.new.aggregate_id, fact.version)
            for fact in facts
            if fact.new.type == "Fragile" and fact.position not in waiting | skipped
        ]
        self.outcomes["held back"] += any(not error for _, _, error in parked)
        found = read_models.notes(self.outside)
        assert sorted(found) == sorted(wanted)
        assert all(versions == sorted(versions) for versions in _by_aggregate(found).values()), "out of order"
        for fact in facts:
            if fact.new.type != "Fragile" or fact.position in skipped:
                continue
            before = [each for each, aggregate, _ in parked if aggregate == fact.new.aggregate_id]
            if before and min(before) <= (fact.position or 0):
                assert fact.position in waiting, "an event has overtaken a parked one"
            if "poison" in fact.new.data and not self.was_mended:
                assert fact.position in waiting, "what could not be handled is not parked"

    def _shard(self, name: str, fact: Fact) -> int:
        if name != "sharded_tally":
            return 0
        aggregate_id = fact.new.aggregate_id
        if aggregate_id not in self.shards:
            (shard,) = self.outside.execute(
                "SELECT mod(hashtextextended(%s::text, 0) & 2147483647, 4)::int", [aggregate_id]
            ).fetchone() or (0,)
            self.shards[aggregate_id] = shard
        return self.shards[aggregate_id]

    def _checkpoints(self) -> list[Any]:
        return self.outside.execute(
            "SELECT projection_id, build, shard, position FROM projections_checkpoint ORDER BY 1, 2, 3"
        ).fetchall()

    def _settled_outside(self) -> int:
        (settled,) = self.outside.execute("SELECT events_settled_position()").fetchone() or (0,)
        return int(settled)


def empty_the_store() -> None:
    """Remove everything, past the guards; by DELETE, because TRUNCATE makes new files. Positions go on."""
    with transaction.atomic(), connection.cursor() as cursor:
        for name in Rebuild.objects.values_list("projection_id", flat=True):
            shadow_tables.drop(name)
        cursor.execute("SET LOCAL events.maintenance = 'on'")
        for table in read_models.TABLES:
            cursor.execute(f"DELETE FROM {table}")


def _rejected(call: Callable[..., Any], *arguments: Any, **named: Any) -> InvalidEvent:
    """Return the error of a call that must not be taken."""
    try:
        call(*arguments, **named)
    except InvalidEvent as error:
        return error
    raise AssertionError(f"{arguments} {named} were taken")


def _break(handler: Handler, fact: Fact) -> None:
    raise Broken


def _child(event_id: UUID, aggregate_id: str, event_type: str) -> NewEvent:
    """What a handler dispatches: one event, whose id follows from that of its cause."""
    of_same = event_type == "Endless"
    return NewEvent(
        aggregate_id if of_same else f"chain-{category_of(aggregate_id)}",
        event_type,
        {"cause": str(event_id)},
        event_id=uuid5(event_id, event_type),
    )


def _maybe_poisoned(data: st.DataObject, event_type: str) -> dict[str, Any]:
    content = dict(data.draw(contents))
    if event_type == "Fragile" and data.draw(st.booleans()):
        content["poison"] = "arsenic"
    return content


def _outcome(dispatch: Callable[[], tuple[bool, Any]]) -> tuple[Any, ...]:
    """Return what came of a call, in a form in which the model's and the store's can be compared."""
    try:
        is_retry, events = dispatch()
    except Rejection as rejection:
        return rejection.args
    except VersionConflict as error:
        return ("VersionConflict", *((each.aggregate_id, each.expected, each.actual) for each in error.conflicts))
    except DuplicateEvent as error:
        return ("DuplicateEvent", error.event_id, error.aggregate_id)
    except DispatchTooDeep:
        return ("DispatchTooDeep",)
    except Broken:
        return ("Broken",)
    return ("stored", is_retry, events)


def _page(facts: list[Fact], reverse: bool, limit: int | None) -> list[Fact]:
    return (facts[::-1] if reverse else facts)[:limit]


def _shown(event: Event) -> tuple[Any, ...]:
    return (
        event.position,
        event.aggregate_id,
        event.version,
        event.event_id,
        event.type,
        repr(_sorted(event.data)),
        repr(_sorted(event.metadata)),
        event.timestamp,
        event.recorded_at,
    )


def _expected(fact: Fact) -> tuple[Any, ...]:
    new = fact.new
    return (
        fact.position,
        new.aggregate_id,
        fact.version,
        new.event_id,
        new.type,
        repr(_sorted(new.data)),
        repr(_sorted(new.metadata)),
        fact.timestamp,
        fact.recorded_at,
    )


def _sorted(value: Any) -> Any:
    """Return JSON with its keys in order, so that `repr` tells 1 from 1.0 and from True."""
    if isinstance(value, dict):
        return [(key, _sorted(value[key])) for key in sorted(value)]
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def _aggregates(facts: Sequence[Fact]) -> Iterator[tuple[Any, ...]]:
    last = {fact.new.aggregate_id: fact for fact in facts}
    for aggregate_id, fact in last.items():
        yield aggregate_id, category_of(aggregate_id), fact.version, fact.recorded_at


def _by_aggregate(notes: Sequence[tuple[str, int]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for aggregate_id, version in notes:
        found.setdefault(aggregate_id, []).append(version)
    return found
