"""Other event stores, measured on the same server in the same rounds, each in its own environment.

The environments are created once, under `.benchmarks/`. A peer is a process that reads commands and writes responses,
as lines of JSON, and starts further processes for concurrent work.
"""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

FOLDER = Path(__file__).parent
ENVIRONMENTS = FOLDER.parent.parent / ".benchmarks"

Command = list[str | Path]


class PeerFailed(Exception):
    """A peer failed; the message is the peer's."""


class Peer:
    """Another event store, in its own process.

    Attributes:
        works: the works that it can do: `append`, `history`, `read_all`.
        version: the version of the library.
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
        """Do a work in the peer for `seconds` seconds; return the events per second.

        Raises:
            PeerFailed: the peer could not do the work.
        """
        return float(self._ask({"do": work, **parameters})["rate"])

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:  # one of its processes has failed, and the others wait for it
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
def peers(url: str, names: Collection[str] = ()) -> Iterator[list[Peer]]:
    """Yield the peers that can be installed, each with a new database on the server of `url`; drop them at the end.

    Args:
        names: start only these; all of them if none is given.
    """
    started: list[Peer] = []
    with psycopg.connect(url, autocommit=True) as server:
        try:
            for name in names or PEERS:
                command_of = PEERS[name]
                try:
                    command = command_of(name)
                except (OSError, subprocess.CalledProcessError) as error:
                    print(f"{name} is skipped: its environment could not be created ({error})", file=sys.stderr)
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
    """Install the requirements of a peer, if they are not installed yet."""
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
