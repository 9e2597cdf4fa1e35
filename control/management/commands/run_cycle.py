"""manage.py run_cycle."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from control import services
from revfirst.errors import RevFirstError
from workspaces.actors import Actor
from x_integration.client import XClient


class Command(BaseCommand):
    """One canonical cycle: ingest and propose."""

    help = "Reads what people said and proposes replies, once, for every workspace or those named."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which workspaces; all that may work when none is named."""
        parser.add_argument("workspaces", nargs="*", metavar="SLUG")

    def handle(self, *args: Any, **options: Any) -> None:
        """One line per workspace; one that fails does not stop the others."""
        named, failed = set(options["workspaces"]), 0
        workspaces = [w for w in services.workspaces_to_cycle() if not named or w.slug in named]
        if missing := named - {w.slug for w in workspaces}:
            raise CommandError(f"Not a workspace that may work: {', '.join(sorted(missing))}.")
        for workspace in workspaces:
            try:
                cycle = services.run_cycle(
                    workspace, x=XClient(), actor=Actor.command(), now=timezone.now()
                )
            except RevFirstError as error:
                failed += 1
                self.stderr.write(f"{workspace}: {error}")
                continue
            self.stdout.write(
                f"{workspace}: {cycle.ingested} posts stored, {cycle.proposed} replies proposed"
            )
        if failed:
            raise CommandError(f"{failed} workspace(s) failed.")
