"""Every command ends with one line when it cannot do its work, and with the exit code that the docs name."""

import io
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.core.management import CommandError, get_commands, load_command_class
from django.db import OperationalError, connection
from django.utils import timezone

from events.integrity import seals
from events.management.endings import ExitCode
from events.storage import fixtures
from events.store import EventStore
from projections.models import ProjectionState, Timer
from projections.workers import worker
from tests import FULL, MANAGE, ROOT
from tests.hosts.support import connected_by
from tests.projections.reactions.support import Reminds, registered
from tests.projections.support import catch_up
from tests.support import process_on_test_database, some

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # Where a command ends in the middle, nobody closes the cursors and streams of its process.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

APPS = ("events", "events.domain", "projections", "eventstore_project")
# The arguments of each command. What it prints comes first where it needs something to print.
ARGUMENTS: dict[str, list[str]] = {
    "cancel_timers": ["gone", "--all"],
    "clear_command_answers": [],
    "dumpdata": ["auth"],
    "event_schemas": ["--markdown", "--counts"],
    "events_digest": [],
    "events_doctor": [],
    "events_grants": ["--reader", "somebody"],
    "export_events": [],
    "fire_timers": ["gone_too", "key"],
    "flush": ["--no-input"],
    "forget_projection": ["gone"],
    "forward_reaction": ["reminds"],
    "import_events": ["{file}"],
    "keep_rows": ["tally"],
    "list_parked": [],
    "list_projections": [],
    "list_timers": [],
    "loaddata": ["{fixture}"],
    "move_timers": ["renamed", "reminds"],
    "pause_projection": ["tally"],
    "rebuild_projection": ["tally", "--yes"],
    "resume_projection": ["tally"],
    "retry_parked": ["tally"],
    "rewind_reaction": ["reminds", "--from", "1", "--yes"],
    "run_projections": ["tally", "--once"],
    "seal_events": [],
    "serve": ["--port", "1"],
    "setup_demo": [],
    "skip_parked": ["tally", "1", "--reason", "why"],
    "verify_events": [],
    "verify_snapshots": [],
}
# What commands print on standard error after their output, which may be buffered until then.
LINES_BEFORE = {"events_digest": ["Every event is sealed."]}
# Commands that print nothing on the test's store.
SILENT = {"flush", "keep_rows", "retry_parked", "run_projections", "setup_demo", "skip_parked"}
# Commands that make tables.
MIGRATE = {"serve", "setup_demo"}
# Commands that do something better than to end early, and their exit codes.
OTHER_ENDS = {
    ("events_doctor", "no tables"): ExitCode.FAILED,  # it reports what is missing
    ("events_doctor", "no rights"): ExitCode.FAILED,
    ("events_doctor", "connection lost"): ExitCode.FAILED,
    ("events_grants", "no rights"): ExitCode.DONE,  # it only reads the catalogue
    ("flush", "no tables"): ExitCode.DONE,  # a database without a store
    **{("flush", fault): ExitCode.FAILED for fault in ("no rights", "Ctrl-C", "SIGTERM", "connection lost")},
    ("run_projections", "Ctrl-C"): ExitCode.DONE,  # it ends after its pass
    ("run_projections", "SIGTERM"): ExitCode.DONE,
    ("run_projections", "connection lost"): ExitCode.DONE,  # it reconnects
}


@dataclass
class Ended:
    code: int
    error: str


def run(name: str, arguments: list[str], output: Any, error: Any = None) -> Ended:
    """Run a command in this process as manage.py does."""
    error, before = error or io.StringIO(), (sys.stdout, sys.stderr)
    sys.stdout, sys.stderr = output, error
    try:
        load_command_class(get_commands()[name], name).run_from_argv(["manage.py", name, *arguments, "--skip-checks"])
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stdout, sys.stderr = before
    return Ended(code, error.getvalue() if isinstance(error, io.StringIO) else "")


@contextmanager
def no_database() -> Iterator[None]:
    with connected_by({"HOST": "127.0.0.1", "PORT": 1}):
        yield


@contextmanager
def no_such_role() -> Iterator[None]:
    with connected_by({"USER": "nobody_here", "PASSWORD": "wrong"}):
        yield


@contextmanager
def no_tables() -> Iterator[None]:
    with connected_by({"NAME": "postgres"}):
        yield


@contextmanager
def no_rights() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE events_nobody LOGIN PASSWORD 'secret'")
    try:
        with connected_by({"USER": "events_nobody", "PASSWORD": "secret"}):
            yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP ROLE events_nobody")


@contextmanager
def at_first_query(act: Callable[[], None]) -> Iterator[None]:
    """Act once, when a command reads or writes a table."""
    done = False

    def wrap(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        nonlocal done
        if not done and re.search("events_|projections_|auth_", f"{sql} {params}"):
            done = True
            act()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrap):
        yield


def lose_connection() -> None:
    settings = connection.settings_dict
    login = {"host": settings["HOST"], "port": settings["PORT"] or None, "user": settings["USER"]}
    with psycopg.connect(**login, password=settings["PASSWORD"] or None, dbname="postgres") as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])


