"""How a command that cannot do its work ends: with an exit code, and one line that says why."""

import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

from django.core.management import BaseCommand, CommandError
from django.core.management.base import OutputWrapper
from django.db import Error

from events import handler_errors
from events.exceptions import EventStoreError
from events.formats.outputs import Unwritable
from events.storage import server_errors

# The kernel's answers to a write on standard output that cannot be done.
_UNWRITABLE: Final = {errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}


class ExitCode(IntEnum):
    """The exit codes of the commands."""

    DONE = 0
    FAILED = 1
    ARGUMENTS = 2  # argparse ends with it too
    DATABASE = 3
    OUTPUT = 4
    SIGINT = 128 + signal.SIGINT
    SIGTERM = 128 + signal.SIGTERM


def wrong_arguments(message: str) -> CommandError:
    """Return the error of a command that rejects its arguments."""
    return CommandError(message, returncode=ExitCode.ARGUMENTS)


class Ending(NamedTuple):
    """Why a command has ended early, the remedy, and the exit code."""

    reason: str
    remedy: str
    code: ExitCode


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM has interrupted the command."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


def of(error: BaseException, using: str) -> Ending | None:
    """Return the ending of a command that raised `error`; None if a traceback must be shown."""
    if isinstance(error, Interrupted):
        return of_signal(error.number)
    if isinstance(error, SystemExit) and error.code in (ExitCode.SIGINT, ExitCode.SIGTERM):
        return of_signal(error.code - 128)
    if handler_errors.failure(error):
        return None  # an error of the project's code
    if isinstance(error, Error):
        trouble = server_errors.in_words(error, using)
        return Ending(trouble.problem, f"{trouble.remedy}.", ExitCode.DATABASE)
    if isinstance(error, Unwritable):
        return _unwritable(str(error))
    if isinstance(error, EventStoreError):
        return Ending(str(error).rstrip("."), "", ExitCode.FAILED)
    return of_output(error)


def of_output(error: BaseException) -> Ending | None:
    """Return the ending of a command that could not write its standard output; None if `error` is another one."""
    if not isinstance(error, OSError) or error.filename is not None:
        return None
    if isinstance(error, BrokenPipeError):
        return Ending("The reader of the output has closed it", "", ExitCode.OUTPUT)
    if error.errno in _UNWRITABLE or isinstance(error, io.UnsupportedOperation):
        reason = error.strerror or "it is closed"
        return _unwritable(f"The output cannot be written: {reason}")
    return None


def _unwritable(reason: str) -> Ending:
    return Ending(reason, "Write it to another place.", ExitCode.OUTPUT)


def of_signal(number: int) -> Ending:
    return Ending(f"Interrupted by {signal.Signals(number).name}", "", ExitCode(128 + number))


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Raise `Interrupted` at SIGINT or SIGTERM inside the block; a second one ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Interrupted(number)

    # A command in the background of a shell script ignores SIGINT, and one under nohup may ignore others.
    numbers = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def open_streams(command: BaseCommand) -> None:
    """Open the standard streams that the process was started without: a write to standard output then fails."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open()  # noqa: SIM115  # as long as the process
        command.stdout = OutputWrapper(sys.stdout)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
        command.stderr = OutputWrapper(sys.stderr)


def discard(stream: Any) -> None:
    """Drop what a standard stream has buffered; Python would try to write it again at exit, and print a traceback."""
    with suppress(AttributeError, OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
