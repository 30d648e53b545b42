"""How the writers are brought to rest: a sign that they look for between calls, and a lock they share while in one."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def one_call(folder: Path) -> Iterator[None]:
    """For writers: the time of one call, with all its retries. Waits while a pause lasts."""
    with (folder / "calls.lock").open("ab") as lock:
        while True:
            while _sign(folder).exists():
                time.sleep(0.01)
            fcntl.flock(lock, fcntl.LOCK_SH)
            if not _sign(folder).exists():
                break
            fcntl.flock(lock, fcntl.LOCK_UN)
        yield


@contextmanager
def paused(folder: Path, timeout_seconds: float) -> Iterator[None]:
    """Let the writers end the calls they are at, and make no other during the block. A killed writer is in no call.

    Raises:
        TimeoutError: a call does not come to its end.
    """
    deadline = time.monotonic() + timeout_seconds
    _sign(folder).touch()
    try:
        with (folder / "calls.lock").open("ab") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"a writer's call does not end within {timeout_seconds} s") from None
                    time.sleep(0.01)
            yield
    finally:
        _sign(folder).unlink()


def _sign(folder: Path) -> Path:
    return folder / "pause"
