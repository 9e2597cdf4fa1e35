"""manage.py audit_verify."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from workspaces import audit, progress
from workspaces.errors import NotAHead
from workspaces.models import AuditChain


class Command(BaseCommand):
    """Check every hash chain from its first row to its head."""

    help = "Reads the whole audit log and checks every chain; writes nothing. Exit 1 names the row."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """`--expect` holds a head against one that was kept elsewhere."""
        progress.add_argument(parser)
        parser.add_argument(
            "--expect",
            metavar="[CHAIN:]SEQ:HASH",
            action="append",
            default=[],
            help="a head kept outside: that chain, or some chain, must hold the row (may be given again)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print each chain's head, and each break."""
        try:
            kept = [(expected, audit.kept_head(expected)) for expected in options["expect"]]
        except NotAHead as error:
            raise CommandError(str(error)) from None
        breaks = 0
        tell = progress.shown_on(self.stderr, always=options["progress"])
        for found in audit.verify(tell):
            if isinstance(found, AuditChain):
                self.stdout.write(f"{found.name}  head {found.head_seq}:{found.head_hash}")
            else:
                breaks += 1
                self.stderr.write(str(found))
        for expected, head in kept:
            chains = audit.chains_holding(head)
            for chain in chains:
                self.stdout.write(f"{chain}  holds {expected}")
            if not chains:
                breaks += 1
                self.stderr.write(f"no chain holds {expected}: it was rewritten or cut short")
        if breaks:
            raise CommandError(f"The audit log is broken in {breaks} place(s).")
        self.stdout.write("The audit log is whole.")
