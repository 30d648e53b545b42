"""The program: `python -m tests.torture --rounds 100 --seed 7`. It exits with 1 when anything was wrong."""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import django
from django.core.management import call_command

from eventstore_project.cluster import DATABASE, SUPERUSER
from eventstore_project.postgres import find_bindir, server_account
from tests.torture.crew import Crew
from tests.torture.faults import FAULTS, FULL_DISK
from tests.torture.reading import settings
from tests.torture.server import Server, small_disk

if TYPE_CHECKING:
    from tests.torture.followers import Follower
    from tests.torture.run import Torture

SHOWN_FINDINGS = 20


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    chance = random.Random(options.seed)
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="eventstore-torture-"))
    folder.chmod(0o711)  # the account of the server must get through
    with ExitStack() as stack:
        has_small_disk = stack.enter_context(small_disk(folder / "disk"))
        kinds = _kinds(options, chance, has_small_disk)
        print(f"seed {options.seed}, {len(kinds)} rounds, in {folder}", flush=True)
        if not has_small_disk:
            print(f"NOTICE: no small disk can be mounted here, so this kind is left out: {FULL_DISK}", flush=True)
        server = Server(folder, find_bindir(), server_account())
        stack.callback(server.stop)
        server.join()
        assert set(settings(server).values()) == {"on"}, settings(server)
        _set_up_django(server)

        from tests.torture.intruders import Intruders
        from tests.torture.run import Torture

        crew = Crew(folder, options.seed)
        followers = _followers(crew)
        stack.enter_context(crew.at_work(options.writers, options.workers))
        for follower in followers:
            stack.enter_context(follower)
        intruders = stack.enter_context(Intruders(server, options.seed))
        torture = Torture(server, crew, followers, chance)
        torture.run(kinds, options.check_every)
        torture.findings += intruders.findings
        print(f"{intruders.rejected:,} attempts of roles that may not were rejected")
        _print_figures(torture, server, crew, followers, time.monotonic() - started)
        if torture.findings:
            _keep_the_evidence(server, folder)
    if torture.findings:
        sys.exit(1)
    shutil.rmtree(folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.torture", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="%(default)s; 0: one of each kind")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="drawn by chance if not given")
    parser.add_argument("--writers", type=int, default=4, help="%(default)s processes")
    parser.add_argument("--workers", type=int, default=2, help="%(default)s processes")
    parser.add_argument("--kinds", nargs="+", choices=FAULTS, default=list(FAULTS), metavar="KIND", help="only these")
    parser.add_argument("--check-every", type=int, default=5, metavar="N", help="%(default)s rounds; and at the end")
    return parser.parse_args()


def _kinds(options: argparse.Namespace, chance: random.Random, has_small_disk: bool) -> list[str]:
    """Return what goes wrong in which round: each kind as often as any other, in an order drawn by chance."""
    possible = [kind for kind in options.kinds if kind != FULL_DISK or has_small_disk]
    kinds = list(islice(cycle(possible), options.rounds or len(possible)))
    chance.shuffle(kinds)
    return kinds


def _set_up_django(server: Server) -> None:
    """Let this process and those it starts use the server's database, as the demo project does."""
    os.environ["DATABASE_URL"] = server.url
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.torture.settings"
    django.setup()
    call_command("migrate", verbosity=0, run_syncdb=True)  # the shop of the tests has no migrations


def _followers(crew: Crew) -> "list[Follower]":
    from django.contrib.auth.models import User
    from rest_framework.authtoken.models import Token

    from tests.torture.followers import PageFollower, PlainFollower, StreamFollower

    token = crew.token = Token.objects.create(user=User.objects.create_superuser("follower")).key
    return [PlainFollower(), PageFollower(crew.web_socket, token), StreamFollower(crew.web_socket, token)]


def _print_figures(torture: "Torture", server: Server, crew: Crew, followers: "list[Follower]", seconds: float) -> None:
    print(f"\n{'kind':<36} {'rounds':>6} {'seconds until work went on':>28}")
    for kind, rounds in sorted(torture.rounds.items()):
        print(f"{kind:<36} {rounds:>6} {torture.seconds[kind] / rounds:>28.1f}")
    found = Counter(finding.partition(":")[0] for finding in torture.findings)
    ends = Counter(call.end for call in torture.ledger.calls.values())
    figures = {
        "events acknowledged": torture.ledger.acknowledged_events(),
        **{f"calls {end}": count for end, count in sorted(ends.items())},
        "processes killed": crew.kills,
        "starts of the server": server.starts,
        "rebuilds": torture.rebuilds,
        **{f"breaks of {follower.name}": follower.breaks for follower in followers},
        "lost": found["lost"] + found["missed"],
        "doubled": found["doubled"] + found["repeated"],
        "anything else wrong": len(torture.findings)
        - sum(found[each] for each in ("lost", "missed", "doubled", "repeated")),
    }
    for name, figure in figures.items():
        print(f"{name:<36} {figure:>12,}")
    print(f"{'minutes':<36} {seconds / 60:>12.1f}")
    for finding in torture.findings[:SHOWN_FINDINGS]:
        print(finding)


def _keep_the_evidence(server: Server, folder: Path) -> None:
    """Keep journals, logs and a dump of the database, which goes away with its disk."""
    dump = [server.bindir / "pg_dump", "-h", server.sockets, "-U", SUPERUSER, "-f", folder / "dump.sql", DATABASE]
    subprocess.run(dump)
    print(f"Journals, logs and a dump of the database are in {folder}")


if __name__ == "__main__":
    main()
