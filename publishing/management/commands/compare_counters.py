"""manage.py compare_counters."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from publishing.services import compare_counters, compare_workspace
from revfirst.errors import RevFirstError
from workspaces.models import Workspace
from x_integration.client import XClient


class Command(BaseCommand):
    """Hold the counters against the audit log, and both against what stands on X."""

    help = "Reads counters, audit log and each account's timeline; writes nothing. Exit 1 if they differ."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print each workspace's three numbers, then every difference."""
        found = [str(difference) for difference in compare_counters()]
        for workspace in Workspace.objects.filter(x_account__revoked_at=None).exclude(
            x_account=None
        ):
            try:
                legs = compare_workspace(workspace, x=XClient())
            except RevFirstError as error:
                found.append(f"{workspace}: the timeline could not be read: {error}")
                continue
            self.stdout.write(
                f"{legs.workspace}: counters {legs.counter}, audit {legs.audit}, "
                f"timeline {legs.timeline}"
            )
            found += [f"{workspace}: {difference}" for difference in legs.differences]
        for difference in found:
            self.stderr.write(difference)
        if found:
            raise CommandError(f"{len(found)} difference(s).")
        self.stdout.write("Counters, audit and timeline agree.")
