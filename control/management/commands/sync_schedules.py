"""manage.py sync_schedules."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from control import schedules, services


class Command(BaseCommand):
    """Make the timetable in the database that of the code; part of every deploy."""

    help = "Writes the schedules that the code names, and removes every other."

    def handle(self, *args: Any, **options: Any) -> None:
        """Write, and print how many."""
        written, removed = services.sync_schedules(schedules.from_code(), now=timezone.now())
        self.stdout.write(f"{written} schedules written, {removed} removed.")