@contextmanager
def closed_pipe() -> Iterator[Any]:
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE, text=True)
    reader.wait()
    assert reader.stdin
    yield reader.stdin
    reader.stdin.close()


@contextmanager
def full_disk() -> Iterator[Any]:
    with Path("/dev/full").open("w") as output:
        yield output


@contextmanager
def not_open() -> Iterator[Any]:
    yield None


OUTPUT = {
    "closed by its reader": (closed_pipe, "The reader of the output has closed it. "),
    "full disk": (full_disk, "The output cannot be written: No space left on device. "),
    "closed from the start": (not_open, "The output cannot be written: it is closed. "),
}
DATABASE = {
    "no server": (no_database, ExitCode.DATABASE, "The connection to the database 'default' failed: "),
    "no such role": (no_such_role, ExitCode.DATABASE, "The connection to the database 'default' failed: "),
    "no tables": (no_tables, ExitCode.DATABASE, "The database 'default' has no "),
    "no rights": (no_rights, ExitCode.DATABASE, "The role 'events_nobody' "),
    "Ctrl-C": (
        lambda: at_first_query(lambda: signal.raise_signal(signal.SIGINT)),
        ExitCode.SIGINT,
        "Interrupted by SIGINT. ",
    ),
    "SIGTERM": (
        lambda: at_first_query(lambda: signal.raise_signal(signal.SIGTERM)),
        ExitCode.SIGTERM,
        "Interrupted by SIGTERM. ",
    ),
    "connection lost": (
        lambda: at_first_query(lose_connection),
        ExitCode.DATABASE,
        "The connection to the database 'default' failed: ",
    ),
}

NO_CONNECTION = {"no server", "no such role"}


