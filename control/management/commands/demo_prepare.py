"""manage.py demo_prepare: called by the demo's supervisor."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from control import demo
from revfirst.errors import RevFirstError


class Command(BaseCommand):
    """Bring the database to this code."""

    help = "Migrates and writes the schedules, in one process."

    def handle(self, *args: Any, **options: Any) -> None:
        """Look whose database it is, migrate, then sync."""
        try:
            demo.check_database()
        except RevFirstError as error:
            raise CommandError(str(error)) from None
        call_command("migrate", interactive=False, verbosity=0)
        call_command("sync_schedules", verbosity=0)
