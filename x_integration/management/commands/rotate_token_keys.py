"""manage.py rotate_token_keys."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from workspaces.actors import Actor
from x_integration.services import rotate_keys
from x_integration.services.keys import Rotation


class Command(BaseCommand):
    """Encrypt every stored token with the first key of TOKEN_ENCRYPTION_KEY."""

    help = (
        "Re-encrypts all stored tokens with the first key of TOKEN_ENCRYPTION_KEY. To rotate: put a "
        "new key first, restart everything, run this, then take the old key away and restart. It "
        "may be stopped and run again. Exit 1 names the accounts that no key opens."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Rotate, telling how far it is."""
        self.stdout.write(f"{len(settings.TOKEN_ENCRYPTION_KEYS)} key(s) in the ring.")
        done = rotate_keys(actor=Actor.command(), now=timezone.now(), tell=self._tell)
        self.stdout.write(f"{done.sealed_anew} of {done.total} rows were encrypted anew.")
        if not done.is_whole:
            raise CommandError(
                "Some process goes on encrypting with another key: restart everything with the new "
                "TOKEN_ENCRYPTION_KEY, then run this again."
            )
        for whose in sorted(done.unreadable):
            self.stderr.write(f"{whose}: no key opens it; connect the account again.")
        if done.unreadable:
            raise CommandError(f"{len(done.unreadable)} row(s) cannot be read.")
        self.stdout.write("Every stored token is encrypted with the first key.")

    def _tell(self, done: Rotation) -> None:
        self.stdout.write(f"pass {done.passes}: {done.read} of {done.total} rows read")
        self.stdout.flush()
