"""manage.py release_hold KIND [WORKSPACE] --reason."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from revfirst.errors import RevFirstError
from workspaces.actors import Actor
from workspaces.models import Workspace
from workspaces.services import lift_containment, lift_hold
from x_integration.services import lift_account_hold


class Command(BaseCommand):
    """Let publishing go on after a hold: only people lift them."""

    help = (
        "Lifts a system hold by its kind (no_credits, usage_capped, mass_401 …), or of one workspace the "
        "account's hold (KIND account) or the containment (KIND containment)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which hold, whose, and why."""
        parser.add_argument("kind")
        parser.add_argument("workspace", nargs="?", metavar="SLUG")
        parser.add_argument("--reason", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        """Lift it, or say that there is none."""
        try:
            lifted = self._lift(options["kind"], options["workspace"], options["reason"])
        except RevFirstError as error:
            raise CommandError(str(error)) from None
        if not lifted:
            raise CommandError("There is no such hold.")
        self.stdout.write("Lifted.")

    def _lift(self, kind: str, slug: str | None, reason: str) -> bool:
        actor, now = Actor.command(), timezone.now()
        if slug is None:
            return lift_hold(kind, reason=reason, actor=actor, now=now)
        workspace = Workspace.objects.filter(slug=slug).first()
        if workspace is None or kind not in ("account", "containment"):
            raise CommandError("Name a workspace, and what to lift: account or containment.")
        if kind == "account":
            return lift_account_hold(workspace, reason=reason, actor=actor, now=now)
        return lift_containment(workspace, reason=reason, actor=actor, now=now)
