"""`manage.py clear_command_answers`: remove the stored answers to old commands."""

from datetime import timedelta
from typing import Any

from django.core.management import CommandParser
from django.utils import timezone

from events.domain.models import CommandAnswer
from events.management.base import StoreCommand
from events.management.endings import wrong_arguments


class Command(StoreCommand):
    help = (
        "Remove the answers to commands that came over HTTP with an idempotency key. A request that is repeated later"
        " runs its command again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--days", type=int, default=30, metavar="N", help="older than N days (%(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        days = options["days"]
        if not 0 <= days <= 36_500:
            raise wrong_arguments(f"--days is {days}; give 0 to 36500")
        answers, before = CommandAnswer.objects.using(options["database"]), timezone.now() - timedelta(days=days)
        number, _ = answers.filter(handled_at__lt=before).delete()
        self.stdout.write("1 answer removed." if number == 1 else f"{number} answers removed.")
