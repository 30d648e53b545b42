"""nginx and systemd take the shipped files, and the store works behind nginx as without it."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token

from events.store import EventStore
from events.streaming.server_sent_events import STOPPING
from tests import FULL, ROOT
from tests.events.streaming.test_stopping import Client, served_by
from tests.support import Background, Wait, new

UNITS = sorted((ROOT / "deploy/systemd").iterdir())
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def nginx(upstream: str) -> Iterator[str]:
    """nginx with the shipped file, on free ports, in front of a server; yield its address."""
    if NGINX is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    port = free_port()
    site = (ROOT / "deploy/nginx.conf").read_text()
    assert "server 127.0.0.1:8001;" in site
    assert "listen 127.0.0.1:8080;" in site
    site = site.replace("127.0.0.1:8001", upstream.removeprefix("http://")).replace(
        "127.0.0.1:8080", f"127.0.0.1:{port}"
    )
    with tempfile.TemporaryDirectory(prefix="nginx-") as folder:
        paths = "".join(
            f"{each}_temp_path {folder}/{each};" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        http = f"http {{ access_log off; {paths}\n{site}\n}}"
        main = f"daemon off; pid {folder}/pid; error_log stderr warn; events {{}}\n{http}"
        configuration = Path(folder) / "nginx.conf"
        configuration.write_text(main)
        checked = subprocess.run([NGINX, "-t", "-c", configuration], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        process = subprocess.Popen([NGINX, "-c", configuration], stderr=subprocess.DEVNULL)
        try:
            Wait.until(lambda: _is_open(port), what="nginx")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def token(make_user: Callable[..., User]) -> str:
    return str(Token.objects.create(user=make_user("events.view_event", "events.add_event")).key)


@pytest.mark.django_db(transaction=True)
def test_streams_pass_through_nginx_at_once_and_end_with_the_server(store: EventStore, token: str) -> None:
    store.dispatch(new("order/7 ü"))
    with served_by("gunicorn") as (process, url), nginx(url) as site:
        assert httpx.get(f"{site}/api/health/ready/").json()["status"] == "ok"
        of_aggregate = f"{site}/api/aggregates/order%2F7%20%C3%BC/events/"
        answer = httpx.get(of_aggregate, headers={"Authorization": f"Token {token}"})
        assert [each["aggregate_id"] for each in answer.json()["events"]] == ["order/7 ü"]
        client = Client(site, token)
        with Background(client.read):
            Wait.until(lambda: client.events == 1)
            for _ in range(3):
                before, started = client.events, time.monotonic()
                store.dispatch(new("a-1"))
                Wait.until(lambda before=before: client.events > before)
                assert time.monotonic() - started < 1, "nginx holds nothing back"
            asked_at = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.wait(20)
        assert client.ended_at - asked_at < 2
        assert STOPPING.decode().strip() in client.lines


@pytest.mark.django_db(transaction=True)
def test_imports_pass_through_nginx_whatever_their_size(store: EventStore, token: str) -> None:
    """The other addresses take what one call may hold, and nginx rejects more before it reaches the project."""
    megabytes = 90 if FULL else 2
    line = json.dumps({"aggregate_id": "a-1", "type": "Large", "data": {"text": "x" * 500_000}}) + "\n"
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/x-ndjson"}
    with served_by("uvicorn") as (_, url), nginx(url) as site:
        lines = (line.encode() for _ in range(2 * megabytes))
        answer = httpx.post(f"{site}/api/events/import/", content=lines, headers=headers, timeout=200)
        assert answer.status_code == 200, answer.text
        assert answer.json()["stored"] == 2 * megabytes
        connection = HTTPConnection(site.removeprefix("http://"), timeout=20)
        connection.putrequest("POST", "/api/events/")
        connection.putheader("Content-Length", "90000000")
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_systemd_takes_the_units(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    for each in UNITS:  # a timer needs its service
        text = each.read_text().replace("/srv/shop/.venv/bin/gunicorn", f"{Path(sys.executable).parent}/gunicorn")
        (tmp_path / each.name).write_text(text.replace("/srv/shop/.venv/bin/python", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", tmp_path / unit.name], capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if "shop" in line]
    assert (done.returncode, said) == (0, [])


def test_units_run_commands_that_exist() -> None:
    for unit in UNITS:
        for command, arguments in re.findall(r"^ExecStart=\S+/(python|gunicorn) (.*)$", unit.read_text(), re.MULTILINE):
            if command == "python":
                _, name, *_ = arguments.split()
                assert any(ROOT.glob(f"*/management/commands/{name}.py")), name
