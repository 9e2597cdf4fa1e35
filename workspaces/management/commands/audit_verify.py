"""manage.py audit_verify."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from workspaces import audit
from workspaces.models import AuditChain


class Command(BaseCommand):
    """Check every hash chain from its first row to its head."""

    help = "Reads the whole audit log and checks every chain; writes nothing. Exit 1 names the row."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """`--expect` holds a head against one that was kept elsewhere."""
        parser.add_argument(
            "--expect",
            metavar="SEQ:HASH",
            action="append",
            default=[],
            help="a head kept outside; some chain must hold that row (may be given again)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print each chain's head, and each break."""
        breaks = 0
        for found in audit.verify():
            if isinstance(found, AuditChain):
                self.stdout.write(f"{found.name}  head {found.head_seq}:{found.head_hash}")
            else:
                breaks += 1
                self.stderr.write(str(found))
        for expected in options["expect"]:
            if not audit.holds(expected):
                breaks += 1
                self.stderr.write(f"no chain holds {expected}: it was rewritten or cut short")
        if breaks:
            raise CommandError(f"The audit log is broken in {breaks} place(s).")
        self.stdout.write("The audit log is whole.")
