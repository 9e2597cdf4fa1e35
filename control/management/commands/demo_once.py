"""manage.py demo_once: called by the demo's supervisor."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from control import demo
from revfirst.errors import RevFirstError


class Command(BaseCommand):
    """One run from hearing to audit, without a person."""

    help = "Ingests, proposes, approves as the demo's owner and waits for the worker to publish."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run, and print the table."""
        try:
            workspace = demo.prepare(now=timezone.now())
            lines = demo.run_once(workspace, tell=self.stdout.write)
        except RevFirstError as error:
            raise CommandError(str(error)) from None
        row = "{:<6} {:<10} {:<20} {:>9}  {}"
        metric = "replies_published_total"
        self.stdout.write("")
        self.stdout.write(row.format("item", "state", "post on X", "audit seq", metric))
        for line in lines:
            self.stdout.write(
                row.format(
                    line.item, line.state, line.x_post_id, line.audit_seq, f"{line.metric:g}"
                )
            )
        self.stdout.write("counters, audit and timeline agree")
