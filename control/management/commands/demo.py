"""manage.py demo."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """The whole system on this machine."""

    help = "Starts servers, simulator, web and worker; prints address and login. Ctrl-C stops all."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What `revfirst.demo` takes."""
        parser.add_argument("--once", action="store_true", help="one run to the end, then stop")
        parser.add_argument("--port", help="for the web pages; a free one when not given")
        parser.add_argument("--sim-port", help="for the simulator; a free one when not given")

    def handle(self, *args: Any, **options: Any) -> None:
        """Become the supervisor: a lean process without Django."""
        if settings.ENVIRONMENT != "development":
            raise CommandError(
                f"The demo needs ENVIRONMENT=development; this is {settings.ENVIRONMENT}."
            )
        words = ["--once"] if options["once"] else []
        for name in ("port", "sim_port"):
            if options[name]:
                words += [f"--{name.replace('_', '-')}", options[name]]
        command = [sys.executable, "-m", "revfirst.demo", *words]
        os.execv(sys.executable, command)  # noqa: S606 - no shell is wanted
