"""Other event stores, measured on the same server in the same rounds, each in an environment of its own.

An environment is made under `.benchmarks/` the first time. A peer is one process that takes commands and answers, as
lines of JSON, and starts others itself where several shall work at once.
"""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

FOLDER = Path(__file__).parent
ENVIRONMENTS = FOLDER.parent.parent / ".benchmarks"
PYTHON_PEERS = {"eventsourcing": "eventsourcing_peer.py"}


class PeerFailed(Exception):
    """What a peer could not do, in its own words."""


class Peer:
    """Another event store at work in a process of its own.

    Attributes:
        works: what it can do: `append`, `history`, `read_all`.
        version: of the library.
    """

    def __init__(self, name: str, command: list[str | Path], url: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PEER_URL": url}
        )
        about = self._ask({"do": "about"})
        self.version: str = about["version"]
        self.works = frozenset(about["works"])

    def rate(self, work: str, **parameters: Any) -> float:
        """Have it do a work for `seconds`; return the events a second.

        Raises:
            PeerFailed: it says why.
        """
        return float(self._ask({"do": work, **parameters})["rate"])

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps(command), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "it ended; see above"}
        if "error" in answer:
            raise PeerFailed(f"{self.name}: {answer['error']}")
        return answer


@contextmanager
def peers(url: str) -> Iterator[list[Peer]]:
    """The peers that can be had here, each with a database of its own beside that of `url`, dropped in the end."""
    started: list[Peer] = []
    with psycopg.connect(url, autocommit=True) as server:
        try:
            for name, script in PYTHON_PEERS.items():
                try:
                    python = _environment(name)
                except (OSError, subprocess.CalledProcessError) as error:
                    print(f"{name} is left out: no environment for it could be made ({error})", file=sys.stderr)
                    continue
                started.append(Peer(name, [python, FOLDER / script], _own_database(server, url, name)))
            yield started
        finally:
            for peer in started:
                peer.end()
                server.execute(f'DROP DATABASE IF EXISTS "{_database_of(url, peer.name)}" WITH (FORCE)')


def _environment(name: str) -> Path:
    """Return the interpreter of a peer's virtual environment."""
    folder, requirements = ENVIRONMENTS / name, FOLDER / f"{name}.txt"
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists() or done.read_text() != requirements.read_text():
        print(f"Installing {name} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", requirements], check=True)
        done.write_text(requirements.read_text())
    return python


def _own_database(server: "psycopg.Connection[Any]", url: str, name: str) -> str:
    database = _database_of(url, name)
    server.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
    server.execute(f'CREATE DATABASE "{database}"')
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def _database_of(url: str, name: str) -> str:
    return f"{urlsplit(url).path.lstrip('/')}_{name}"
