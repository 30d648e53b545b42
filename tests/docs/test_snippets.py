"""Every snippet of the README and the docs is run: by a live server, in a fresh project, or on the spot."""

import contextlib
import io
import re
import shlex
import shutil
import sys
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.template import RequestContext, Template
from django.test import Client, RequestFactory
from django.utils.module_loading import import_string
from rest_framework.authtoken.models import Token

from events.middleware import EventContextMiddleware
from events.store import EventStore
from events.testing import isolated_registry
from events.types import NewEvent
from projections import registry
from projections.engine import registration
from projections.workers.worker import Worker
from tests import FULL
from tests.ownproject import GETTING_STARTED, PAGES, ROOT, SERVICE, USE_IT, OwnProject, run, shell_lines, snippets
from tests.support import AsgiServer, Background


def test_every_snippet_is_of_a_kind_that_is_tested() -> None:
    for page in PAGES:
        kinds = re.findall(r"^```(.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert set(kinds) <= {"sh", "python", "javascript", "text", "html", "sql"}, page
    starts = (
        "make ",
        "curl ",
        "pip install ",
        "python manage.py ",
        ".venv/bin/python -m pytest ",
        " ",
        "pg_",
        "createdb ",
        "django-admin ",
        "uvicorn ",
        "env PGOPTIONS",
    )
    for page in PAGES:
        for snippet in snippets(page, "sh"):
            assert all(line.startswith(starts) for line in snippet.splitlines()), snippet


# Snippets that are files of a project, or talk to a server; tests below run these.
ELSEWHERE = (
    "# settings.py",
    "# urls.py",
    "# projections.py",
    "# reactions.py",
    "# over HTTP",
    "# venue/events/apps.py",
)


@pytest.fixture
def event_types() -> Iterator[None]:
    """The event types of a snippet are forgotten."""
    with isolated_registry():
        yield


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("page", "outputs"),
    [
        ("README.md", 1),
        ("docs/aggregates.md", 5),
        ("docs/commands.md", 0),
        ("docs/context.md", 5),
        ("docs/event-types.md", 7),
        ("docs/getting-started.md", 3),
        ("docs/patterns.md", 2),
        ("docs/public-api.md", 0),
    ],
)
def test_python_snippets_run_and_print_what_the_page_says(page: str, outputs: int, event_types: None) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(python|text)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"__name__": "page"}
    assert run_in_order(page, blocks, names) == outputs
    assert names.get("checkpoint", 1) > 0


def run_in_order(page: str, blocks: list[tuple[str, str]], names: dict[str, Any]) -> int:
    """Run the Python of a page, compare what it prints with the text behind it, and return the number of these."""
    printed = ""
    compared = 0
    for kind, block in blocks:
        if kind == "text":
            assert printed == block
            compared += 1
        elif not block.startswith(ELSEWHERE):
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile(block, page, "exec"), names)  # noqa: S102
            printed = output.getvalue()
    return compared


# An app of the page about aggregates, which the page about tests continues.
ORDERS = "# orders/"
# An app of the page about reactions, which the page about tests continues.
PAYMENTS = "# payments/"


def test_tests_of_commands_run_on_the_aggregate_of_the_other_page(monkeypatch: pytest.MonkeyPatch) -> None:
    (domain,) = [each for each in snippets(ROOT / "docs/aggregates.md", "python") if each.startswith(ORDERS)]
    (tests,) = [each for each in snippets(ROOT / "docs/testing.md", "python") if each.startswith(ORDERS)]
    with isolated_registry():
        for name, code in {"orders": "", "orders.domain": domain, "orders.tests": tests}.items():
            module = ModuleType(name)
            module.__package__ = "orders"
            monkeypatch.setitem(sys.modules, name, module)
            exec(compile(code, name, "exec"), vars(module))  # noqa: S102
        suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["orders.tests"])
        result = unittest.TextTestRunner(io.StringIO()).run(suite)
    assert (result.testsRun, result.errors, result.failures) == (2, [], [])


