"""manage.py create_workspace."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from revfirst.storable import storable_text
from workspaces import services
from workspaces.actors import Actor
from workspaces.models import User


class Command(BaseCommand):
    """Set up a team."""

    help = "Makes a workspace and its owner's membership. Make the person first: createsuperuser."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Slug, name, owner."""
        parser.add_argument(
            "slug", type=storable_text, help="short name for URLs and metrics, such as cafe-aurora"
        )
        parser.add_argument("--name", required=True, type=storable_text)
        parser.add_argument("--owner", required=True, metavar="USERNAME", type=storable_text)

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it, and print its id."""
        owner = User.objects.filter(username=options["owner"]).first()
        if owner is None:
            raise CommandError(f"There is no user {options['owner']}.")
        try:
            workspace = services.create_workspace(
                slug=options["slug"],
                name=options["name"],
                owner=owner,
                actor=Actor.command(),
                now=timezone.now(),
            )
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        self.stdout.write(f"{workspace.slug}  {workspace.pk}")