@pytest.fixture(autouse=True)
def takes_ctrl_c() -> Iterator[None]:
    """Take SIGINT as in a terminal; processes in the background of a shell's script ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[str]]]:
    """The arguments of each command, on a store of which each command has something to say."""
    monkeypatch.setattr(worker, "GIVE_UP_SECONDS", 1)
    monkeypatch.setattr(fixtures, "is_of_a_test", lambda connection: False)
    EventStore().dispatch(*some(3))
    catch_up("tally")
    seals.seal("default")
    ProjectionState.objects.create(name="gone", mode="async", version=1)
    for reaction in ("gone", "gone_too", "renamed"):
        Timer.objects.create(
            reaction=reaction,
            key="key",
            due_at=timezone.now(),
            source_position=1,
            event_id=uuid4(),
            aggregate_id="a-1",
            type="Due",
            data={},
            metadata={},
        )
    places = {"file": tmp_path / "new.jsonl", "fixture": tmp_path / "fixture.json"}
    places["file"].write_text('{"aggregate_id": "a-9", "type": "Happened"}\n')
    places["fixture"].write_text('[{"model": "auth.group", "pk": 1, "fields": {"name": "packers", "permissions": []}}]')
    with registered(Reminds):
        catch_up("reminds")
        yield {name: [each.format(**places) for each in given] for name, given in ARGUMENTS.items()}


def test_every_command_is_in_the_table() -> None:
    ours = {name for name, app in get_commands().items() if (app if isinstance(app, str) else app.__module__) in APPS}
    assert ours == ARGUMENTS.keys()


@pytest.mark.parametrize("fault", DATABASE)
def test_command_without_its_database_ends_with_one_line(
    fault: str, arguments: dict[str, list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    broken, code, begin = DATABASE[fault]
    wrong = {}
    for name, given in arguments.items():
        if fault == "no tables" and name in MIGRATE:
            continue
        with broken():
            ended = run(name, given, io.StringIO())
        lines = ended.error.splitlines()
        is_told = len(lines) == 1 and lines[0].startswith(f"CommandError: {begin}") and ended.code == code
        if (name, fault) in OTHER_ENDS:
            is_told = len(lines) <= 1 and ended.code == OTHER_ENDS[name, fault]
        if not is_told:
            wrong[name] = ended
    assert not wrong, "\n".join(f"{name}: {ended}" for name, ended in wrong.items())
    assert fault not in NO_CONNECTION or "retry_in_seconds" not in caplog.text


@pytest.mark.parametrize("fault", OUTPUT)
def test_command_without_its_output_ends_with_one_line(fault: str, arguments: dict[str, list[str]]) -> None:
    opened, begin = OUTPUT[fault]
    wrong = {}
    for name in [each for each in arguments if each not in SILENT]:
        with opened() as output:
            ended = run(name, arguments[name], output)
        *before, line = ended.error.splitlines() or [""]
        is_told = line.startswith(f"CommandError: {begin}") and ended.code == ExitCode.OUTPUT
        if not is_told or before not in ([], LINES_BEFORE.get(name)):
            wrong[name] = ended
    assert not wrong, "\n".join(f"{name}: {ended}" for name, ended in wrong.items())


CALLS = [
    ("export_events /dev/full", ExitCode.OUTPUT, "/dev/full cannot be written: No space left on device. "),
    ("import_events {bad} --rejected /dev/full", ExitCode.OUTPUT, "/dev/full cannot be written: No space left on "),
    ("import_events {file} --batch-size 0", ExitCode.ARGUMENTS, "--batch-size: give 1 or more"),
    ("import_events {file} --type a", ExitCode.ARGUMENTS, "--type is for CSV, but this is JSON; "),
    ("import_events {file} --rejected {file}", ExitCode.ARGUMENTS, "--rejected: give a file other than "),
    ("import_events {file} --rejected -", ExitCode.ARGUMENTS, "--rejected: give the name of a file"),
    ("import_events {file} --format csv", ExitCode.ARGUMENTS, "A CSV file needs --aggregate-id and --type, "),
    ("import_events {file} --format csv --category a-b", ExitCode.ARGUMENTS, "--category: give a name without "),
    ("import_events {file} --format csv --category a", ExitCode.ARGUMENTS, "--category: pass --aggregate-id too"),
    ("import_events {file} --format csv --timezone UTC", ExitCode.ARGUMENTS, "--timezone: pass --timestamp too"),
    (
        "import_events {file} --format csv --timestamp a --timestamp-format x",
        ExitCode.ARGUMENTS,
        "--timestamp-format: ",
    ),
    ("clear_command_answers --days -1", ExitCode.ARGUMENTS, "--days is -1; give 0 to 36500"),
    ("event_schemas --counts", ExitCode.ARGUMENTS, "--counts goes with --markdown"),
    ("import_events {file}.none", ExitCode.ARGUMENTS, "There is no file "),
    ("export_events --after -1", ExitCode.ARGUMENTS, "after: is -1"),
    ("events_grants", ExitCode.ARGUMENTS, "Name at least one role: "),
    ("events_grants --operator somebody", ExitCode.ARGUMENTS, "--read-models goes with "),
    ("events_grants --operator somebody --read-models none", ExitCode.ARGUMENTS, "--read-models: "),
    ("verify_events --from 0", ExitCode.ARGUMENTS, "--from: give a position from 1 to "),
    ("verify_events --against x", ExitCode.ARGUMENTS, "--against: 'x' is not a digest"),
    ("verify_events --against x --from 1", ExitCode.ARGUMENTS, "--against verifies all events "),
    ("events_digest --database nope", ExitCode.ARGUMENTS, "--database: there is no 'nope' in DATABASES"),
    ("dumpdata events", ExitCode.ARGUMENTS, "Rejected: dumpdata does not dump events, "),
    ("pause_projection nope", ExitCode.ARGUMENTS, "There is no projection 'nope'; "),
    ("cancel_timers gone", ExitCode.ARGUMENTS, "Give the keys of the timers to cancel, or --all."),
    ("move_timers gone nope", ExitCode.ARGUMENTS, "There is no projection 'nope'; "),
    ("forward_reaction nope", ExitCode.ARGUMENTS, "There is no projection 'nope'; "),
    ("rewind_reaction nope --from 1 --yes", ExitCode.ARGUMENTS, "There is no projection 'nope'; "),
    ("run_projections --processes 0", ExitCode.ARGUMENTS, "--processes is 0; give 1 or more"),
]


def test_call_that_cannot_be_carried_out_ends_with_one_line(arguments: dict[str, list[str]], tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{}\n" * 2000)
    wrong = {}
    for call, code, begin in CALLS:
        name, *given = call.format(bad=tmp_path / "bad.jsonl", file=tmp_path / "new.jsonl").split()
        ended = run(name, given, io.StringIO())
        lines = [line for line in ended.error.splitlines() if not re.match(r"line \d+: |.* is read with ", line)]
        if ended.code != code or len(lines) != 1 or not lines[0].startswith(f"CommandError: {begin}"):
            wrong[call] = ended
    assert not wrong, "\n".join(f"{call}: {ended}" for call, ended in wrong.items())


def test_command_without_its_standard_error_has_an_exit_code_for_that(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text("{}\n")
    with Path("/dev/full").open("w", buffering=1) as error:
        assert run("import_events", [str(path), "--skip-bad"], io.StringIO(), error).code == ExitCode.OUTPUT


def test_traceback_shows_the_error_itself(arguments: dict[str, list[str]]) -> None:
    with no_database(), pytest.raises(CommandError) as caught:
        run("events_digest", ["--traceback"], io.StringIO())
    assert isinstance(caught.value.__cause__, OperationalError)


def test_exit_codes_are_documented() -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## Exit codes\n(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)} == {*ExitCode}


@pytest.mark.parametrize("name", ["export_events", *(["list_projections", "events_doctor"] if FULL else [])])
def test_process_prints_nothing_else_at_its_exit(name: str, arguments: dict[str, list[str]]) -> None:
    with process_on_test_database("-c", PROCESS.format(manage=str(MANAGE), name=name)) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == ExitCode.OUTPUT
    assert output.startswith("CommandError: The output cannot be written: ")
    assert len(output.splitlines()) == 1


# A shell's `> /dev/full`.
PROCESS = """
import os, runpy, sys
os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
sys.argv = [{manage!r}, {name!r}]
runpy.run_path({manage!r}, run_name="__main__")
"""
