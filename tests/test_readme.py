"""Every snippet of the README and the docs is run: by a live server, in a fresh project, or on the spot."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from rest_framework.authtoken.models import Token

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def snippets(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def shell_lines(start: str) -> list[str]:
    """The lines of the pages' shell snippets that begin with `start`, without their comments."""
    lines = [line for page in PAGES for snippet in snippets(page, "sh") for line in snippet.splitlines()]
    return [re.sub(r"\s+# .*$", "", line) for line in lines if line.startswith(start)]


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    result = subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def test_every_snippet_is_of_a_kind_that_is_tested() -> None:
    for page in PAGES:
        kinds = re.findall(r"^```(.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert set(kinds) <= {"sh", "python", "text"}, page
    starts = ("make ", "curl ", "pip install ", "python manage.py ", " ")
    for page in PAGES:
        for snippet in snippets(page, "sh"):
            assert all(line.startswith(starts) for line in snippet.splitlines()), snippet


@pytest.mark.django_db(transaction=True)
def test_python_snippets_run_and_print_what_is_said() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(python|text)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    printed = ""
    compared = 0
    for kind, block in blocks:
        if kind == "text":
            assert printed == block
            compared += 1
        elif not block.startswith(("# settings.py", "# urls.py")):
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile(block, "README.md", "exec"), names)  # noqa: S102
            printed = output.getvalue()
    assert compared == 2
    assert names["checkpoint"] > 0


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_targets_exist() -> None:
    for line in shell_lines("make "):
        run("make", "--dry-run", line.split()[1])
    named = re.findall(r"`make ([a-z-]+)`", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert named
    for target in named:
        run("make", "--dry-run", target)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_curl_snippets_work_against_a_live_server(page: Path, live_server: Any, admin_user: Any) -> None:
    token = Token.objects.create(user=admin_user).key
    strict = 'curl() { command curl --silent --show-error --fail-with-body "$@" || exit 1; }\n'
    for snippet in snippets(page, "sh"):
        if snippet.startswith("curl"):
            answer = run("bash", "-c", strict + snippet, TOKEN=token, SITE=live_server.url)
            assert '"events":[' in answer


@pytest.fixture
def empty_database(db: None) -> Iterator[dict[str, Any]]:
    """Django's settings for another database on the same server, owned by a role that may do nothing else."""
    name = f"{connection.settings_dict['NAME']}_own_project"
    server = connection.copy("server")
    server.settings_dict["NAME"] = "postgres"
    server.set_autocommit(True)
    with server.cursor() as cursor:
        drop = [f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'DROP ROLE IF EXISTS "{name}"']
        create = [f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'secret'", f'CREATE DATABASE "{name}" OWNER "{name}"']
        for statement in drop + create:
            cursor.execute(statement)
        keys = ("ENGINE", "HOST", "PORT")
        login = {"USER": name, "PASSWORD": "secret", "NAME": name}
        yield {key: connection.settings_dict[key] for key in keys} | login
        for statement in drop:
            cursor.execute(statement)
    server.close()


USE_IT = """
from django.contrib.auth.models import User
from django.test import Client
from events.store import EventStore
from events.types import NewEvent
from projections.models import AggregateActivity

client = Client(SERVER_NAME="localhost")
client.force_login(User.objects.create_superuser("somebody"))
EventStore().dispatch(NewEvent("order-1", "OrderPlaced"), expected_version=0)
for url in ("/admin/", "/admin/events/event/", "/admin/events/aggregate/order-1/change/", "/admin/events/event/add/",
            "/api/events/", "/api/aggregates/order-1/events/", "/api/read-models/aggregate-activity/order-1/"):
    assert client.get(url).status_code == 200, url
print(AggregateActivity.objects.get().event_count)
"""


def test_own_project_works_as_described(tmp_path: Path, empty_database: dict[str, Any]) -> None:
    """Install the package as the README says, and follow its steps in a new project."""
    checkout, packages, project = tmp_path / "django-eventstore", tmp_path / "packages", tmp_path / "my project"
    shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__"))
    (install,) = shell_lines("pip install ")
    run(sys.executable, "-m", *install.split(), "--no-deps", "--quiet", "--target", packages, cwd=tmp_path)
    assert {path.name for path in packages.iterdir() if path.is_dir()} >= {"events", "projections"}
    assert not {"tests", "eventstore_project"} & {path.name for path in packages.iterdir()}

    project.mkdir()
    environment = {"PYTHONPATH": str(packages), "DJANGO_SETTINGS_MODULE": "shop.settings"}
    start = [sys.executable, "-m", "django", "startproject", "shop", project]
    run(*start, cwd=tmp_path, PYTHONPATH=str(packages), DJANGO_SETTINGS_MODULE="")
    settings, urls = (
        next(block for block in snippets(ROOT / "README.md", "python") if block.startswith(f"# {name}.py"))
        for name in ("settings", "urls")
    )
    with (project / "shop/settings.py").open("a") as file:
        file.write(f"\n{settings}\nDATABASES['default'] = {empty_database!r}\n")
    with (project / "shop/urls.py").open("a") as file:
        file.write(f"\n{urls}\n")
    (project / "receipts.csv").write_text("case,activity,time\nc-1,Opened,2020-01-01T00:00:00Z\n")

    def manage(*arguments: str) -> str:
        return run(sys.executable, "manage.py", *arguments, cwd=project, **environment)

    assert str(packages) in manage("shell", "-c", "import events; print(events.__file__)")
    assert "no issues" in manage("check", "--database", "default")
    for line in shell_lines("python manage.py migrate"):
        manage(*line.split()[2:])
    manage("makemigrations", "--check", "--dry-run")
    assert manage("shell", "-c", USE_IT).splitlines()[-1] == "1"
    said = [manage(*line.split()[2:]).strip() for line in shell_lines("python manage.py") if "_events" in line]
    assert said == ["", "0 events stored, 1 were stored already.", "1 events would be stored."]
    for steps in (("events", "zero"), ("projections", "zero"), ()):
        manage("migrate", *steps)
