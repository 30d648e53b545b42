"""What goes wrong, one thing a round."""

import random
import time
from collections.abc import Callable

from tests.torture import strangers
from tests.torture.crew import Crew
from tests.torture.server import Server

Fault = Callable[[Server, Crew, random.Random], None]
FULL_DISK = "disk filled"


def kill_server(server: Server, crew: Crew, chance: random.Random) -> None:
    server.kill()
    time.sleep(chance.uniform(0, 0.3))
    server.be_up()


def restart_server(server: Server, crew: Crew, chance: random.Random) -> None:
    server.restart_immediately()
    server.be_up()


def cut_connections(server: Server, crew: Crew, chance: random.Random) -> None:
    """Several times, so that those who have just come back are met as well."""
    for _ in range(chance.randint(1, 4)):
        server.cut_connections()
        time.sleep(chance.uniform(0, 0.2))


def fill_disk(server: Server, crew: Crew, chance: random.Random) -> None:
    """Some statements fail; or the server cannot write its log ahead any more, and goes down."""
    server.fill_disk(chance.uniform(0.1, 2))
    server.be_up()


FAULTS: dict[str, Fault] = {
    "server killed": kill_server,
    "server restarted in immediate mode": restart_server,
    "connections terminated": cut_connections,
    FULL_DISK: fill_disk,
    "writer killed": lambda server, crew, chance: crew.replace_writer(chance),
    "worker killed": lambda server, crew, chance: crew.replace_worker(chance),
    "web server killed": lambda server, crew, chance: crew.replace_web_server(chance),
    "import in chunks": strangers.import_in_chunks,
    "unreadable event from SQL": strangers.store_the_unreadable,
    "floors held by another role": strangers.hold_floors,
}
