"""docs/tutorial.md is followed word for word in an empty folder: files, commands, what they print, and two servers."""

import ast
import re
import shlex
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.ownproject import ROOT, installed_packages, run

PAGE = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(python|html|sh|text)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
# What the test does in another way: the package is installed already, and the database is one of the tests.
ELSEWHERE = ("pip install ", "createdb ")
LONG_RUNNING = ("python manage.py run_projections\n", "uvicorn ")


class Reader:
    """Follows the page in a folder."""

    def __init__(self, folder: Path, database: dict[str, Any]) -> None:
        self.folder, self._database = folder, database
        self._environment = {"PYTHONPATH": str(installed_packages()), "DJANGO_SETTINGS_MODULE": "bank.settings"}
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    def command(self, line: str) -> list[str]:
        program, *arguments = shlex.split(line)
        modules: dict[str, list[str]] = {"python": [], "django-admin": ["-m", "django"], "uvicorn": ["-m", "uvicorn"]}
        at_port = ["--port", str(self.port)] if program == "uvicorn" else []
        return [sys.executable, *modules[program], *arguments, *at_port]

    def run(self, line: str) -> str:
        environment = self._environment
        if line.startswith("django-admin"):  # the settings do not exist yet
            environment = {**environment, "DJANGO_SETTINGS_MODULE": ""}
        return run(*self.command(line), cwd=self.folder, **environment)

    def write(self, head: str, block: str) -> None:
        path, _, name = head.partition(": ")
        file = self.folder / path
        if name:
            file.write_text(replaced(file.read_text(), name, block.partition("\n")[2]))
        elif path in ("bank/settings.py", "bank/urls.py"):  # "append these lines"
            with file.open("a") as opened:
                opened.write(block)
                if path == "bank/settings.py":
                    opened.write(f"DATABASES['default'] = {self._database!r}\n")
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block)

    @contextmanager
    def running(self, lines: list[str]) -> Iterator[None]:
        """Run servers as the page says, and end them by their own pids."""
        environment = {**self._environment, "PATH": "/usr/bin:/bin"}
        processes = [subprocess.Popen(self.command(line), cwd=self.folder, env=environment) for line in lines]
        try:
            yield
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(timeout=20)


def replaced(source: str, name: str, block: str) -> str:
    """Return source code with another definition of a class, or of a method of a class."""
    node: Any = ast.parse(source)
    for part in name.split("."):
        node = next(each for each in node.body if getattr(each, "name", None) == part)
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    lines = source.splitlines(keepends=True)
    lines[first - 1 : node.end_lineno] = textwrap.indent(block, " " * node.col_offset)
    return "".join(lines)


def test_settings_addresses_and_commands_are_few_lines() -> None:
    """The tests of the app and the migration of its own model are not counted: they are work on the wallet."""
    until_it_runs = BLOCKS[: next(index for index, (_, block) in enumerate(BLOCKS) if "uvicorn bank" in block) + 1]
    lines = [
        line
        for kind, block in until_it_runs
        if (kind == "sh" and not {"test", "makemigrations"} & set(block.split()))
        or block.startswith(("# bank/settings.py", "# bank/urls.py"))
        for line in block.splitlines()
        if line and not line.startswith("#")
    ]
    assert len(lines) <= 15, lines


def test_tutorial_works_as_written(tmp_path: Path, empty_database: dict[str, Any]) -> None:
    reader = Reader(tmp_path, empty_database)
    printed, compared, served = "", 0, False
    for kind, block in BLOCKS:
        head = block.partition("\n")[0].removeprefix("# ").removeprefix("<!-- ").removesuffix(" -->")
        if kind == "text":
            assert printed.endswith(block)  # Django says first what the shell has imported
            compared += 1
        elif kind == "sh" and "uvicorn bank" in block:
            with reader.running(block.splitlines()):
                use_the_page(f"http://127.0.0.1:{reader.port}/")
            served = True
        elif kind == "sh":
            for line in block.splitlines():
                if not line.startswith(ELSEWHERE):
                    printed = reader.run(line)
        elif head == "python manage.py shell":
            printed = run(*reader.command("python manage.py shell"), "-c", block, cwd=tmp_path, **reader._environment)
        else:
            reader.write(head, block)
    assert (compared, served) == (3, True)
    assert "no issues" in reader.run("python manage.py check")


def use_the_page(url: str) -> None:
    with httpx.Client(base_url=url, trust_env=False) as client:
        wait_until(lambda: client.get("/").status_code == 200)

        def send(**data: str) -> str:
            token = client.cookies["csrftoken"]
            return client.post("/", data={**data, "csrfmiddlewaretoken": token}).text

        assert "carl has 5.00 now." in send(owner="carl", amount="5.00", command="deposit")
        assert "carl has only 5.00" in send(owner="carl", amount="6", command="withdraw")
        assert "there is no aggregate" in send(owner="dora", amount="6", command="withdraw")
        wait_until(lambda: "<li>carl: 5.00</li>" in client.get("/").text)  # which the worker does
        assert client.get("/admin/", follow_redirects=True).status_code == 200
        assert client.get("/static/admin/css/base.css").status_code == 200
        assert client.get("/api/events/").status_code in (401, 403)


def wait_until(holds: Any) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            if holds():
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)