def test_settings_of_the_context_page_name_the_middleware() -> None:
    (block,) = [each for each in snippets(ROOT / "docs/context.md", "python") if each.startswith("# settings.py")]
    names: dict[str, Any] = {"MIDDLEWARE": ["others"]}
    exec(compile(block, "docs/context.md", "exec"), names)  # noqa: S102
    assert [import_string(names["MIDDLEWARE"][0]), names["MIDDLEWARE"][1]] == [EventContextMiddleware, "others"]


def test_snippet_of_the_collisions_page_is_an_app_config() -> None:
    (block,) = snippets(ROOT / "docs/collisions.md", "python")
    names: dict[str, Any] = {}
    exec(compile(block, "docs/collisions.md", "exec"), names)  # noqa: S102
    assert names["VenueEventsConfig"].label == "venue_events"


def test_test_commands_of_the_pages_name_files_that_exist() -> None:
    lines = shell_lines(".venv/bin/python -m pytest ")
    assert lines
    for line in lines:
        (path,) = [word for word in line.split() if word.startswith("tests/")]
        assert (ROOT / path.partition("::")[0]).exists(), line
        if "::" in path:
            assert f"def {path.partition('::')[2]}(" in (ROOT / path.partition("::")[0]).read_text(encoding="utf-8")


@pytest.mark.django_db(transaction=True)
def test_sql_snippets_set_what_they_say() -> None:
    statements = [
        statement.strip()
        for page in PAGES
        for snippet in snippets(page, "sql")
        for statement in re.sub(r"--.*", "", snippet).split(";")
        if statement.strip()
    ]
    tables: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
            if altered := re.match(r"ALTER TABLE (\w+) SET", statement):
                tables.setdefault(altered[1], []).extend(re.findall(r"(\w+) = ", statement))
        for table, options in tables.items():
            cursor.execute("SELECT reloptions FROM pg_class WHERE oid = %s::regclass", [table])
            assert [option.partition("=")[0] for option in cursor.fetchone()[0]] == options
            cursor.execute(f"ALTER TABLE {table} RESET ({', '.join(options)})")
    assert tables.keys() == {"events_event", "events_aggregate"}


def test_snippets_of_the_admin_page_work(site: Callable[[], None], rf: RequestFactory, admin_user: User) -> None:
    """The tag shows the dashboard on a page of one's own, and a page of one's own takes the place of ours."""
    (template,) = snippets(ROOT / "docs/admin.md", "html")
    (module,) = snippets(ROOT / "docs/admin.md", "python")
    request = rf.get("/")
    request.user = admin_user
    assert "event-dashboard" in Template(template).render(RequestContext(request))
    exec(compile(module, "docs/admin.md", "exec"))  # noqa: S102
    site()
    client = Client()
    client.force_login(admin_user)
    EventStore().dispatch(*[NewEvent("many-1", "Happened") for _ in range(100)])
    assert client.get("/admin/events/event/").content.decode().count("field-position") == 100


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_targets_exist() -> None:
    for line in shell_lines("make "):
        run("make", "--dry-run", line.split()[1])
    named = {name for page in PAGES for name in re.findall(r"`make ([a-z-]+)`", page.read_text(encoding="utf-8"))}
    assert named
    for target in named:
        run("make", "--dry-run", target)


