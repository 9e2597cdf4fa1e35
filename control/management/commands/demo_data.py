"""manage.py demo_data: called by the demo's supervisor."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from control import demo
from revfirst.errors import RevFirstError


class Command(BaseCommand):
    """The demo's owner, workspace, connection and first proposals."""

    help = (
        "Makes what is missing of the demo's data. Refuses outside development and the simulator."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare, fill queue and calendar, print what is there."""
        try:
            workspace = demo.prepare(now=timezone.now())
            cycle = demo.fill_queue(workspace, now=timezone.now())
            demo.fill_calendar(workspace, now=timezone.now())
        except RevFirstError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{cycle.ingested} posts stored, {cycle.proposed} replies proposed")
