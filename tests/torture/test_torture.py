"""The crash tests in short: one round of each kind. `make torture` goes on for a hundred."""

import re
import subprocess
import sys

import pytest

from eventstore_project.cluster import PostgresUnavailable
from eventstore_project.postgres import find_bindir

TIMEOUT_SECONDS = 240


def test_nothing_is_lost_or_doubled_whatever_breaks() -> None:
    try:
        find_bindir()
    except PostgresUnavailable:
        pytest.skip("there are no PostgreSQL binaries here to make a server with that may be killed")
    command = [sys.executable, "-u", "-m", "tests.torture", "--rounds", "0", "--seed", "1"]
    options = ["--writers", "3", "--workers", "1", "--check-every", "7"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        finally:
            process.terminate()  # so that it can clear up
    assert process.returncode == 0, output
    found = re.findall(r"^(\w.+?) +([\d,]+)$", output, re.MULTILINE)
    figures = {name: int(figure.replace(",", "")) for name, figure in found}
    assert figures["lost"] == figures["doubled"] == figures["anything else wrong"] == 0, output
    assert figures["events acknowledged"] > 100, output
    assert figures["processes killed"] >= 3, output
