"""manage.py x_simulator."""

import os
import sys
from argparse import REMAINDER, ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Run the local X."""

    help = "Runs the local X simulator in the foreground; its state lies under var/x_simulator."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The simulator has its own options: see `x_simulator -- --help`."""
        parser.add_argument("options", nargs=REMAINDER, help="passed on to the simulator")

    def handle(self, *args: Any, **options: Any) -> None:
        """Become the simulator: a lean process that imports nothing of ours."""
        if settings.IN_PRODUCTION:
            raise CommandError("The simulator does not run in production.")
        given = [option for option in options["options"] if option != "--"]
        state = ["--state", str(settings.VAR_DIR / "x_simulator")]
        os.environ.update(
            X_CLIENT_ID=settings.X_CLIENT_ID,
            X_CLIENT_SECRET=settings.X_CLIENT_SECRET,
            X_REDIRECT_URI=settings.X_REDIRECT_URI,
        )
        command = [sys.executable, "-m", "x_integration.simulator", *state, *given]
        os.execv(sys.executable, command)  # noqa: S606 - no shell is wanted
