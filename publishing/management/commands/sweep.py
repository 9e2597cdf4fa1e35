"""manage.py sweep."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone
from django_q.tasks import async_task

from publishing import services
from workspaces.actors import Actor


class Command(BaseCommand):
    """The sweep alone, for a timer of the operating system: it works with the worker frozen."""

    help = "Turns stranded publications into doubts, looks for doubts, expires approvals, nudges."

    def handle(self, *args: Any, **options: Any) -> None:
        """Sweep once, and print what was found."""
        swept = services.sweep(actor=Actor.command(), now=timezone.now())
        if swept.due:
            async_task("publishing.tasks.publish_due")
        self.stdout.write(str(swept))
