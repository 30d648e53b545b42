"""docs/service.md from top to bottom: a new project, a real server, and programs in three languages beside it."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from tests.browser import Browser
from tests.ownproject import SERVICE, installed_packages, run, snippets
from tests.support import Wait

FOLLOWED = "DayClosed"  # the event at which the programs of the page stop to follow the stream


class Service:
    """The service that the page makes, as a process of its own."""

    def __init__(self, folder: Path, database: dict[str, Any]) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "PYTHONPATH": str(installed_packages()),
            "DJANGO_SETTINGS_MODULE": "service.settings",
            "DJANGO_SECRET_KEY": "a key of the test",
            "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
            **{f"PG{name}": str(database[key]) for name, key in PG.items()},
        }
        self._log = (folder / "server.log").open("w")

    def make(self) -> str:
        """Follow the section "Run it" up to the server; return the token."""
        install, setup, run_server = [each for each in snippets(SERVICE, "sh") if not each.startswith("curl")]
        (start,) = [line for line in install.splitlines() if line.startswith("django-admin ")]
        self.run(sys.executable, "-m", *start.replace("django-admin", "django", 1).split(), DJANGO_SETTINGS_MODULE="")
        for block in snippets(SERVICE, "python"):
            if block.startswith("# service/"):
                path = block.partition("\n")[0].removeprefix("# ")
                with (self.folder / path).open("a") as file:
                    file.write(f"\n{block}")
        python = shlex.quote(sys.executable)
        said = self.run("bash", "-ec", f'python() {{ {python} "$@"; }}\n{setup}')
        self.command = shlex.split(run_server.replace("8000", str(self.port)))
        return re.findall(r"Generated token (\w+) for user billing", said)[0]

    def run(self, *command: str | Path, **environment: str) -> str:
        return run(*command, cwd=self.folder, **{**self.environment, **environment})

    def program(self, *command: str | Path, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, "SITE": self.url, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start(self) -> None:
        command = [sys.executable, "-m", *self.command]
        environment = {**os.environ, **self.environment}
        self.process = subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=self._log, stderr=subprocess.STDOUT
        )
        Wait.until(self.is_ready, what="a ready service", timeout_seconds=60)

    def is_ready(self) -> bool:
        assert self.process.poll() is None, (self.folder / "server.log").read_text()
        try:
            return httpx.get(f"{self.url}/api/health/ready/").status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()
        self._log.close()


PG = {"HOST": "HOST", "PORT": "PORT", "USER": "USER", "PASSWORD": "PASSWORD", "DATABASE": "NAME"}


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the npm package that the page names."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("Node.js is not installed: apt-get install nodejs npm")
    (line,) = [each.strip() for each in snippets(SERVICE, "text") if each.startswith("npm ")]
    folder = tmp_path_factory.mktemp("node")
    done = subprocess.run([*line.split(), "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"npm cannot install the package here: {done.stderr[-300:]}")
    return folder


@pytest.fixture
def service(tmp_path: Path, empty_database: dict[str, Any]) -> Service:
    return Service(tmp_path, empty_database)


def without_its_use(language: str, name: str, use: str) -> str:
    """Return the client of the page and the function `name`, without the lines that use the function."""
    client, *others = _of_programs(language)
    (block,) = [each for each in others if f" {name}(" in each and use in each]
    return client + block.partition(use)[0]


def run_curl(service: Service, token: str) -> list[str]:
    """Run the snippets of curl; return what each printed."""
    strict = 'set -e\ncurl() { command curl --silent --show-error --fail-with-body "$@"; }\n'
    blocks = [each for each in snippets(SERVICE, "sh") if each.startswith("curl ")]
    return [service.run("bash", "-c", strict + each, SITE=service.url, TOKEN=token) for each in blocks]


def positions(output: str, language: str) -> list[int]:
    return [int(line.split()[1]) for line in output.splitlines() if line.startswith(f"{language} ")]


def read_until(process: "subprocess.Popen[str]", text: str) -> Iterator[str]:
    """Yield the lines of a program up to one with `text`."""
    assert process.stdout
    for line in process.stdout:
        yield line
        if text in line:
            return
    raise AssertionError(f"the program has ended with {process.wait()}")


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_page_runs_from_the_installation_to_the_first_event_and_beyond(
    service: Service, node_modules: Path, browser: Browser
) -> None:
    token = service.make()
    (service.folder / "page.py").write_text("\n".join(_of_programs("python")))
    (node_modules / "page.mjs").write_text("\n".join(_of_programs("javascript")))
    service.run(
        sys.executable, "manage.py", "createsuperuser", "--noinput", "--username", "ann", "--email", "ann@example.com",
        DJANGO_SUPERUSER_PASSWORD="secret",
    )  # fmt: skip
    with service:
        root, placed, read, conflict, retried, everything, stream = run_curl(service, token)
        assert f'"{service.url}/api/events/"' in root
        assert '"descriptions":{}' in root  # the project serves none
        assert "event-types" not in root  # events.domain is not installed
        assert "/api/projections/" not in root  # the token does not allow it
        assert '"version":1' in placed
        assert read.endswith("304")
        assert '"version":2' in conflict
        assert "412" in conflict
        assert retried.endswith("200")
        assert everything.count('"event_id"') == 2
        assert re.findall(r"^id: (\d+)", stream, flags=re.MULTILINE)[0] == "3"

        programs = {
            "python": service.program(sys.executable, "page.py", TOKEN=token),
            "node": service.program("node", node_modules / "page.mjs", TOKEN=token),
        }
        try:
            said = {}
            for language, text in (("python", "OrderNoted"), ("node", "OrderNoted")):
                said[language] = list(read_until(programs[language], text))
            follow_in_browser(browser, service)
            for _ in range(2):
                service.kill()
                service.start()
                append(service, token, "Reopened")
                for language, process in programs.items():
                    said[language] += read_until(process, "Reopened")
            append(service, token, FOLLOWED)
            for language, process in programs.items():
                rest, _ = process.communicate(timeout=60)
                assert process.returncode == 0, rest
                said[language].append(rest)
        finally:
            for process in programs.values():
                process.kill()
                process.communicate()
        page = httpx.get(
            f"{service.url}/api/events/?category=order&limit=1000", headers={"Authorization": f"Token {token}"}
        ).json()
        stored = [each["position"] for each in page["events"]]
        for language in programs:
            output = "".join(said[language])
            assert positions(output, language) == stored, output
            assert "Assertion" not in output
        retry_while_the_server_is_down(service, node_modules, token)
        browser(lambda page: page.get_by_text(FOLLOWED).wait_for())
        shown = browser(lambda page: page.locator("#events li").all_inner_texts())
        assert [int(each.split()[0]) for each in shown] == stored


def retry_while_the_server_is_down(service: Service, node_modules: Path, token: str) -> None:
    """Start the functions of the page that append with a key before the server; each stores its event once."""
    python = without_its_use("python", "append", "assert append(")
    (service.folder / "retry.py").write_text(
        f"{python}\nprint('begin', flush=True)\nprint(append('retry-1', {{'type': 'A'}}, attempts=10)['version'])\n"
    )
    javascript = without_its_use("javascript", "append", "console.assert((await append(")
    (node_modules / "retry.mjs").write_text(
        f"{javascript}\nconsole.log('begin');\nconsole.log((await append('retry-2', [{{ type: 'A' }}], 10)).version);\n"
    )
    service.kill()
    programs = [
        service.program(sys.executable, "retry.py", TOKEN=token),
        service.program("node", node_modules / "retry.mjs", TOKEN=token),
    ]
    try:
        for process in programs:
            assert list(read_until(process, "begin"))
        time.sleep(0.3)  # both have tried by then; if not, the test is easier than it says
        service.start()
        said = [process.communicate(timeout=60)[0] for process in programs]
    finally:
        for process in programs:
            process.kill()
            process.communicate()
    assert said == ["1\n", "1\n"]


def _of_programs(language: str) -> list[str]:
    blocks = [each for each in snippets(SERVICE, language) if not each.startswith("# service/")]
    assert len(blocks) > 5
    return blocks


def append(service: Service, token: str, event_type: str) -> None:
    answer = httpx.post(
        f"{service.url}/api/aggregates/order-9/events/",
        json={"type": event_type},
        headers={"Authorization": f"Token {token}"},
    )
    assert answer.status_code == 201


def follow_in_browser(browser: Browser, service: Service) -> None:
    """Log in, and open the page's own page on the same site."""
    (html,) = snippets(SERVICE, "html")

    def follow(page: Any) -> None:
        page.goto(f"{service.url}/admin/login/?next=/api/")
        page.get_by_label("Username").fill("ann")
        page.get_by_label("Password").fill("secret")
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/api/")
        page.set_content(html)
        page.get_by_text("OrderNoted").first.wait_for()

    browser(follow)
