"""manage.py compare_counters."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from publishing.services import compare_counters, compare_workspace
from revfirst.errors import RevFirstError
from workspaces.models import Workspace
from x_integration.client import XClient
from x_integration.models import XAccount


class Command(BaseCommand):
    """Hold the counters against the audit log, and both against what stands on X."""

    help = (
        "Reads counters, audit log and each account's timeline, for which X charges whatever the budget; "
        "writes what that costs into ledger and audit log. Exit 1 if they differ."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print each workspace's numbers, by hand and direct apart, then every difference."""
        found = [str(difference) for difference in compare_counters()]
        unread = []
        for workspace in Workspace.objects.all():
            if XAccount.objects.live().filter(workspace=workspace).exists():
                found += self._compare(workspace)
            else:
                unread.append(workspace.slug)
        for difference in found:
            self.stderr.write(difference)
        if found:
            raise CommandError(f"{len(found)} difference(s).")
        if unread:
            self.stdout.write(f"Without a timeline, since no account is live: {', '.join(unread)}.")
        self.stdout.write(
            "Counters and audit agree, and the timelines that were read with them."
            if unread
            else "Counters, audit and timeline agree."
        )

    def _compare(self, workspace: Workspace) -> list[str]:
        """Print the workspace's numbers; what differs."""
        try:
            legs = compare_workspace(workspace, x=XClient())
        except RevFirstError as error:
            return [f"{workspace}: the timeline could not be read: {error}"]
        self.stdout.write(str(legs))
        return [f"{workspace}: {difference}" for difference in legs.differences]
