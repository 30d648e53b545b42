"""Measure the peak memory of imports, exports, streams and rebuilds: `make memory`.

A new process does each of them, in its own database; its peak memory is VmHWM of Linux. All events must not need more
memory than a tenth of the events.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import DATABASE, SETTINGS, database, server

TARGET = 1.1
IN_PROCESS = ("import", "export", "rebuild")
OVER_HTTP = ("import again over HTTP", "export over HTTP", "stream over HTTP")


def peak_mib(pid: int | str = "self") -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LookupError("Linux does not tell the peak")


def write_lines(path: Path, events: int) -> None:
    """Write events without event ids, so that the import has to create them."""
    with path.open("w") as file:
        for n in range(events):
            data = {"sku": "MUG-1", "quantity": n % 5, "price": 12.5, "note": "x" * 60}
            json.dump({"aggregate_id": f"item-{n % 5000}", "type": f"Measured{n % 20}", "data": data}, file)
            file.write("\n")


def do(doing: str, folder: Path) -> None:
    """Do one work in this process, and print its peak memory."""
    import django

    django.setup()
    from django.core.management import call_command

    if doing == "import":
        call_command("import_events", folder / "events.jsonl", verbosity=0)
    elif doing == "export":
        call_command("export_events", folder / "exported.jsonl", verbosity=0)
    else:
        rebuild()
    print(peak_mib())


def rebuild() -> None:
    from projections import registry
    from projections.operations import actions
    from projections.projections import EventTypeActivityProjection
    from projections.workers.worker import Until, Worker

    registry.register(EventTypeActivityProjection)
    actions.ask_for_rebuild("event_type_activity", by="benchmark")
    Worker(registry.named(["event_type_activity"]), until=Until.CAUGHT_UP).run()


def in_process(doing: str, folder: Path) -> tuple[float, float]:
    """Return the peak memory in MiB, and the seconds."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.bench_memory", "--do", doing, folder]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(answer.stdout.splitlines()[-1]), time.perf_counter() - started


def over_http(doing: str, folder: Path, events: int, token: str) -> tuple[float, float]:
    """Return the peak memory of a server that does nothing else, in MiB, and the seconds."""
    import httpx

    with server() as (port, pid):
        headers = {"Authorization": f"Token {token}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=900) as client:
            started = time.perf_counter()
            if doing == OVER_HTTP[0]:
                with (folder / "exported.jsonl").open("rb") as file:
                    answer = client.post(
                        "/api/events/import/", content=file, headers={"Content-Type": "application/x-ndjson"}
                    )
                assert answer.json() == {"stored": 0, "known": events}, answer.text
            elif doing == OVER_HTTP[1]:
                with client.stream("GET", "/api/events/export/") as answer:
                    assert sum(chunk.count(b"\n") for chunk in answer.iter_raw()) == events
            else:
                with client.stream("GET", "/api/events/stream/") as answer:
                    assert sum(_events_until_caught_up(answer.iter_raw())) == events
            return peak_mib(pid), time.perf_counter() - started


def _events_until_caught_up(chunks: Iterator[bytes]) -> Iterator[int]:
    end = b""
    for chunk in chunks:
        text = end + chunk
        lines, _, end = text.rpartition(b"\n")
        yield lines.count(b"data: {") - lines.count(b"event: caught-up")
        if b"event: caught-up" in lines:
            return


def measure(events: int) -> dict[str, tuple[float, float]]:
    """Return the peak memory and the seconds of each work, with `events` events."""
    with tempfile.TemporaryDirectory(prefix="eventstore-memory-") as name, database(DATABASE, SETTINGS):
        from django.core.management import call_command

        from benchmarks.bench_http import make_token

        call_command("migrate", verbosity=0)
        folder = Path(name)
        write_lines(folder / "events.jsonl", events)
        token = make_token()
        found: dict[str, tuple[float, float]] = {}
        for doing in (*IN_PROCESS, *OVER_HTTP):
            took = in_process(doing, folder) if doing in IN_PROCESS else over_http(doing, folder, events, token)
            print(f"{events:,} events, {doing}: {took[0]:.1f} MiB, {took[1]:.0f} s", file=sys.stderr, flush=True)
            found[doing] = took
        return found


def main() -> None:
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="events in the larger run (%(default)s)")
    parser.add_argument("--do", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.do:
        do(options.do[0], Path(options.do[1]))
        return
    if options.count:
        print(json.dumps(measure(options.count)))
        return
    few, many = (_measured_apart(number) for number in (options.events // 10, options.events))
    print(f"{'peak memory of the process':<28}{options.events // 10:>14,}{options.events:>16,} events")
    missed = False
    for doing, (before, _) in few.items():
        after, seconds = many[doing]
        is_flat = after <= TARGET * before
        missed |= not is_flat
        rate = f"{options.events / seconds:,.0f} events/s"
        mark = "ok  " if is_flat else "MISS"
        print(f"{mark} {doing:<24}{before:>10.1f} MiB{after:>12.1f} MiB  {after / before:.2f}  {rate}")
    sys.exit(missed)


def _measured_apart(events: int) -> dict[str, tuple[float, float]]:
    """Measure in a new process, because Django is set up for one database."""
    command = [sys.executable, "-m", "benchmarks.bench_memory", "--count", str(events)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, tuple[float, float]] = json.loads(answer.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
