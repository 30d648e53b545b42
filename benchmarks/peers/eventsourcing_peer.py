"""The peer `eventsourcing`: the library with its recorder for PostgreSQL, as documented; see benchmarks/peers.

It runs in its own environment, without this project.
"""

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from importlib.metadata import version
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4, uuid5

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import ApplicationRecorder, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

DATA = {"sku": "MUG-1", "quantity": 2, "price": 12.5, "customer": "customer-17", "note": "x" * 60}
STREAMS_OF_A_PROCESS = 20
WARM_UP_CALLS = 20
PAGE_EVENTS = 1000
HISTORIES = uuid4()
COMMANDS_OF_A_WALLET = 10


def postgres_recorder() -> PostgresApplicationRecorder:
    url = urlsplit(os.environ["PEER_URL"])
    datastore = PostgresDatastore(
        url.path.lstrip("/"), unquote(url.hostname or ""), url.port or 5432, url.username or "", url.password or ""
    )
    return PostgresApplicationRecorder(datastore)


class Works:
    """The works that are measured; `recorder` creates a recorder for each process.

    `disconnect` closes the connections of this process, which forked processes would share.
    """

    def __init__(self, recorder: Callable[[], ApplicationRecorder], disconnect: Callable[[], object]) -> None:
        self._recorder = recorder
        self._disconnect = disconnect

    def names(self) -> list[str]:
        return [name for name in ("append", "history", "read_all", "wallet") if hasattr(self, name)]

    def append(self, processes: int, batch: int, seconds: float) -> float:
        return self._in_processes(processes, self._append, batch, seconds)

    def _in_processes(self, processes: int, work: Callable[..., None], *arguments: Any) -> float:
        self._disconnect()
        context = multiprocessing.get_context("fork")
        barrier = context.Barrier(processes + 1)
        rates = context.Array("d", processes)
        children = [
            context.Process(target=work, args=(number, *arguments, barrier, rates)) for number in range(processes)
        ]
        for child in children:
            child.start()
        barrier.wait(timeout=120)
        for child in children:
            child.join()
        return sum(rates)

    def _append(self, number: int, batch: int, seconds: float, barrier: Any, rates: Any) -> None:
        own = self._recorder()
        streams = [uuid4() for _ in range(STREAMS_OF_A_PROCESS)]
        versions = dict.fromkeys(streams, 0)
        calls = 0

        def work() -> int:
            nonlocal calls
            stream = streams[calls % STREAMS_OF_A_PROCESS]
            calls += 1
            own.insert_events(_events(stream, versions[stream], batch))
            versions[stream] += batch
            return batch

        for _ in range(WARM_UP_CALLS):
            work()
        barrier.wait(timeout=120)
        rates[number] = _rate(work, seconds)
        os._exit(0)

    def prepare(self, history: list[int], events: int) -> float:
        own = self._recorder()
        for length in history:
            for start in range(0, length, 1000):
                own.insert_events(_events(_history(length), start, min(1000, length - start)))
        for _ in range(0, events, 1000):
            own.insert_events(_events(uuid4(), 0, 1000))
        return 0.0

    def history(self, events: int, seconds: float) -> float:
        own, stream = self._recorder(), _history(events)

        def work() -> int:
            return len([json.loads(event.state) for event in own.select_events(stream)])

        return _rate(work, seconds)

    def read_all(self, seconds: float) -> float:
        own = self._recorder()

        def work() -> int:
            total, start = 0, 1
            while page := own.select_notifications(start, PAGE_EVENTS):
                total += len([json.loads(notification.state) for notification in page])
                start = page[-1].id + 1
            return total

        return _rate(work, seconds)


class Wallet(Aggregate):
    """A wallet as the library's documentation writes an aggregate."""

    def __init__(self) -> None:
        self.balance = Decimal(0)

    @event("Deposited")
    def deposit(self, amount: Decimal) -> None:
        self.balance += amount


def _application(*, create_table: bool) -> Application[UUID]:
    url = urlsplit(os.environ["PEER_URL"])
    return Application(
        {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": url.path.lstrip("/"),
            "POSTGRES_HOST": unquote(url.hostname or ""),
            "POSTGRES_PORT": str(url.port or 5432),
            "POSTGRES_USER": url.username or "",
            "POSTGRES_PASSWORD": url.password or "",
            "CREATE_TABLE": "y" if create_table else "n",
        }
    )


class WalletWorks(Works):
    """The works, and commands of a wallet that is loaded, changed and saved."""

    def wallet(self, processes: int, seconds: float) -> float:
        _application(create_table=True).close()  # once: processes that create it at the same time fail
        return self._in_processes(processes, self._wallet, seconds)

    def _wallet(self, number: int, seconds: float, barrier: Any, rates: Any) -> None:
        own = _application(create_table=False)

        def work() -> int:
            opened = Wallet()
            opened.deposit(amount=Decimal("12.50"))
            own.save(opened)
            for _ in range(COMMANDS_OF_A_WALLET - 1):
                loaded = own.repository.get(opened.id)
                loaded.deposit(amount=Decimal("12.50"))
                own.save(loaded)
            return COMMANDS_OF_A_WALLET

        work()
        barrier.wait(timeout=120)
        rates[number] = _rate(work, seconds)
        os._exit(0)


def _history(length: int) -> UUID:
    return uuid5(HISTORIES, str(length))


def _events(stream: UUID, after_version: int, number: int) -> list[StoredEvent]:
    return [
        StoredEvent(
            originator_id=stream,
            originator_version=after_version + 1 + n,
            topic="benchmark:Measured",
            state=json.dumps(DATA).encode(),
        )
        for n in range(number)
    ]


def _rate(work: Callable[[], int], seconds: float) -> float:
    done, began = 0, time.perf_counter()
    while (now := time.perf_counter()) < began + seconds:
        done += work()
    return done / (now - began)


def serve(package: str, works: Works) -> None:
    """Read commands as lines from standard input, and write the response to each as a line."""
    for line in sys.stdin:
        command = json.loads(line)
        what = command.pop("do")
        try:
            if what == "about":
                answer: dict[str, Any] = {"version": version(package), "works": works.names()}
            else:
                answer = {"rate": getattr(works, what)(**command)}
        except Exception as error:  # reported to the parent
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    postgres_recorder().create_table()
    serve("eventsourcing", WalletWorks(postgres_recorder, lambda: None))  # each recorder opens its own connections
