"""The processes at work: writers, projection workers, the web server."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests import MANAGE

# What the demo's programs say when they start and cannot reach the database; then they end, for a supervisor to see.
NO_DATABASE = "DATABASE_URL is set, but its database cannot be reached"


class Crew:
    """All of them. Each writes to a log of its own in the folder; each that is killed is replaced by a new one.

    Attributes:
        folder: where their logs and the writers' journals are.
        web_socket: where the web server listens.
        kills: how many were killed.
        token: of a user that may do everything.
        failures: who has ended though nobody killed it.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.web_socket = folder / "web"
        self.kills = 0
        self.token = ""
        self.failures: list[str] = []
        self._seed = seed
        self._started = 0
        self._members: dict[str, subprocess.Popen] = {}
        self._start_another = {"web": self._serve, "worker": self._work, "writer": self._write}

    def client(self) -> httpx.Client:
        """Return a client of the web server."""
        return httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self.web_socket)),
            base_url="http://localhost",
            headers={"Authorization": f"Token {self.token}"},
            timeout=30,
        )

    @contextmanager
    def at_work(self, writers: int, workers: int) -> Iterator[None]:
        try:
            self._serve()
            for _ in range(workers):
                self._work()
            for _ in range(writers):
                self._write()
            yield
        finally:
            for process in self._members.values():
                process.kill()
                process.wait()

    def look_after(self) -> None:
        """Start members again that ended because the database was away; note those that ended otherwise."""
        for name, process in list(self._members.items()):
            if process.poll() is None:
                continue
            del self._members[name]
            if NO_DATABASE in self._log(name).read_text():
                self._start_another[name.partition("-")[0]]()
            else:
                self.failures.append(f"ended: {name}, by itself ({process.returncode}); see its log")

    def replace_writer(self, chance: random.Random) -> None:
        """Kill a writer at any point; its successor repeats the interrupted call, or leaves it."""
        victim = self._kill("writer", chance)
        self._write(*[self._journal(victim)] if chance.random() < 0.7 else [])

    def replace_worker(self, chance: random.Random) -> None:
        self._kill("worker", chance)
        self._work()

    def replace_web_server(self, chance: random.Random) -> None:
        self._kill("web", chance)
        self._serve()

    def _write(self, *predecessor: Path) -> None:
        name = self._new_name("writer")
        arguments = [name, self.folder, str(self._seed), *predecessor]
        self._start(name, "-m", "tests.torture.writer", *arguments)

    def _work(self) -> None:
        self._start(self._new_name("worker"), MANAGE, "run_projections")

    def _serve(self) -> None:
        application = "eventstore_project.asgi:application"
        self._start(self._new_name("web"), "-m", "uvicorn", application, "--uds", self.web_socket, "--lifespan", "off")

    def _start(self, name: str, *arguments: str | Path) -> None:
        with self._log(name).open("wb") as log:
            self._members[name] = subprocess.Popen(
                [sys.executable, *arguments], cwd=MANAGE.parent, stdout=log, stderr=subprocess.STDOUT, env=os.environ
            )

    def _kill(self, kind: str, chance: random.Random) -> str:
        name = chance.choice([each for each in self._members if each.startswith(f"{kind}-")])
        process = self._members.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.kills += 1
        return name

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _journal(self, writer: str) -> Path:
        return self.folder / f"{writer}.jsonl"

    def _new_name(self, kind: str) -> str:
        self._started += 1
        return f"{kind}-{self._started}"
