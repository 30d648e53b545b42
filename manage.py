#!/usr/bin/env python
"""Django's command line for the demo project, with a database behind it."""

import os
import signal
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "eventstore_project.settings")
    from django.core.management import execute_from_command_line

    from eventstore_project import postgres

    # A plain SIGTERM would end Python without its exit handlers, and leave the private cluster running.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    postgres.join_or_exit()
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