# The page about the service runs in a project of its own: test_service.py.
WITH_CURL = [page for page in PAGES if "curl " in page.read_text() and page != SERVICE]
# What the answers to the snippets hold, one or another.
ANSWERS = ('"events":[', '"event_count":', "event: caught-up", '"stored":0', '"specversion":"1.0"')


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize("page", WITH_CURL, ids=lambda page: page.name)
def test_snippets_of_http_work_against_a_live_server(
    page: Path, asgi_server: AsgiServer, admin_user: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Go through the page from top to bottom, curl and httpx alike."""
    monkeypatch.setenv("SITE", asgi_server.url)
    monkeypatch.setenv("TOKEN", Token.objects.create(user=admin_user).key)
    strict = 'curl() { command curl --silent --show-error --fail-with-body "$@"; }\nset -e\n'
    names: dict[str, Any] = {}
    ran = {"sh": 0, "python": 0}
    for kind, block in re.findall(r"^```(python|sh)\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL):
        if kind == "sh" and block.startswith("curl"):
            answer = run("bash", "-c", strict + block, cwd=tmp_path)
            assert any(each in answer for each in ANSWERS), answer
        elif kind == "python" and ("client" in block or "httpx" in block):
            before = page.read_text().partition(block)[0].count("\n")  # so that a failure names the line of the page
            exec(compile("\n" * before + block, page, "exec"), names)  # noqa: S102
        else:
            continue
        ran[kind] += 1
    if client := names.get("client"):
        client.close()
    assert min(ran.values()) > 0


@pytest.mark.django_db(transaction=True)
def test_commands_of_the_import_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "receipts.csv").write_text("case,activity,time\n1,Opened,2020-01-01T00:00:00Z\n")
    (tmp_path / "orders.csv").write_text("case;what;when\n1;Opened;31/12/2020 14:05\n")
    (tmp_path / "log.txt").write_bytes("case\twhat\tnote\n2\tGeöffnet\n".encode("windows-1252"))
    said = []
    for snippet in snippets(ROOT / "docs/import-export.md", "sh"):
        for line in snippet.splitlines():
            call_command(*shlex.split(line, comments=True)[2:], stdout=(out := io.StringIO()), stderr=io.StringIO())
            said.append(out.getvalue().splitlines()[:1])
    header = "position,aggregate_id,version,event_id,type,data,metadata,timestamp,recorded_at,unreadable"
    stored = ["0 events stored."], *[["1 event stored."]] * 3
    assert said == [[], *stored, [], [header]]


def test_own_project_works_as_described(own_project: OwnProject) -> None:
    """Follow the steps of docs/getting-started.md in a new project."""
    packages, manage = own_project.packages, own_project.manage
    assert {path.name for path in packages.iterdir() if path.is_dir()} >= {"events", "projections"}
    assert not {"tests", "benchmarks", "eventstore_project"} & {path.name for path in packages.iterdir()}
    (own_project.folder / "receipts.csv").write_text("case,activity,time\nc-1,Opened,2020-01-01T00:00:00Z\n")

    assert str(packages) in manage("shell", "-c", "import events; print(events.__file__)")
    assert "no issues" in manage("check", "--database", "default")
    for line in shell_lines("python manage.py migrate"):
        manage(*line.split()[2:])
    manage("makemigrations", "--check", "--dry-run")
    assert manage("shell", "-c", USE_IT).splitlines()[-1] == "1"
    page = "".join(snippets(GETTING_STARTED, "sh")).splitlines()
    lines = [shlex.split(line, comments=True)[2:] for line in page if line.startswith("python manage.py ")]
    said = {line[0]: manage(*line).strip() for line in lines if "_events" in line[0]}
    assert said == {"export_events": "", "import_events": "1 event would be stored."}
    for name in ("list_projections", "rebuild_projection"):
        (line,) = [line for line in lines if line[0] == name]
        assert "aggregate_activity" in manage(*line)
    for steps in (("events", "zero"), ("projections", "zero"), ()):
        manage("migrate", *steps, PGOPTIONS="-c events.maintenance=on")  # as operations.md says


def follow(page: str, own_project: OwnProject, app: str) -> int:
    """Go through a page from top to bottom: write the files, run the commands, compare what they print."""
    manage, folder = own_project.manage, own_project.folder
    manage("startapp", app)
    printed = ""
    compared = 0
    for kind, block in re.findall(r"^```(python|sh|text)\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL):
        head = block.partition("\n")[0]
        if kind == "text" and not block.startswith("python manage.py "):
            assert printed.endswith(block)
            compared += 1
        elif kind == "sh":
            for line in block.splitlines():
                printed = manage(*shlex.split(line, comments=True)[2:])
        elif head == "# settings":
            own_project.append("shop/settings.py", block)
        elif head == "# python manage.py shell":
            printed = manage("shell", "-c", block)
        elif head.startswith(f"# {app}/"):
            path, is_continued = head.removeprefix("# ").removesuffix(", continued"), head.endswith(", continued")
            with (folder / path).open("a" if is_continued else "w") as file:
                file.write(f"\n\n{block}" if is_continued else block)
    return compared


def test_tutorial_of_projections_works_as_written(own_project: OwnProject) -> None:
    page = (ROOT / "docs/projections.md").read_text(encoding="utf-8").partition("## The class")[0]
    manage, folder = own_project.manage, own_project.folder
    manage("migrate")
    assert follow(page, own_project, "sales") == 5

    for block in snippets(ROOT / "docs/testing.md", "python"):  # the page continues the example
        path, _, code = block.partition("\n")
        if path.startswith((ORDERS, PAYMENTS)):
            continue
        compile(code, path, "exec")
        (folder / path.removeprefix("# ")).write_text(code)
    (line,) = snippets(ROOT / "docs/testing.md", "sh")
    manage(*shlex.split(line)[2:])
    if FULL:
        files = sorted(folder.glob("sales/test*.py"))
        said = run(own_project.python, "-m", "pytest", "-q", *files, cwd=folder, **own_project.environment)
        assert "7 passed" in said


def test_process_manager_of_the_page_is_that_of_the_demo() -> None:
    (block,) = [
        each for each in snippets(ROOT / "docs/reactions.md", "python") if each.startswith("# eventstore_project")
    ]
    path, _, code = block.partition("\n")
    source = iter((ROOT / path.removeprefix("# ")).read_text(encoding="utf-8").splitlines())
    for line in code.splitlines():
        assert line in source, "the page leaves out lines, but changes none"


def test_tutorial_of_reactions_works_as_written(own_project: OwnProject) -> None:
    page = (ROOT / "docs/reactions.md").read_text(encoding="utf-8").partition("## When another system is away")[0]
    assert follow(page, own_project, "parcels") == 3
    own_project.manage("check", "--fail-level", "WARNING")
    rewind = ("rewind_reaction", "receipts", "--from", "4", "--reason", "lost", "--send-again", "--yes")
    assert "from position 4 on again" in own_project.manage(*rewind)


@pytest.mark.django_db(transaction=True)
def test_snippet_that_waits_for_a_projection_works() -> None:
    (block,) = [block for block in snippets(ROOT / "docs/projections.md", "python") if "wait_for(" in block]
    worker = Worker(registry.named(["product_sales"]))
    with Background(worker.run), contextlib.ExitStack() as stack:
        stack.callback(worker.stop)
        exec(compile(block, "projections.md", "exec"), {"store": EventStore(), "NewEvent": NewEvent})  # noqa: S102


@pytest.mark.django_db(transaction=True)
def test_timers_of_the_page_work_as_the_page_about_tests_says() -> None:
    (reminders,) = [
        each for each in snippets(ROOT / "docs/reactions.md", "python") if each.startswith("# payments/reactions.py")
    ]
    (tests,) = [each for each in snippets(ROOT / "docs/testing.md", "python") if each.startswith(PAYMENTS)]
    names: dict[str, Any] = {"__name__": "payments.projections"}
    exec(compile(reminders, "docs/reactions.md", "exec"), names)  # noqa: S102
    try:
        registration.register_all()  # as migrate does when the tests of a project begin
        module = ModuleType("payments.test_reminders")
        exec(compile(tests, "docs/testing.md", "exec"), vars(module))  # noqa: S102
        result = unittest.TextTestRunner(io.StringIO()).run(unittest.defaultTestLoader.loadTestsFromModule(module))
    finally:
        registry.unregister(names["PaymentReminders"])
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])
