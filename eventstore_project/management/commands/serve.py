"""`manage.py serve`: set up the demo, serve it, and run a worker, until Ctrl-C."""

import os
import socket
from contextlib import suppress
from typing import Any

import uvicorn
from django.core.management import CommandError, CommandParser, call_command
from rest_framework.authtoken.models import Token

from events.management.base import ReportingCommand
from eventstore_project import postgres, secrets
from projections.workers.supervisor import start_process
from projections.workers.worker import Until

from .setup_demo import make_admin

HOST = "127.0.0.1"


class Command(ReportingCommand):
    help = "Set up the demo (see setup_demo), serve it on the loopback address, and run a worker beside it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=os.environ.get("PORT", "8000"), help="%(default)s")
        parser.add_argument(
            "--no-traffic",
            action="store_false",
            dest="traffic",
            default=os.environ.get("TRAFFIC") != "0",
            help="generate no orders; the environment variable TRAFFIC=0 does the same",
        )

    def so_far(self) -> str:
        return "Run the command again: it continues."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("setup_demo", stdout=self.stdout)
        with self._listen(options["port"]) as listener:
            self._print_addresses(listener.getsockname()[1])
            self._serve(listener, options["traffic"])
        self.stdout.write("\nStopped. The data is kept; start again with `make run`.")

    def _serve(self, listener: socket.socket, traffic: bool) -> None:
        config = uvicorn.Config(
            "eventstore_project.asgi:application", log_level="warning", lifespan="off", timeout_graceful_shutdown=2
        )
        processes = [start_process("projections.workers.worker.work", ([], Until.STOPPED.name))]
        if traffic:
            processes.append(start_process("eventstore_project.traffic.generate", ()))
        try:
            with suppress(KeyboardInterrupt):  # uvicorn raises the signal again after its shutdown
                uvicorn.Server(config).run(sockets=[listener])
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.join()

    def _listen(self, port: int) -> socket.socket:
        try:
            listener = socket.create_server((HOST, port))
            # asyncio does not set it on this socket, and each response would wait for the client's delayed ACK.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return listener
        except OverflowError:
            reason = "ports go up to 65535"
        except OSError as error:
            reason = os.strerror(error.errno or 0)
        raise CommandError(f"Port {port} cannot be used: {reason}. Choose another port: PORT=8001 make run")

    def _print_addresses(self, port: int) -> None:
        user = make_admin()
        created = secrets.get_or_create("admin_password")
        password = created if user.check_password(created) else "(the password that you have set)"
        base = f"http://{HOST}:{port}"
        token = Token.objects.get(user=user).key
        self.stdout.write(
            f"\n  Shop      {base}/\n"
            f"  Admin     {base}/admin/\n"
            f"  Live      {base}/live/\n"
            f"  API       {base}/api/\n"
            f"  Log in    {user.username} / {password}\n"
            f"  Database  {postgres.database_description()}\n\n"
            f"  export SITE={base} TOKEN={token}\n"
            '  curl -H "Authorization: Token $TOKEN" $SITE/api/events/\n\n'
            "Ctrl-C stops it."
        )
