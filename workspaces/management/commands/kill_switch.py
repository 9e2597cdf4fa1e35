"""manage.py kill_switch on|off|status."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from revfirst.errors import RevFirstError
from workspaces import reasons, services
from workspaces.actors import Actor

NO_REASON = "No reason was given."


class Command(BaseCommand):
    """Stop every publication of every workspace, at once."""

    help = "Turns the kill switch, or says how it stands. 'on' returns when no request can begin."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do, and why."""
        parser.add_argument("turn", choices=["on", "off", "status"])
        parser.add_argument("--reason", default="", help="why: it is kept with the switch")

    def handle(self, *args: Any, **options: Any) -> None:
        """Turn it, then print how it stands. Whoever is in a hurry gives no reason, or a long one."""
        changed, reason = True, options["reason"].strip()[: reasons.LONGEST] or NO_REASON
        if options["turn"] != "status":
            try:
                changed = services.set_kill_switch(
                    options["turn"] == "on",
                    reason=reason,
                    actor=Actor.command(),
                    now=timezone.now(),
                )
            except RevFirstError as error:
                raise CommandError(str(error)) from None
        switch = services.kill_switch()
        if switch is None:
            self.stdout.write("The kill switch is off.")
        else:
            already = "" if changed else "It was on already. "
            self.stdout.write(
                f"{already}The kill switch is ON since {switch.changed_at:%Y-%m-%d %H:%M:%S} UTC "
                f"by {switch.changed_by}: {switch.reason}"
            )
