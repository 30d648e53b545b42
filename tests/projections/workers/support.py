"""Helpers for the tests of workers."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from projections.models import Heartbeat
from tests.support import Wait, manage_process


@contextmanager
def worker(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A real worker process, at work by the time the block begins; it has ended when the block has."""
    with manage_process("run_projections", *arguments) as process:
        try:
            Wait.until(lambda: Heartbeat.objects.filter(pid=process.pid).exists(), what="a heartbeat")
            yield process
        finally:
            process.kill()
