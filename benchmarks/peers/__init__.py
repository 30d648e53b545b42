"""Other event stores, measured on the same server in the same rounds, each in an environment of its own.

An environment is made under `.benchmarks/` the first time. A peer is one process that takes commands and answers, as
lines of JSON, and starts others itself where several shall work at once.
"""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

FOLDER = Path(__file__).parent
ENVIRONMENTS = FOLDER.parent.parent / ".benchmarks"

Command = list[str | Path]


class PeerFailed(Exception):
    """What a peer could not do, in its own words."""


class Peer:
    """Another event store at work in a process of its own.

    Attributes:
        works: what it can do: `append`, `history`, `read_all`.
        version: of the library.
    """

    def __init__(self, name: str, command: Command, url: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            command,
            cwd=_folder_of(name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PEER_URL": url},
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
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:  # one of its processes failed, and the others wait for it
            self._process.kill()

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
            for name, command_of in PEERS.items():
                try:
                    command = command_of(name)
                except (OSError, subprocess.CalledProcessError) as error:
                    print(f"{name} is left out: no environment for it could be made ({error})", file=sys.stderr)
                    continue
                peer = Peer(name, command, _own_database(server, url, name))
                print(f"{name} {peer.version}")
                started.append(peer)
            yield started
        finally:
            for peer in started:
                peer.end()
                server.execute(f'DROP DATABASE IF EXISTS "{_database_of(url, peer.name)}" WITH (FORCE)')


def _python_peer(name: str) -> Command:
    """Return the command of a peer in Python, in a virtual environment."""
    python = _folder_of(name) / "bin" / "python"

    def install(requirements: Path) -> None:
        venv.create(_folder_of(name), with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", requirements], check=True)

    _install_once(name, FOLDER / f"{name}.txt", install)
    return [python, FOLDER / f"{name.replace('-', '_')}_peer.py"]


def _node_peer(name: str) -> Command:
    """Return the command of a peer in JavaScript, with its packages from npm."""

    def install(requirements: Path) -> None:
        (_folder_of(name) / "package.json").write_text(requirements.read_text())
        subprocess.run(["npm", "install", "--silent", "--no-fund", "--no-audit"], cwd=_folder_of(name), check=True)

    _install_once(name, FOLDER / f"{name}.json", install)
    return ["node", FOLDER / f"{name}_peer.mjs"]


PEERS: dict[str, Callable[[str], Command]] = {
    "eventsourcing": _python_peer,
    "eventsourcing-django": _python_peer,
    "emmett": _node_peer,
}


def _install_once(name: str, requirements: Path, install: Callable[[Path], None]) -> None:
    """Install what a peer needs, unless that has been done."""
    folder, done = _folder_of(name), _folder_of(name) / "installed"
    if not done.exists() or done.read_text() != requirements.read_text():
        print(f"Installing {name} into {folder}", file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        install(requirements)
        done.write_text(requirements.read_text())


def _folder_of(name: str) -> Path:
    return ENVIRONMENTS / name


def _own_database(server: "psycopg.Connection[Any]", url: str, name: str) -> str:
    database = _database_of(url, name)
    server.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
    server.execute(f'CREATE DATABASE "{database}"')
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def _database_of(url: str, name: str) -> str:
    return f"{urlsplit(url).path.lstrip('/')}_{name}"
